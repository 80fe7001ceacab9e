"""What two llama.cpp programs must have in common to share pages. pfx_llama.c names it in the same way."""

from __future__ import annotations

import hashlib
import os
import re
from typing import Any, Dict, Iterable, List, Optional, Tuple

from .. import Identity, Store
from . import _sentence

#: LLAMA_STATE_SEQ_VERSION: the version of the bytes of a sequence.
FORMAT = 3
_SPLIT = re.compile(r"(.*)-\d{5}-of-(\d{5})\.gguf")


def positions(
    base: float = 0, scale: float = 0, scaling: int = -1, yarn: Tuple[float, float, float, float] = (-1, -1, -1, -1),
    original_context: int = 0,
) -> str:
    """The settings of RoPE and YaRN in a context. The defaults are those of a context that leaves them to the model."""
    factors = ",".join("%.9g" % factor for factor in yarn)
    return "rope base=%.9g scale=%.9g scaling=%d yarn=%s,%d" % (base, scale, scaling, factors, original_context)


def parts_of(path: str) -> List[str]:
    """The files of a model: its own, or all parts of a split one in their order."""
    found = _SPLIT.fullmatch(path)
    if not found:
        return [path]
    return ["%s-%05d-of-%s.gguf" % (found[1], part, found[2]) for part in range(1, int(found[2]) + 1)]


def model_digest(store: Store, path: str) -> bytes:
    """The digest of a model's file, or of the list of digests of its parts. The store remembers those of files."""
    parts = parts_of(path)
    if len(parts) == 1:
        return store.file_digest(path)
    return hashlib.sha256("".join(store.file_digest(part).hex() + "\n" for part in parts).encode()).digest()


def adapter_digest(store: Store, loras: Iterable[Tuple[str, float]], changes: str = "") -> Optional[bytes]:
    """The digest of LoRA files with their scales, and of whatever else changes keys and values; None for nothing."""
    lines = "".join("%s %.9g\n" % (store.file_digest(path).hex(), scale) for path, scale in loras) + changes
    return hashlib.sha256(lines.encode()).digest() if lines else None


def identity(
    store: Store, model: str, flash_attention: bool, where: str, *, loras: Iterable[Tuple[str, float]] = (),
    changes: str = "", salt: Optional[bytes] = None, weights: Optional[bytes] = None,
) -> Identity:
    """The identity of a context: `model` is its file, `weights` its digest if that is known, `where` what `positions`
    gave."""
    weights = weights or model_digest(store, model)
    return Identity(
        weights=weights, tokenizer=weights, positions=where, engine_format=FORMAT, salt=salt,
        engine="llama.cpp, flash attention " + ("on" if flash_attention else "off"),
        adapter=adapter_digest(store, loras, changes), label=os.path.basename(model))


# What people call the fields in which two spaces differ.
_FIELDS = {
    "weights": "the model's file", "tokenizer": "its tokenizer", "layout": "the types of K and V",
    "page size": "the tokens of a page", "engine": "the flash-attention setting",
    "adapter": "the adapters (LoRA) or their scales", "salt": "the salt or the sealing key", "positions": "the RoPE settings",
    "engine format": "the version of llama.cpp's state",
}


def sentence(explanation: Dict[str, Any]) -> str:
    """What `Space.explain` found, for people: how much is stored, or else in what the nearest space differs."""
    return _sentence.sentence(explanation, _FIELDS)
