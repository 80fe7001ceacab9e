"""What two vLLM engines must have in common to share KV."""

from __future__ import annotations

import hashlib
import json
import os
import platform
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence, Tuple

import torch
import vllm
from vllm.platforms import current_platform

from .. import Element, Identity, Plane, Store
from . import _sentence

#: The version of how this adapter cuts KV into blocks: one per chunk of vLLM, without the padding of its row.
FORMAT = 1
#: The versions of vLLM with which this adapter is tested, as its number begins.
TESTED = ("0.32.",)

ELEMENTS = {"float32": Element.FP32, "float16": Element.FP16, "bfloat16": Element.BF16}
# Loaders that read nothing but the files of the model's folder.
_LOAD_FORMATS = ("auto", "hf", "safetensors", "fastsafetensors", "pt", "npcache", "mistral")
# Names of blocks are kept for long, and for everybody: two prompts must not have the same one.
_HASHES = ("sha256", "sha256_cbor")
# Ways of guessing tokens that have no KV of their own.
_GUESSES = ("ngram", "ngram_gpu", "suffix")
_MODEL_FILES = (".safetensors", ".bin", ".pt", ".pth", ".json", ".py")
_ADAPTER_FILES = (".safetensors", ".bin", ".pt", ".json")
# Of a model's configuration, what changes no KV, or is a field of its own.
_WITHOUT_EFFECT = ("_name_or_path", "dtype", "torch_dtype", "transformers_version", "use_cache")
_ROPE = (
    "rope_parameters", "rope_scaling", "rope_theta", "partial_rotary_factor", "original_max_position_embeddings")
# The capabilities of a processor that change from one run to the next, or choose no kernel.
_NO_CAPABILITIES = ("cpu_name", "num_logical_cores", "num_physical_cores", "num_sockets")


class UnknownEngineError(Exception):
    """An engine whose KV this adapter does not know enough about to store it. The engine runs without a store."""


def check(config: Any, adapters: Sequence[str], accepted_version: Optional[str]) -> None:
    """Raises UnknownEngineError for an engine that may write KV under a name which does not say all about it.

    `config`: the VllmConfig, or None. `adapters`: folders of LoRA. `accepted_version`: a version of vLLM besides those
    that are tested.
    """
    version = vllm.__version__
    if not version.startswith(TESTED) and version != accepted_version:
        raise UnknownEngineError(
            f"it is tested with vLLM {', '.join(known + 'x' for known in TESTED)}, and this is {version}. Install a "
            f'tested one, or, once you have tried this one, give the tier "accept_version": "{version}"')
    if config is None:
        raise UnknownEngineError(
            "vLLM tells its tiers nothing of weights and adapters, and PrefixStoreConnector does. Give it as "
            '"kv_connector" in place of OffloadingConnector')
    load = str(config.load_config.load_format)
    if load not in _LOAD_FORMATS:
        raise UnknownEngineError(
            f"with the load format {load!r} it cannot tell the weights. Use one of {', '.join(_LOAD_FORMATS)}")
    code = getattr(config.model_config.hf_config, "auto_map", None) or {}
    if config.model_config.trust_remote_code and any("--" in str(name) for name in code.values()):
        raise UnknownEngineError("the model's code is in another repository. Copy it into the model's folder")
    hashes = config.cache_config.prefix_caching_hash_algo
    if hashes not in _HASHES:
        raise UnknownEngineError(
            f"two prompts can have the same hash of {hashes!r}. Use --prefix-caching-hash-algo {_HASHES[0]}")
    if getattr(config, "weight_transfer_config", None) is not None:
        raise UnknownEngineError("weights change while the engine runs (--weight-transfer-config). Leave one of them out")
    if getattr(config.cache_config, "calculate_kv_scales", False):
        raise UnknownEngineError("the scales of the KV cache are computed anew in each run. Use those of the checkpoint")
    guesses = config.speculative_config
    if guesses is not None and guesses.method not in _GUESSES:
        raise UnknownEngineError(
            f"the speculative method {guesses.method!r} has KV of other weights. Use one of {', '.join(_GUESSES)}")
    if config.lora_config is not None and not adapters:
        raise UnknownEngineError(
            'LoRA is on, and vLLM names an adapter by its path alone. List the folders of all of them in "adapters"')


def _digests(store: Store, folder: Path, suffixes: Tuple[str, ...]) -> List[Tuple[str, str]]:
    """The files of a folder with these suffixes, each with its digest. Reads files that the store has not seen."""
    files = sorted(file for file in folder.iterdir() if file.is_file() and file.name.endswith(suffixes))
    return [(file.name, store.file_digest(file).hex()) for file in files]


def _model_folder(config: Any) -> Path:
    """Where the engine has read the weights from."""
    model = config.model_config
    if os.path.isdir(model.model):
        return Path(model.model)
    try:
        from huggingface_hub import snapshot_download

        return Path(snapshot_download(
            model.model, revision=model.revision, cache_dir=config.load_config.download_dir, local_files_only=True))
    except Exception as problem:
        raise UnknownEngineError(
            f"the files of {model.model!r} are neither a folder nor in the cache of Hugging Face ({problem}). "
            "Name a folder") from problem


