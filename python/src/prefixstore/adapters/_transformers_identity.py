"""What two programs on transformers must have in common to share keys and values."""

from __future__ import annotations

import hashlib
import json
import os
from typing import Any, Dict, Iterator, List, Optional, Tuple

import torch
import transformers
from torch import nn

from .. import Identity
from . import _sentence

#: The version of how this adapter cuts keys and values into planes: one per layer, side and KV head.
FORMAT = 1
#: Families whose keys and values depend on the tokens and nothing else, and with which this adapter is tested.
FAMILIES = ("llama", "mistral", "qwen2", "qwen3")

# Of a configuration, what changes no keys and values, or is a field of its own.
_WITHOUT_EFFECT = {
    "_name_or_path", "architectures", "bos_token_id", "dtype", "eos_token_id", "id2label", "label2id",
    "max_position_embeddings", "output_attentions", "output_hidden_states", "pad_token_id", "return_dict",
    "rope_parameters", "rope_scaling", "rope_theta", "tie_word_embeddings", "torch_dtype", "transformers_version",
    "use_cache",
}
# Their frequencies depend on the length of the prompt, so a prefix has other keys in a longer prompt.
_GROWING_ROPE = ("dynamic", "longrope")


class UnsupportedModelError(ValueError):
    """A model, cache or option whose keys and values this adapter does not know. Run it without a store."""


def check_model(model: Any) -> None:
    """Raises UnsupportedModelError for a model that cannot be served, and says why."""
    name = type(model).__name__
    if not isinstance(model, transformers.PreTrainedModel):
        raise UnsupportedModelError(
            f"{name} is no model of transformers. Give that; of a PeftModel with LoRA, its get_base_model().")
    family = model.config.model_type
    if family not in FAMILIES:
        raise UnsupportedModelError(
            f"{name} is of the family {family!r}. Known are {', '.join(FAMILIES)}. Run it without a store.")
    rope = rope_of(model.config)
    if rope.get("rope_type") in _GROWING_ROPE:
        raise UnsupportedModelError(
            f"The rope_type {rope['rope_type']!r} changes all keys when a prompt grows. Run it without a store.")
    for tensor_name, tensor in tensors(model):
        if tensor.device.type != "cpu":
            raise UnsupportedModelError(
                f"{tensor_name} is on the device {tensor.device}. Move the model to the CPU, or use no store.")
        if type(tensor) not in (torch.Tensor, nn.Parameter):
            raise UnsupportedModelError(
                f"{tensor_name} is a {type(tensor).__name__}, whose bytes are not known. Run it without a store.")


def rope_of(config: Any) -> Dict[str, Any]:
    """The parameters of the rotary embedding."""
    return dict(getattr(config, "rope_parameters", None) or {})


def tensors(model: nn.Module) -> Iterator[Tuple[str, torch.Tensor]]:
    """All parameters and buffers, with their names."""
    yield from model.named_parameters()
    yield from model.named_buffers()


def _adapter_layers(model: nn.Module) -> Dict[str, nn.Module]:
    """The layers of PEFT with an adapter: they have a list of those switched on. A model has a method of that name.

    A layer stays when its last adapter is deleted, and has an empty `scaling` then.
    """
    return {
        name: module for name, module in model.named_modules()
        if not callable(getattr(module, "active_adapters", print)) and getattr(module, "scaling", True)}


def adapters(model: nn.Module) -> List[str]:
    """A line per layer of PEFT: which adapters are switched on, and how strongly they count."""
    return [
        f"{name} {list(layer.active_adapters)} {getattr(layer, 'disable_adapters', None)} "
        f"{sorted(dict(getattr(layer, 'scaling', {})).items())} {list(getattr(layer, 'merged_adapters', []))}"
        for name, layer in _adapter_layers(model).items()]


def engine(model: Any) -> str:
    """What computes: its versions, its attention, and the settings of PyTorch that change numbers."""
    text = (
        f"transformers {transformers.__version__}, torch {torch.__version__}, {model.config._attn_implementation}, "
        f"matmul {torch.get_float32_matmul_precision()}")
    if torch.is_autocast_enabled("cpu"):
        text += f", autocast {torch.get_autocast_dtype('cpu')}"
    return text


