"""A second level (L2) for LMCache that keeps chunks on disk, set by LMCache's configuration alone.

    python -m lmcache.v1.multiprocess.server ... --l2-adapter '{
        "type": "native_plugin", "module_path": "prefixstore.adapters.lmcache", "class_name": "PrefixStoreClient",
        "adapter_params": {"folder": "kv", "model": "/models/llama", "chunk_size": 256, "kv_dtype": "bfloat16",
                           "engine": "vllm 0.32.0, flash attention"}}'

LMCache makes a `PrefixStoreClient` and gives it keys and memory. No call waits for the disk, and none raises.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import logging
import os
from typing import Any, Callable, Dict, List, Optional, Sequence, Set

from .. import Element, Identity, Plane, PrefixStoreError, Store
from ._adapter_store import AdapterStore
from ._block_store import BlockStore, Context, sentence
from ._lmcache_jobs import Completion, Jobs, Lane
from ._model_files import UnknownModelError, check_folder, positions, tokenizer_digest, weights_digest
from ._salt_file import read_salt

__all__ = ["PrefixStoreClient", "UnknownModelError"]

#: The version of the bytes that this adapter keeps: a chunk of LMCache as it is.
FORMAT = 1
#: The version of LMCache with which this adapter is tested.
TESTED = "0.5.6"

_log = logging.getLogger(__name__)
_ELEMENTS = {
    "bfloat16": (Element.BF16, 2), "float16": (Element.FP16, 2), "float32": (Element.FP32, 4),
    "fp8_e4m3": (Element.FP8_E4M3, 1), "fp8_e5m2": (Element.FP8_E5M2, 1), "int8": (Element.INT8, 1),
}
# A shorter hash, such as Python's own of 8 bytes, may stand for two prompts, or for another one after a restart.
_HASH_DIGITS = 32
# Of a key in LMCache: model, rank, group, hash, and a salt if the request had one.
_SEPARATOR = "@"
# The store takes keys of 1 to 511 bytes.
_LONGEST_KEY = 511
# Different sentences in the log.
_SENTENCES = 100
# What a parameter is for that must not be left out.
_WANTED = {
    "folder": "Name the folder of the store.",
    "model": "Name the folder of the model's weights, whose digest tells models apart.",
    "engine": "Name the engine, its version and its attention backend: what else changes a byte of KV.",
}
# What LMCache's people call the fields in which two contexts differ.
_FIELDS = {
    "engine": "the version of LMCache, or the parameter engine", "page size": "the parameter chunk_size",
    "adapter": "the parameter adapter", "layout": "the parameter kv_dtype", "salt": "the salt in salt_file",
}


class PrefixStoreClient:
    """What LMCache's `native_plugin` takes for a connector. Its arguments are the `adapter_params`:

    `folder`: the store, which any number of processes share. `model`: the folder of the weights in Hugging Face form.
    `chunk_size`: the server's `--chunk-size`. `kv_dtype`: bfloat16, float16, float32, fp8_e4m3, fp8_e5m2 or int8.
    `engine`: names the engine, its version, its attention backend, and whatever else changes a byte of KV.
    `model_name`: how the engine calls the model in LMCache's keys; `model` when it is not given.
    `adapter`: names the LoRA that the engine runs with and its scale; LMCache's keys say nothing of it.
    `salt_file`: a file with a tenant's secret of 16 bytes or more; LMCache logs all parameters, so it is not one.
    `quota`: bytes on disk, for all processes.
    `key_file`: a file with the key that seals what is stored; without it, the variable PFX_KEY.

    Thread-safe. Raises, only when it is made, `UnknownModelError`, `ValueError` for another parameter, and the errors
    of `prefixstore.open`: LMCache then does not start. Afterwards what cannot be stored or loaded is a miss, and the
    log says why.
    """

    def __init__(
        self, folder: str = "", model: str = "", chunk_size: int = 0, kv_dtype: str = "", engine: str = "",
        model_name: str = "", adapter: str = "", salt_file: str = "", quota: Optional[int] = None, key_file: str = "",
        **others: Any,
    ) -> None:
        _check(folder, model, chunk_size, kv_dtype, engine, others)
        version = _version()
        self._model_name = model_name or model
        element, size = _ELEMENTS[kv_dtype]
        salt = read_salt(salt_file)
        self._said: Set[str] = set()
        self._kept = AdapterStore(folder, lambda text: self._say(f"PrefixStore {text}"), key_file=key_file, quota=quota)

        def begin(store: Store) -> BlockStore:
            identity = Identity(
                weights=weights_digest(store, model), tokenizer=tokenizer_digest(store, model),
                positions=positions(model), engine=f"LMCache {version}; {engine}", engine_format=FORMAT,
                adapter=hashlib.sha256(adapter.encode()).digest() if adapter else None, salt=salt,
                label=os.path.basename(os.path.normpath(model)))
            return BlockStore(store, Context(identity, [Plane(0, size, element)], chunk_size), element)

        self._blocks = self._kept.begin(begin)
        self._has_missed = False
        self._jobs = Jobs()
        # What a request waits for is never behind what it leaves behind.
        self._loads = Lane("prefixstore-load")
        self._stores = Lane("prefixstore-store", settle=self._settle)

    # What LMCache calls.

    def event_fd(self) -> int:
        """A descriptor that is readable while completions wait."""
        return self._jobs.event

    def submit_batch_set(self, keys: Sequence[str], buffers: Sequence[Any]) -> int:
        """Stores chunks; succeeds once they are on disk. Returns the job's number. `buffers` stay until its end."""
        return self._submit(self._stores, self._blocks.put, keys, buffers)

    def submit_batch_get(self, keys: Sequence[str], buffers: Sequence[Any]) -> int:
        """Loads chunks into memory that can be written. A chunk of another size is a miss. Returns the job's number."""
        return self._submit(self._loads, self._blocks.get, keys, buffers)

    def submit_batch_exists(self, keys: Sequence[str]) -> int:
        """Looks chunks up. Returns the job's number."""
        return self._submit(self._loads, self._look_up, keys)

    def submit_batch_delete(self, keys: Sequence[str]) -> int:
        """Removes chunks. Returns the job's number. A chunk that is not stored succeeds too."""
        return self._submit(self._stores, self._blocks.remove, keys)

    def drain_completions(self) -> List[Completion]:
        """The jobs that have ended, each once, without waiting."""
        return self._jobs.drain()

    def close(self) -> None:
        """Ends the jobs that have begun, and closes the store. Jobs that have not begun fail."""
        if not self._jobs.close():
            return
        self._loads.close()
        self._stores.close()
        self._kept.close()
        self._jobs.free()

    # For people.

    def explain(self) -> str:
        """In what the nearest other context of the folder differs from this one."""
        return sentence(self._blocks.differences(), _FIELDS)

    # Inside.

    def _submit(
        self, lane: Lane, work: Callable[..., List[bool]], keys: Sequence[str],
        buffers: Optional[Sequence[Any]] = None,
    ) -> int:
        keys = list(keys)

        def run() -> List[bool]:
            # The keys that this store may serve; the others do not succeed.
            served = [at for at, key in enumerate(keys) if self._is_served(key)]
            names = [_name(keys[at]) for at in served]
            memory = () if buffers is None else ([buffers[at] for at in served],)
            results = [False] * len(keys)
            for at, result in zip(served, self._answers(work, names, *memory)):
                results[at] = result
            return results

        # LMCache takes a chunk for stored, or not, by the job; what is found and loaded, by the key.
        return self._jobs.submit(lane, len(keys), run, needs_all=lane is self._stores)

    def _answers(self, work: Callable[..., List[bool]], names: List[bytes], *memory: List[Any]) -> List[bool]:
        try:
            return work(names, *memory)
        except PrefixStoreError as problem:
            self._say(f"PrefixStore could not serve LMCache, whose engine computes the chunks: {problem}")
            raise

    def _settle(self) -> None:
        """Waits until chunks are on disk: LMCache takes them for stored then."""
        try:
            self._blocks.flush()
        except PrefixStoreError as problem:
            self._kept.say_lost(problem)
            raise

    def _look_up(self, names: List[bytes]) -> List[bool]:
        found = self._blocks.exists(names)
        if found and not any(found) and not self._has_missed:
            self._has_missed = True
            if self._blocks.differences():
                self._say(f"PrefixStore has none of the first {len(found)} chunks that were looked up. {self.explain()}")
        return found

    def _is_served(self, key: str) -> bool:
        parts = key.split(_SEPARATOR)
        if parts[0] != self._model_name or len(parts) not in (4, 5):
            self._say(
                f"LMCache asked for chunks of {parts[0]!r}, and this store has those of {self._model_name!r}. The others "
                "are computed. Set model_name in adapter_params to the name of the engine's model.")
            return False
        if len(parts[3]) < _HASH_DIGITS:
            self._say(
                f"LMCache names chunks by a hash of {len(parts[3]) // 2} bytes, which may stand for two prompts. They "
                "are computed. Start its server with --hash-algorithm blake3.")
            return False
        return True

    def _say(self, text: str) -> None:
        """Logs a sentence once."""
        if len(self._said) < _SENTENCES and text not in self._said:
            self._said.add(text)
            _log.warning("%s", text)


