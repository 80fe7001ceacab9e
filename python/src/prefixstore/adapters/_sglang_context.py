"""What two engines of SGLang must have in common to share pages, and who may have a store at all."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from typing import Any, Dict, List, Optional

import sglang
import torch

from .. import Element, Identity, Plane, Store
from ._block_store import Context
from ._model_files import UnknownModelError, check_folder, positions, tokenizer_digest, weights_digest
from ._salt_file import read_salt

#: The version of the bytes that this adapter keeps: the pages of a host pool, as they are.
FORMAT = 1
#: The version of SGLang with which this adapter is tested.
TESTED = "0.5.23"

_ELEMENTS = {
    torch.bfloat16: Element.BF16, torch.float16: Element.FP16, torch.float32: Element.FP32,
    torch.float8_e4m3fn: Element.FP8_E4M3, torch.float8_e5m2: Element.FP8_E5M2,
}
# Host pools whose pages are keys and values, or the latent of MLA, and nothing else; and their layouts.
_POOLS = {
    "MHATokenToKVPoolHost": ("layer_first", "page_first", "page_first_direct", "page_head"),
    "MLATokenToKVPoolHost": ("layer_first", "page_first", "page_first_direct"),
}
# What else of the engine's options changes keys and values.
_OPTIONS = (
    "dtype", "kv_cache_dtype", "quantization", "attention_backend", "prefill_attention_backend",
    "decode_attention_backend", "device", "model_impl", "revision", "json_model_override_args", "quantization_param_path",
    "enable_deterministic_inference", "context_length",
)
_KNOWN = {"folder", "model", "adapter", "salt_file", "quota", "key_file"}


class UnsupportedEngineError(ValueError):
    """An engine whose pages this adapter does not know, or cannot tell from others. Run it without a store."""


@dataclass(frozen=True)
class Settings:
    """The object `prefixstore` in the extra configuration of the storage back end."""

    folder: str
    model: str
    adapter: str
    salt: Optional[bytes]
    quota: Optional[int]
    key_file: Optional[str]

    @staticmethod
    def of(extra: Any) -> Settings:
        """Raises ValueError for what is missing or not known, and UnknownModelError."""
        given = (extra or {}).get("prefixstore")
        if not isinstance(given, dict):
            raise ValueError(
                'The extra configuration has no object "prefixstore". Give it "folder" (the store) and "model" (the '
                "folder of the weights).")
        others = sorted(set(given) - _KNOWN)
        if others:
            raise ValueError(f'The object "prefixstore" has {", ".join(others)}. Known are {", ".join(sorted(_KNOWN))}.')
        for name, what in (("folder", "the store"), ("model", "the model's weights, whose digest tells models apart")):
            if not isinstance(given.get(name), str) or not given[name]:
                raise ValueError(f'The object "prefixstore" has no "{name}". Name the folder of {what}.')
        check_folder(given["model"])
        salt = read_salt(given.get("salt_file"))
        return Settings(
            given["folder"], given["model"], str(given.get("adapter") or ""), salt, given.get("quota"),
            given.get("key_file"))


def check_engine(settings: Settings, options: Any) -> None:
    """Raises UnsupportedEngineError for an engine whose weights are not those in the folder."""
    if getattr(options, "load_format", "auto") == "dummy":
        raise UnsupportedEngineError("load_format is dummy: the weights are not those in the folder. Use no store.")
    path = getattr(options, "model_path", None)
    if path and os.path.isdir(path) and os.path.realpath(path) != os.path.realpath(settings.model):
        raise UnsupportedEngineError(
            f'SGLang runs {path!r}, and "model" names {settings.model!r}. Name the folder that it runs.')
    if not settings.adapter and (getattr(options, "enable_lora", None) or getattr(options, "lora_paths", None)):
        raise UnsupportedEngineError(
            'SGLang runs with LoRA, whose weights are in no key. Give "adapter", a text that names their versions, or '
            "use no store.")


def check_pool(pool: Any) -> None:
    """Raises UnsupportedEngineError for a host pool whose pages are not known."""
    name, layout = type(pool).__name__, getattr(pool, "layout", None)
    if name not in _POOLS:
        raise UnsupportedEngineError(
            f"The host pool is a {name}. Known are {', '.join(_POOLS)}. Run this model without a store.")
    if layout not in _POOLS[name]:
        raise UnsupportedEngineError(
            f"The layout {layout!r} of a {name} is not known. Set --hicache-mem-layout to one of "
            f"{', '.join(_POOLS[name])}.")


def element_of(pool: Any) -> Element:
    """What the numbers of a pool are stored as, for compression; SGLang keeps fp8 as bytes."""
    return _ELEMENTS.get(pool.dtype, Element.BYTES)


def context(store: Store, settings: Settings, config: Any, pool: Any, options: Any) -> Context:
    """The context of a pool. Reads the model's files that the store has no digest of."""
    shape = [f"{name}={getattr(pool, name, None)}" for name in (
        "dtype", "layer_num", "start_layer", "end_layer", "head_num", "head_dim", "kv_lora_rank", "qk_rope_head_dim")]
    chosen = [f"{name}={getattr(options, name, None)}" for name in _OPTIONS]
    # Ranks of a latent attention have the same pages, and one of them writes.
    tensor = (0, 1) if config.is_mla_model else (config.tp_rank, config.tp_size)
    # The list of pages, with their shape and everything that the engine's people can set, is long; a name is short.
    digest = hashlib.sha256("\n".join([*chosen, *shape, *_parallel(config)]).encode()).hexdigest()[:32]
    engine = (
        f"SGLang {sglang.__version__}, torch {torch.__version__}, {getattr(options, 'attention_backend', None)}, "
        f"{type(pool).__name__} {pool.layout}, options {digest}")
    identity = Identity(
        weights=weights_digest(store, settings.model), tokenizer=tokenizer_digest(store, settings.model),
        positions=positions(settings.model), engine=engine, engine_format=FORMAT,
        adapter=hashlib.sha256(settings.adapter.encode()).digest() if settings.adapter else None,
        tensor_rank=tensor[0], tensor_size=tensor[1], pipeline_rank=config.pp_rank, pipeline_size=config.pp_size,
        salt=settings.salt, label=os.path.basename(os.path.normpath(settings.model)))
    return Context(identity, [Plane(0, pool.size_per_token, element_of(pool))], pool.page_size)


def _parallel(config: Any) -> List[str]:
    names = ("attn_cp_rank", "attn_cp_size", "dcp_rank", "dcp_size")
    return [f"{name}={getattr(config, name, None)}" for name in names]


def options_of_engine() -> Any:
    """The options with which this process of SGLang runs. Raises UnsupportedEngineError when they cannot be read."""
    try:
        from sglang.srt.runtime_context import get_server_args

        options = get_server_args()
        if options.model_path:
            return options
        problem = "they name no model"
    except Exception as found:
        problem = str(found)
    raise UnsupportedEngineError(
        f"The options of SGLang {sglang.__version__} cannot be read ({problem}); this adapter is tested with {TESTED}. "
        "Without them its pages cannot be told from others: use that version, or no store.")


#: What SGLang's people call the fields in which two contexts differ.
FIELDS: Dict[str, str] = {
    "engine": "the version of SGLang or torch, the memory layout, or an option of the engine",
    "page size": "--page-size", "layout": "the dtype or the number of bytes per token",
    "salt": "the salt in salt_file", "adapter": 'the text "adapter"',
}

__all__ = [
    "FIELDS", "FORMAT", "Settings", "TESTED", "UnknownModelError", "UnsupportedEngineError", "check_engine",
    "check_pool", "context", "element_of", "options_of_engine"]