def stamp(model: Any) -> Any:
    """Differs from an older stamp when the model has changed: cheap, for each call."""
    versions = [
        # A tensor made in inference mode counts no changes, and outside that mode cannot be changed.
        (name, tensor.data_ptr(), 0 if tensor.is_inference() else tensor._version) for name, tensor in tensors(model)]
    return versions, adapters(model), engine(model)


def _feed(digest: Any, name: str, tensor: torch.Tensor) -> None:
    digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
    digest.update(tensor.detach().contiguous().reshape(-1).view(torch.uint8).numpy())


def _digests(model: Any) -> Tuple[bytes, Optional[bytes], str]:
    """The digests of weights and adapters, and what describes positions. Reads all of the model's bytes."""
    settings = {key: value for key, value in model.config.to_dict().items() if key not in _WITHOUT_EFFECT}
    weights = hashlib.sha256(json.dumps(settings, sort_keys=True, default=str).encode())
    layers = adapters(model)
    adapter = hashlib.sha256("\n".join(layers).encode())
    frequencies = hashlib.sha256()
    owners = tuple(name + "." for name in _adapter_layers(model))
    for name, tensor in sorted(tensors(model)):
        if name.endswith("inv_freq"):
            _feed(frequencies, name, tensor)
        elif name.startswith(owners) and ".base_layer." not in name:
            _feed(adapter, name, tensor)
        else:
            _feed(weights, name.replace(".base_layer.", "."), tensor)
    rope = json.dumps(rope_of(model.config), sort_keys=True, default=str)
    positions = f"rope {rope} {frequencies.hexdigest()}"
    return weights.digest(), adapter.digest() if layers else None, positions


def tokenizer_digest(tokenizer: Any) -> bytes:
    """The digest of a tokenizer: of its whole description, or of its vocabulary if it has none.

    Raises TypeError for what is no tokenizer.
    """
    if isinstance(tokenizer, (str, os.PathLike)):
        raise TypeError(
            f"The tokenizer is a name, {os.fspath(tokenizer)!r}. Give the tokenizer itself, "
            "AutoTokenizer.from_pretrained(...), or None if your program makes token ids by itself.")
    if tokenizer is not None and not hasattr(tokenizer, "get_vocab"):
        raise TypeError(f"The tokenizer is a {type(tokenizer).__name__}. Give a tokenizer of transformers, or None.")
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        described = sorted(tokenizer.get_vocab().items()) if tokenizer is not None else None
    else:
        described = json.loads(backend.to_str())
        # A call of the tokenizer changes these, and no call changes what a token means.
        for state in ("padding", "truncation"):
            described.pop(state, None)
    return hashlib.sha256(json.dumps(described, sort_keys=True).encode()).digest()


def identity(model: Any, tokenizer: bytes, salt: Optional[bytes], changes: str) -> Identity:
    """The identity of a model as it is now. Reads all of its bytes."""
    weights, adapter, positions = _digests(model)
    if changes:
        adapter = hashlib.sha256((adapter or b"") + changes.encode()).digest()
    return Identity(
        weights=weights, tokenizer=tokenizer, positions=positions, engine=engine(model), engine_format=FORMAT,
        adapter=adapter, salt=salt, label=os.path.basename(model.config._name_or_path) or model.config.model_type)


# What people call the fields in which two spaces differ.
_FIELDS = {
    "weights": "the weights or the configuration", "tokenizer": "the tokenizer",
    "layout": "the dtype or shape of K and V", "page size": "the tokens of a page",
    "engine": "the versions of transformers and torch, or the attention implementation",
    "adapter": "the adapters (LoRA), or `changes`", "salt": "the salt", "positions": "the RoPE settings",
    "engine format": "the version of this adapter",
}


def sentence(explanation: Dict[str, Any]) -> str:
    """What `Space.explain` found, for people."""
    return _sentence.sentence(explanation, _FIELDS)
