"""The digests of a model's folder in Hugging Face form: weights, tokenizer, and how it encodes positions."""

from __future__ import annotations

import hashlib
import json
import os
from typing import Any, Dict, List, Sequence

from .. import Store

# What a folder has of a model. Code counts: it may change what the weights compute.
_WEIGHTS = (".safetensors", ".bin", ".pt", ".pth", ".gguf", ".py")
_TOKENIZER = (
    "tokenizer.json", "tokenizer_config.json", "tokenizer.model", "vocab.json", "vocab.txt", "merges.txt",
    "added_tokens.json", "special_tokens_map.json", "chat_template.jinja")
_CONFIGURATION = "config.json"


class UnknownModelError(ValueError):
    """The model cannot be told from others: the sentence says what is missing."""


def check_folder(folder: str) -> None:
    """Raises UnknownModelError unless the folder has a configuration and weights."""
    if not os.path.isdir(folder):
        raise UnknownModelError(
            f"{folder!r} is not a folder. Name the folder of the model's weights: their digest is what tells models "
            "apart.")
    names = os.listdir(folder)
    if _CONFIGURATION not in names or not _of(names, _WEIGHTS[:-1]):
        raise UnknownModelError(f"{folder!r} has no {_CONFIGURATION} or no weights. Name the folder of a whole model.")


def weights_digest(store: Store, folder: str) -> bytes:
    """SHA-256 over the configuration and all weight files. The store remembers the digest of each file."""
    names = _of(os.listdir(folder), _WEIGHTS)
    return _digest(store, folder, [_CONFIGURATION, *names])


def tokenizer_digest(store: Store, folder: str) -> bytes:
    """SHA-256 over the files of the tokenizer; a folder without any has a digest of its own."""
    return _digest(store, folder, sorted(set(os.listdir(folder)).intersection(_TOKENIZER)))


def positions(folder: str) -> str:
    """What the configuration says of positions, as text."""
    with open(os.path.join(folder, _CONFIGURATION), encoding="utf-8") as file:
        found = _positions(json.load(file))
    return json.dumps(found, sort_keys=True)[:1000]


def _positions(configuration: Dict[str, Any]) -> Dict[str, Any]:
    # Models of several parts have the configuration of each inside.
    return {
        key: _positions(value) if isinstance(value, dict) and not key.startswith("rope") else value
        for key, value in configuration.items()
        if key.startswith(("rope", "max_position", "sliding_window")) or key.endswith("_config")}


def _of(names: Sequence[str], endings: Sequence[str]) -> List[str]:
    return sorted(name for name in names if name.endswith(tuple(endings)))


def _digest(store: Store, folder: str, names: Sequence[str]) -> bytes:
    digest = hashlib.sha256()
    for name in names:
        # The weights of a hub's cache are links: what they lead to counts.
        file = os.path.realpath(os.path.join(folder, name))
        digest.update(name.encode() + b"\0" + store.file_digest(file))
    return digest.digest()
