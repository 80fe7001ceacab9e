"""What two ExLlama generators must have in common to share pages, and which generators cannot be served."""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path
from typing import Any, Dict, Iterator, List, Optional, Tuple

import torch

from .. import Element, Identity, Plane, Store
from . import _sentence

#: The version of how this adapter cuts caches into planes: one per tensor, in the order of the engine's own list.
FORMAT = 1
#: Tokens of a page, in every version of the engines.
PAGE = 256
#: Caches with one row per token and tensor. Others keep fewer rows, states, or parts in other processes.
CACHES = {
    "ExLlamaV2Cache", "ExLlamaV2Cache_Q4", "ExLlamaV2Cache_Q6", "ExLlamaV2Cache_Q8",
    "CacheLayer_fp16", "CacheLayer_quant",
}

_ELEMENTS = {torch.float16: Element.FP16, torch.bfloat16: Element.BF16}
_TOKENIZER_FILES = (
    "tokenizer.json", "tokenizer.model", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json")
# Fields of a configuration that name files and change no keys or values. The files themselves are in the digest.
_PATHS = {
    "model_dir", "directory", "model_config", "config_filename", "tensor_files", "tensor_file_map", "tokenizer_path",
    "uuid",
}


class UnsupportedGeneratorError(ValueError):
    """A generator, cache or adapter whose keys and values this adapter does not know. Run it without a store."""


def table_of(generator: Any) -> Any:
    """The page table: ExLlamaV3 has an object of its own, and in ExLlamaV2 the generator is one."""
    return getattr(generator, "pagetable", generator)


def _sides(generator: Any) -> List[Tuple[Any, Any]]:
    """Model and cache, and those of the draft model. A page is a part of both."""
    sides = [(generator.model, generator.cache)]
    if generator.draft_cache is not None:
        sides.append((generator.draft_model, generator.draft_cache))
    return sides


def _layers(cache: Any) -> List[Any]:
    """What decides the form of a cache: its layers in ExLlamaV3, and in ExLlamaV2 itself."""
    layers = getattr(cache, "layers", None)
    return list(layers.values()) if isinstance(layers, dict) else [cache]


def check(generator: Any) -> None:
    """Raises UnsupportedGeneratorError for a generator that cannot be served, and says why."""
    if not getattr(generator, "paged", True):
        raise UnsupportedGeneratorError(
            "The generator is not in paged mode, which needs flash-attn. Run it without a store.")
    if getattr(generator, "recurrent_cache", None) is not None:
        raise UnsupportedGeneratorError("The model has recurrent states, which no page holds. Run it without a store.")
    for model, cache in _sides(generator):
        if getattr(model, "loaded_tp", False):
            raise UnsupportedGeneratorError("The model is split over processes. Run it without a store.")
        for layer in _layers(cache):
            if type(layer).__name__ not in CACHES:
                raise UnsupportedGeneratorError(
                    f"The cache has a {type(layer).__name__}. Known are {', '.join(sorted(CACHES))}. Use one of them, or "
                    "no store.")
        if _silent_loras(model):
            raise UnsupportedGeneratorError(
                "The model has LoRAs in its layers. ExLlamaV3 does not tell when they change. Run it without a store.")


def _silent_loras(model: Any) -> bool:
    """Whether layers of ExLlamaV3 have adapters, which its generator does not know of."""
    waiting = list(getattr(model, "modules", None) or [])
    while waiting:
        module = waiting.pop()
        if getattr(module, "lora_a_tensors", None):
            return True
        waiting.extend(getattr(module, "modules", None) or [])
    return False


def planes(generator: Any) -> Tuple[List[Plane], List[torch.Tensor]]:
    """The planes of a page, and the cache as one tensor of bytes per plane, [tokens of the cache, bytes of a row]."""
    tokens = table_of(generator).max_pages * PAGE
    made: List[Plane] = []
    views: List[torch.Tensor] = []
    for _, cache in _sides(generator):
        tensors = (getattr(cache, "get_all_tensors", None) or cache.all_tensors)()
        for tensor in tensors:
            if tensor is None or not tensor.is_contiguous() or tensor.numel() % tokens:
                raise UnsupportedGeneratorError(
                    "A tensor of the cache is missing, or has no row for each of its tokens. Run it without a store.")
            view = tensor.view(-1).view(torch.uint8).view(tokens, -1)
            made.append(Plane(len(made), view.shape[1], _ELEMENTS.get(tensor.dtype, Element.BYTES)))
            views.append(view)
    return made, views


def _describe(value: Any) -> Any:
    """A value as text that is the same in every process. Objects that are no plain values count by their type."""
    if isinstance(value, (int, float, str, bool, type(None), torch.dtype)):
        return repr(value)
    if isinstance(value, dict):
        return {str(key): _describe(value[key]) for key in sorted(value, key=str) if key not in _PATHS}
    if isinstance(value, (list, tuple)):
        return [_describe(item) for item in value]
    if dataclasses.is_dataclass(value):
        return _describe(vars(value))
    return type(value).__name__


def _digest(value: Any) -> str:
    return hashlib.sha256(repr(_describe(value)).encode()).hexdigest()


def _folder_of(model: Any) -> Path:
    folder = getattr(model.config, "model_dir", None) or getattr(model.config, "directory", None)
    if not folder:
        raise UnsupportedGeneratorError("The model's configuration names no folder, so its weights have no digest.")
    return Path(folder)


def _files(store: Store, folder: Path, names: Iterator[Path]) -> str:
    return "".join(f"{path.relative_to(folder)} {store.file_digest(path).hex()}\n" for path in sorted(names))


def _weights(store: Store, generator: Any) -> bytes:
    lines = ""
    for model, _ in _sides(generator):
        folder = _folder_of(model)
        found = _files(store, folder, folder.glob("*.safetensors"))
        if not found:
            raise UnsupportedGeneratorError(f"{folder} has no .safetensors, so its weights have no digest.")
        lines += "model\n" + found + _files(store, folder, folder.glob("*.json"))
    return hashlib.sha256(lines.encode()).digest()


def loras(generator: Any) -> Tuple[Tuple[str, float], ...]:
    """The adapters that a generator of ExLlamaV2 uses now: files, and how strongly they count."""
    return tuple(
        (str(lora.lora_path), float(lora.lora_scaling)) for lora in getattr(generator, "current_loras", None) or [])


def _adapter(store: Store, generator: Any, changes: str) -> Optional[bytes]:
    lines = "".join(f"{store.file_digest(path).hex()} {scale!r}\n" for path, scale in loras(generator)) + changes
    return hashlib.sha256(lines.encode()).digest() if lines else None


def identity(store: Store, generator: Any, changes: str, salt: Optional[bytes]) -> Identity:
    """The identity of a generator with the adapters that it has now. The store remembers the digests of files."""
    package = type(generator).__module__.partition(".")[0]
    version = getattr(__import__(package), "__version__", None) or __import__(f"{package}.version").version.__version__
    folder = _folder_of(generator.model)
    tokenizer = _files(store, folder, (folder / name for name in _TOKENIZER_FILES if (folder / name).exists()))
    forms = [
        (type(layer).__name__, {
            key: value for key, value in vars(layer).items() if _is_plain(value) and key not in _OF_A_PROCESS})
        for _, cache in _sides(generator) for layer in _layers(cache)]
    devices = sorted({_device(tensor.device) for tensor in planes(generator)[1]})
    return Identity(
        weights=_weights(store, generator), tokenizer=hashlib.sha256(tokenizer.encode()).digest(),
        positions="configuration " + _digest([vars(model.config) for model, _ in _sides(generator)]),
        engine=f"{package} {version}, torch {torch.__version__}, {', '.join(devices)}, cache {_digest(forms)}",
        engine_format=FORMAT, adapter=_adapter(store, generator, changes), salt=salt, label=folder.name)


# A cache's size, and numbers of this process, are no part of its form.
_OF_A_PROCESS = {"max_seq_len", "current_seq_len", "max_num_tokens", "cache_id", "shape_basic"}


def _is_plain(value: Any) -> bool:
    return isinstance(value, (int, float, str, bool, torch.dtype))


def _device(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


# What people call the fields in which two spaces differ.
_FIELDS = {
    "weights": "the files of the model or of the draft model", "tokenizer": "the tokenizer",
    "layout": "the type and bits of the cache", "page size": "the tokens of a page",
    "engine": "the versions of the engine and PyTorch, the device, or the form of the cache",
    "adapter": "the adapters (LoRA), or `changes`", "salt": "the salt",
    "positions": "the settings of the configuration", "engine format": "the version of this adapter",
}


def sentence(explanation: Dict[str, Any]) -> str:
    """What `Space.explain` found, for people."""
    return _sentence.sentence(explanation, _FIELDS)