def _weights(config: Any, store: Store) -> bytes:
    model = config.model_config
    described = {key: value for key, value in model.hf_config.to_dict().items() if key not in _WITHOUT_EFFECT}
    folder = _model_folder(config)
    files = _digests(store, folder, _MODEL_FILES)
    if all(name.endswith((".json", ".py")) for name, _ in files):
        raise UnknownEngineError(f"{folder} has no weights of a known kind. Name a folder with {_MODEL_FILES[0]} files")
    return _sha256({
        "files": files, "config": described, "overrides": model.hf_overrides, "load": config.load_config.load_format,
        "quantization": [model.quantization, model.quantization_config]})


def _sha256(value: Any) -> bytes:
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).digest()


def _processor() -> str:
    """What chooses the kernels of this machine, and with them the form of their KV."""
    name = f"{current_platform.device_type} {current_platform.get_device_name()}"
    if not current_platform.is_cpu():
        return f"{name} {current_platform.get_device_capability()}"
    able = {
        key: value for key, value in torch.cpu.get_capabilities().items()
        if key not in _NO_CAPABILITIES and not key.endswith("_cache_size")}
    return f"{name} {torch.backends.cpu.get_cpu_capability()} {_sha256(able).hex()[:16]}"


def _engine(config: Any, offloading: Any) -> str:
    """Who computes and how, and the form of the bytes."""
    attention, parallel = config.attention_config, offloading.parallel
    groups = [(group.tokens_per_block, group.layer_names) for group in offloading.groups]
    parts = {
        "vllm": vllm.__version__, "torch": torch.__version__, "python": platform.python_version(),
        "processor": _processor(), "dtype": config.model_config.dtype, "kv dtype": offloading.model.dtype,
        "attention": attention.backend or "auto", "attention settings": _sha256(vars(attention)).hex()[:16],
        "implementation": f"{config.model_config.model_impl} v2={config.use_v2_model_runner}", "block": config.cache_config.block_size,
        "layout": f"{offloading.kv_cache_layout} canonical={offloading.canonical_layout} "
                  f"replicated={offloading.replicated_layout}",
        "bytes": offloading.worker_kv_bytes_per_block, "groups": _sha256(groups).hex()[:16],
        "hash": f"{config.cache_config.prefix_caching_hash_algo} per {offloading.cache.tokens_per_hash}",
        "context parallel": f"{parallel.pcp_size} {parallel.dcp_size}", "workers": parallel.world_size,
        "kv exceptions": config.cache_config.kv_cache_dtype_skip_layers,
    }
    return ", ".join(f"{name} {value}" for name, value in parts.items())


def _positions(config: Any) -> str:
    text = config.model_config.hf_text_config
    settings = {name: getattr(text, name, None) for name in _ROPE}
    # Some kinds of RoPE are scaled to the longest prompt.
    return f"rope {json.dumps(settings, sort_keys=True, default=str)} max_model_len {config.model_config.max_model_len}"


def identity(config: Any, offloading: Any, store: Store, salt: Optional[bytes], adapters: Sequence[str]) -> Identity:
    """The identity of an engine. Reads the files of its weights unless the store knows their digests.

    `config`: its VllmConfig, for which `check` has found nothing. `offloading`: the OffloadingConfig of its spec.
    Raises UnknownEngineError, OSError, and the errors of the store.
    """
    weights = _weights(config, store)
    folders = [(folder, _digests(store, Path(folder), _ADAPTER_FILES)) for folder in sorted(adapters)]
    return Identity(
        # Blocks are named by hashes of token ids. What text they stand for changes no byte.
        weights=weights, tokenizer=weights, positions=_positions(config), engine=_engine(config, offloading),
        engine_format=FORMAT, adapter=_sha256(folders) if folders else None, tensor_size=offloading.parallel.tp_size,
        pipeline_size=offloading.parallel.pp_size, salt=salt, label=os.path.basename(offloading.model.name.rstrip("/")))


# What people call the fields in which two engines differ.
_FIELDS = {
    "weights": "the weights, their configuration or quantization", "layout": "the dtype of the KV cache",
    "page size": "the tokens of a chunk", "positions": "RoPE, or max_model_len",
    "engine": "the versions of vLLM, PyTorch and Python, the processor, attention, dtypes, block size or layout",
    "adapter": "the LoRA folders", "salt": "the salt", "engine format": "the version of this adapter",
    "shard": "the tensor or pipeline parallel size",
}
# A space that only says which engines use a store: blocks have no list of what differs.
_SIGN = hashlib.sha256(b"a sign of a vLLM engine").digest()


def sign(store: Store, of: Identity, element: Element, chunk_tokens: int) -> Optional[str]:
    """Leaves a sign of an engine in a store. Says in what the nearest other engine differs; None without another.

    `chunk_tokens`: 1 to 4096.
    """
    fields = {**vars(of), "tokenizer": _SIGN}
    with store.space(Identity(**fields), [Plane(0, 4, element)], chunk_tokens) as space:
        found: Dict[str, Any] = space.explain([0])
    others = [other for other in found["other_spaces"] if "tokenizer" not in other["differs_in"]]
    return _sentence.difference(others, _FIELDS) if others else None
