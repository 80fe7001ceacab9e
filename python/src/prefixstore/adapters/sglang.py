"""A third level (L3) for SGLang's HiCache that keeps pages on disk, set by the options of SGLang alone.

    python -m sglang.launch_server --model-path /models/llama --enable-hierarchical-cache --page-size 64 \\
        --hicache-storage-backend dynamic --hicache-storage-backend-extra-config '{
            "backend_name": "prefixstore", "module_path": "prefixstore.adapters.sglang",
            "class_name": "PrefixStoreStorage", "interface_v1": 1,
            "prefixstore": {"folder": "kv", "model": "/models/llama"}}'

SGLang makes a `PrefixStoreStorage` per process of its scheduler and calls it from threads of its own, which may wait.
"""

from __future__ import annotations

import ctypes
import logging
from typing import Any, Callable, Dict, List, Optional, Sequence, Set, TypeVar, Union

import sglang as engine
import torch
from sglang.srt.mem_cache.hicache_storage import HiCacheStorage, PoolTransferResult

from .. import Store
from ._adapter_store import AdapterStore
from ._block_runs import BlockRuns
from ._block_store import BlockStore, sentence
from ._sglang_context import (
    FIELDS, TESTED, Settings, UnknownModelError, UnsupportedEngineError, check_engine, check_pool, context, element_of,
    options_of_engine)

__all__ = ["PrefixStoreStorage", "UnknownModelError", "UnsupportedEngineError"]

_log = logging.getLogger(__name__)
# Different sentences in the log.
_SENTENCES = 100
# The older calls hand over a page in another order of its bytes than the pool has.
_FLAT = b"flat "
_KV = "kv"
# Pages of fewer bytes are stored several together. tools/engines/measure sglang shows what they cost alone.
_SMALL = 16 << 10

Answer = TypeVar("Answer")
Blocks = Union[BlockStore, BlockRuns]