def _name(key: str) -> bytes:
    name = key.encode()
    return name if len(name) <= _LONGEST_KEY else hashlib.sha256(name).digest()


def _check(
    folder: str, model: str, chunk_size: int, kv_dtype: str, engine: str, others: Dict[str, Any],
) -> None:
    """Raises ValueError for what is missing: without it, another model's KV could be taken for this one's."""
    if others:
        raise ValueError(f"adapter_params has {', '.join(sorted(others))}, which PrefixStore does not know.")
    for name, value in (("folder", folder), ("model", model), ("engine", engine)):
        if not isinstance(value, str) or not value:
            raise ValueError(f"adapter_params has no {name}. {_WANTED[name]}")
    if not isinstance(kv_dtype, str) or kv_dtype not in _ELEMENTS:
        raise ValueError(f"kv_dtype is {kv_dtype!r}. Give the dtype of the KV cache: {', '.join(_ELEMENTS)}.")
    if isinstance(chunk_size, bool) or not isinstance(chunk_size, int) or chunk_size < 1:
        raise ValueError(f"chunk_size is {chunk_size!r}. Give the server's --chunk-size, in tokens.")
    check_folder(model)


def _version() -> str:
    try:
        version = importlib.metadata.version("lmcache")
    except importlib.metadata.PackageNotFoundError:
        raise ValueError("The package lmcache is not installed here, so its version is not known. Install it.") from None
    if version != TESTED:
        _log.warning(
            "This adapter of PrefixStore is tested with LMCache %s, and this is %s. It goes on, and shares nothing with "
            "other versions.", TESTED, version)
    return version