class PrefixStoreStorage(HiCacheStorage):
    """What SGLang's storage back end `dynamic` takes. Its object `prefixstore` in the extra configuration has:

    `folder`: the store, which any number of processes share. `model`: the folder of the weights that SGLang runs.
    `adapter`: a text that names the LoRA weights and their versions; needed with LoRA.
    `salt_file`: a file with a tenant's secret of 16 bytes or more. `quota`: bytes on disk, for all processes.
    `key_file`: a file with the key that seals what is stored; without it, the variable PFX_KEY.

    Thread-safe. Raises only while SGLang attaches it: `UnsupportedEngineError`, `UnknownModelError`, `ValueError` for
    another setting, and the errors of `prefixstore.open`; SGLang does not start then. Afterwards what cannot be stored
    or loaded is a miss, and the log says why.
    """

    def __init__(self, storage_config: Any, kwargs: Optional[Dict[str, Any]] = None) -> None:
        if engine.__version__ != TESTED:
            _log.warning(
                "This adapter of PrefixStore is tested with SGLang %s, and this is %s. It goes on, and shares nothing "
                "with other versions.", TESTED, engine.__version__)
        self._config = storage_config
        self._settings = Settings.of(storage_config.extra_config)
        self._options = options_of_engine()
        check_engine(self._settings, self._options)
        self._said: Set[str] = set()
        self._has_missed = False
        self._kept: Optional[AdapterStore] = None
        self._blocks: Optional[Blocks] = None
        self._page_bytes = 0

    # What SGLang calls while it attaches the storage.

    def register_mem_pool_host(self, mem_pool_host: Any) -> None:
        """Opens the store for the pages of this pool."""
        check_pool(mem_pool_host)
        self._page_bytes = mem_pool_host.page_size * mem_pool_host.size_per_token
        super().register_mem_pool_host(mem_pool_host)
        self.close()
        self._kept = AdapterStore(
            self._settings.folder, lambda text: self._say(f"PrefixStore {text}"), key_file=self._settings.key_file,
            quota=self._settings.quota)
        self._blocks = self._kept.begin(self._made)

    def register_mem_host_pool_v2(self, host_pool: Any, host_pool_name: Any) -> None:
        """Refuses models that keep more than keys and values."""
        if str(host_pool_name) != _KV:
            raise UnsupportedEngineError(
                f"This model also keeps states in a pool {str(host_pool_name)!r}, which this adapter does not store. "
                "Run it without a store.")
        super().register_mem_host_pool_v2(host_pool, host_pool_name)

    # What SGLang calls for pages. `keys` are its hashes of all tokens up to the end of a page.

    def batch_exists(self, keys: List[str], extra_info: Any = None) -> int:
        """How many of the first pages are stored. A page that still waits for the disk is not."""
        return self._answer(lambda blocks: self._looked_up(blocks, keys), 0)

    def batch_get_v1(self, keys: List[str], host_indices: Any, extra_info: Any = None) -> List[bool]:
        """Loads pages straight into the host pool. `host_indices`: the places of their tokens, int64."""
        return self._answer(
            lambda blocks: blocks.get(_names(keys), self._pages(host_indices, len(keys))), [False] * len(keys))

    def batch_set_v1(self, keys: List[str], host_indices: Any, extra_info: Any = None) -> List[bool]:
        """Stores pages straight from the host pool: copies them into the queue for the disk."""
        return self._answer(
            lambda blocks: blocks.put(_names(keys), self._pages(host_indices, len(keys))), [False] * len(keys))

    # Pools beside keys and values, which are refused when they are registered.

    def batch_exists_v2(self, keys: List[str], pool_transfers: Any = None, extra_info: Any = None) -> Any:
        """Nothing, when the model keeps more than keys and values."""
        if pool_transfers:
            return PoolTransferResult.empty()
        return PoolTransferResult(self.batch_exists(keys, extra_info), {})

    def batch_get_v2(self, transfers: List[Any], extra_info: Any = None) -> Dict[Any, List[bool]]:
        """Nothing."""
        return {transfer.name: [False] * len(transfer.keys or []) for transfer in transfers}

    def batch_set_v2(self, transfers: List[Any], extra_info: Any = None) -> Dict[Any, List[bool]]:
        """Nothing."""
        return {transfer.name: [False] * len(transfer.keys or []) for transfer in transfers}

    # The older calls, which SGLang uses without "interface_v1": a page is a tensor that SGLang has copied.

    def get(self, key: str, target_location: Any = None, target_sizes: Any = None) -> Optional[torch.Tensor]:
        """Loads a page into a tensor, which it makes without `target_location`; None for a miss."""
        return self.batch_get([key], None if target_location is None else [target_location])[0]

    def batch_get(
        self, keys: List[str], target_locations: Any = None, target_sizes: Any = None,
    ) -> List[Optional[torch.Tensor]]:
        """As `get`, for several."""
        def load(blocks: Blocks) -> List[Optional[torch.Tensor]]:
            pool = self.mem_pool_host
            targets = target_locations or [pool.get_dummy_flat_data_page() for _ in keys]
            came = blocks.get(_names(keys, _FLAT), [_bytes(target) for target in targets])
            return [target if result else None for target, result in zip(targets, came)]

        return self._answer(load, [None] * len(keys))

    def set(self, key: str, value: Any = None, target_location: Any = None, target_sizes: Any = None) -> bool:
        """Stores a page, a tensor of the CPU."""
        return self.batch_set([key], [value])

    def batch_set(
        self, keys: List[str], values: Any = None, target_locations: Any = None, target_sizes: Any = None,
    ) -> bool:
        """As `set`, for several; whether all were taken."""
        def store(blocks: Blocks) -> bool:
            return all(blocks.put(_names(keys, _FLAT), [_bytes(value.contiguous()) for value in values]))

        return self._answer(store, False)

    def exists(self, key: str) -> bool:
        """Whether a page is stored."""
        return self._answer(lambda blocks: blocks.exists(_names([key], self._kind()))[0], False)

    def flush(self) -> None:
        """Waits until all that was set is on disk. SGLang does not call it."""
        self._answer(lambda blocks: blocks.flush(), None)

    def close(self) -> None:
        """Writes what waits, and closes the store."""
        kept, self._kept, self._blocks = self._kept, None, None
        if kept is not None:
            kept.close()

    # For people.

    def explain(self) -> str:
        """In what the nearest other context of the folder differs from this one."""
        return self._answer(lambda blocks: sentence(blocks.differences(), FIELDS), "The store is not open.")

    # Inside.

    def _made(self, store: Store) -> Blocks:
        """The blocks of this pool, several in a record when they are small."""
        pool = self.mem_pool_host
        blocks = BlockStore(store, context(store, self._settings, self._config, pool, self._options), element_of(pool))
        return BlockRuns(blocks, self._page_bytes) if self._page_bytes < _SMALL else blocks

    def _answer(self, ask: Callable[[Blocks], Answer], otherwise: Answer) -> Answer:
        """What the store answers; what a miss is when it cannot."""
        blocks, kept = self._blocks, self._kept
        if blocks is None or kept is None:
            return otherwise
        try:
            kept.look_for_losses()
            return ask(blocks)
        except Exception as problem:  # An engine must not end because its cache is in trouble.
            self._say(f"PrefixStore could not serve SGLang, which computes the pages: {problem}")
            return otherwise

    def _kind(self) -> bytes:
        """What the keys of this process's pages begin with."""
        return b"" if self._config.extra_config.get("interface_v1") else _FLAT

    def _looked_up(self, blocks: Blocks, keys: Sequence[str]) -> int:
        found = blocks.leading(_names(keys, self._kind()))
        if keys and not found and not self._has_missed:
            self._has_missed = True
            differences = blocks.differences()
            if differences:
                self._say(f"PrefixStore has none of {len(keys)} pages. {sentence(differences, FIELDS)}")
        return found

    def _pages(self, host_indices: Any, count: int) -> List[List[Any]]:
        """The memory of each page in the host pool, in pieces: keys and values, of all layers or of one each."""
        if count == 0:
            return []
        addresses, sizes = self.mem_pool_host.get_page_buffer_meta(host_indices)
        per_page = len(addresses) // count
        if len(sizes) != len(addresses) or sum(sizes) != count * self._page_bytes:
            raise ValueError(f"SGLang has given {sum(sizes)} bytes for {count} pages of {self._page_bytes}.")
        pieces = [(ctypes.c_char * size).from_address(address) for address, size in zip(addresses, sizes)]
        return [pieces[at : at + per_page] for at in range(0, len(pieces), per_page)]

    def _say(self, text: str) -> None:
        """Logs a sentence once."""
        if len(self._said) < _SENTENCES and text not in self._said:
            self._said.add(text)
            _log.warning("%s", text)


def _names(keys: Sequence[str], kind: bytes = b"") -> List[bytes]:
    return [kind + key.encode() for key in keys]


def _bytes(tensor: torch.Tensor) -> torch.Tensor:
    """The bytes of a tensor, as a view."""
    return tensor.view(-1).view(torch.uint8)
