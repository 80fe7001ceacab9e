"""A tier of vLLM's KV offloading that survives restarts, and that all engines of a host share.

    vllm serve MODEL --kv-transfer-config '{
        "kv_connector": "PrefixStoreConnector", "kv_role": "kv_both", "kv_connector_extra_config": {
            "spec_name": "TieringOffloadingSpec", "cpu_bytes_to_use": 8589934592,
            "secondary_tiers": [{"type": "prefixstore", "folder": "/var/lib/kv"}]}}'

vLLM copies blocks of KV between the device and its own memory on the host. From there this tier moves them into the
store and back. vLLM finds both names by itself when the wheel is installed.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any, Collection, Dict, Iterable, List, Optional, Sequence, Set, Union

try:
    from vllm.config import get_current_vllm_config_or_none, set_current_vllm_config
    from vllm.distributed.kv_transfer.kv_connector.v1.offloading_connector import OffloadingConnector
    from vllm.logger import init_logger
    from vllm.v1.kv_offload.base import Locality, LookupResult, Medium, RequestOffloadingContext
    from vllm.v1.kv_offload.tiering.base import JobResult, SecondaryTierManager
except ImportError as problem:
    raise ImportError(
        f"PrefixStore's tier needs the tiered offloading of vLLM 0.32, and this vLLM differs ({problem}). Install a "
        "version that docs/engines/vllm.md names, or take PrefixStoreConnector out of --kv-transfer-config.") from problem

from .. import (
    Blocks, Completion, Element, InvalidArgumentError, InvalidIdentityError, InvalidKeyError, InvalidOptionError,
    PrefixStoreError, Queue, Store)
from ._adapter_store import AdapterStore
from ._salt_file import read_salt
from ._vllm_identity import ELEMENTS, UnknownEngineError, check, identity, sign
from ._vllm_lookups import Lookups

__all__ = ["PrefixStoreConnector", "PrefixStoreTier"]

#: What the tier is called in "secondary_tiers".
TIER = "prefixstore"
# A name below "vllm": its settings for logs hold for this module too.
_logger = init_logger("vllm.prefixstore")


class PrefixStoreConnector(OffloadingConnector):
    """vLLM's OffloadingConnector, which also tells its tiers of which engine they are.

    Raises ValueError when the configuration has no tier of PrefixStore: vLLM itself would ignore that.
    """

    def __init__(self, vllm_config: Any, role: Any, kv_cache_config: Any) -> None:
        extra = vllm_config.kv_transfer_config.kv_connector_extra_config
        types = [tier.get("type") for tier in extra.get("secondary_tiers", [])]
        if "spec_name" not in extra or not {TIER, PrefixStoreTier.__name__} & set(types):
            raise ValueError(
                f"PrefixStoreConnector has no tier of type {TIER!r}. Give kv_connector_extra_config "
                f'"spec_name": "TieringOffloadingSpec" and "secondary_tiers": [{{"type": "{TIER}", "folder": ...}}].')
        with set_current_vllm_config(vllm_config):
            super().__init__(vllm_config, role, kv_cache_config)


@dataclass(frozen=True)
class _Transfer:
    """A job of vLLM that the store works on."""

    job: int
    keys: List[bytes]
    is_load: bool
    began: float


class PrefixStoreTier(SecondaryTierManager):
    """Keeps the blocks of vLLM's host memory in a store.

    `folder`: the store, which any number of engines use at the same time. `quota`: bytes on disk, for all of them.
    `salt_file`: a file with a tenant's secret of 16 bytes or more; vLLM would log the secret itself. `adapters`: the
    folders of all LoRA of this engine. `accept_version`: a version of vLLM besides those that are tested. `key_file`: a
    file with the key that seals what is stored; without it, the variable PFX_KEY.

    vLLM calls it on the thread of its scheduler. Only the constructor, `drain_jobs` and `shutdown` wait for the disk.
    It is a cache: what cannot be stored or loaded is computed, and one line of the log says why. An engine that it does
    not know well enough runs without it, and the log says why. Raises the errors of wrong options when the engine
    starts.
    """

    medium = Medium.STORAGE

    def __init__(
        self, offloading_spec: Any, primary_kv_view: memoryview, tier_type: str, backpressure_detector: Any = None, *,
        folder: str, quota: Optional[int] = None, salt_file: Optional[str] = None, adapters: Sequence[str] = (),
        accept_version: Optional[str] = None, key_file: Optional[str] = None,
    ) -> None:
        super().__init__(offloading_spec, primary_kv_view, tier_type, backpressure_detector)
        self.locality = Locality.LOCAL
        if isinstance(adapters, str):
            raise TypeError("adapters is a list of folders, not one text.")
        self._memory = primary_kv_view.cast("B")
        self._chunk_bytes = _bytes_in_use(offloading_spec, self._block_size_bytes)
        self._lookups = Lookups()
        # What the store works on, by its own numbers: the keys of a look-up, or a job of vLLM.
        self._running: Dict[int, Union[List[bytes], _Transfer]] = {}
        self._finished: List[JobResult] = []
        self._said: Set[str] = set()
        self._kept: Optional[AdapterStore] = None
        #: The open store; None when the tier is off.
        self.store: Optional[Store] = None
        self._blocks: Optional[Blocks] = None
        self._queue: Optional[Queue] = None
        # In what the nearest other engine differs. Said once, with the first prompt of which nothing is found.
        self._difference: Optional[str] = None
        try:
            salt = read_salt(salt_file)
            config = get_current_vllm_config_or_none()
            check(config, adapters, accept_version)
            self._kept = AdapterStore(folder, _warn, key_file=key_file, quota=quota)
            self._kept.begin(lambda store: self._begin(store, config, offloading_spec, salt, adapters))
            _logger.info("PrefixStore is on: %s, chunks of %d tokens, %d bytes.", folder, self._tokens, self._chunk_bytes)
        # A version that was accepted untested may lack what is read here.
        except (UnknownEngineError, PrefixStoreError, OSError, AttributeError, ImportError) as problem:
            self.shutdown()
            if isinstance(problem, (InvalidArgumentError, InvalidIdentityError, InvalidKeyError, InvalidOptionError)):
                raise
            _logger.error("PrefixStore is off, and every prompt is computed: %s.", str(problem).rstrip("."))

    def _begin(
        self, store: Store, config: Any, spec: Any, salt: Optional[bytes], adapters: Sequence[str],
    ) -> None:
        of = identity(config, spec.config, store, salt, adapters)
        element = ELEMENTS.get(spec.config.model.dtype, Element.BYTES)
        self._tokens = spec.tokens_per_block[0] * spec.blocks_per_chunk
        self._difference = sign(store, of, element, min(self._tokens, 4096))
        self._blocks = store.blocks(of, element)
        self._queue = self._blocks.queue()
        self.store = store

    # What vLLM asks.

    def lookup(self, key: bytes, req_context: Any) -> LookupResult:
        """RETRY until the store has answered: all keys that a step asks for go to the store together."""
        if self._queue is None:
            return LookupResult.MISS
        found = self._lookups.ask(key, req_context.req_id)
        return LookupResult.RETRY if found is None else LookupResult.HIT if found else LookupResult.MISS

    def on_new_request(self, req_context: Any) -> RequestOffloadingContext:
        """vLLM offers each block once, when it is computed."""
        return RequestOffloadingContext()

    def on_request_finished(self, req_context: Any) -> None:
        """Forgets what the request has asked for. Says it when the store's disk has not taken all of its blocks."""
        self._lookups.forget(req_context.req_id)
        if self._kept is not None:
            self._kept.look_for_losses()

    def touch(self, keys: Collection[bytes], req_context: Any) -> None:
        """Counts as a use in the store, for its eviction."""
        if self._blocks is not None:
            try:
                self._blocks.touch(list(keys))
            except PrefixStoreError as problem:
                self._say("count a use", problem)

    # Jobs.

    def submit_store(self, job_metadata: Any) -> None:
        """Passes blocks on to the store, which reads them from vLLM's memory on a thread of its own."""
        self._submit(job_metadata, is_load=False)

    def submit_load(self, job_metadata: Any) -> None:
        """Has the store write blocks into vLLM's memory, on a thread of its own."""
        self._submit(job_metadata, is_load=True)

    def _submit(self, job: Any, is_load: bool) -> None:
        keys = list(job.keys)
        if self._queue is not None:
            submit = self._queue.submit_get if is_load else self._queue.submit_put
            try:
                number = submit(keys, [self._row(chunk) for chunk in job.chunk_ids])
                self._running[number] = _Transfer(job.job_id, keys, is_load, time.monotonic())
                return
            except PrefixStoreError as problem:
                self._say("load blocks" if is_load else "store blocks", problem)
        if is_load:
            self._lookups.take_back(keys)
        self._finished.append(JobResult(job.job_id, success=False))

    def _row(self, chunk: int) -> memoryview:
        begin = int(chunk) * self._block_size_bytes
        return self._memory[begin : begin + self._chunk_bytes]

    def on_schedule_end(self, context: Any) -> None:
        """Passes on the look-ups of this step."""
        keys = self._lookups.take_new()
        if not keys:
            return
        if self._queue is not None:
            try:
                self._running[self._queue.submit_exists(keys)] = keys
                return
            except PrefixStoreError as problem:
                self._say("look blocks up", problem)
        self._lookups.answer(keys, bytes(len(keys)))

    def get_finished_jobs(self) -> Iterable[JobResult]:
        """What has ended since the last call. vLLM calls it once per step, before it looks anything up."""
        if self._queue is not None:
            try:
                for completion in self._queue.drain():
                    self._take(completion)
            except PrefixStoreError as problem:
                self._say("hear of its jobs", problem)
                # vLLM would wait for ever for what nobody reports.
                self._end_jobs()
        finished, self._finished = self._finished, []
        return finished

    def _take(self, completion: Completion) -> None:
        ended = self._running.pop(completion.job)
        if not isinstance(ended, _Transfer):
            self._lookups.answer(ended, completion.results)
            if not completion.succeeded and self._difference:
                _logger.info("PrefixStore has nothing of a prompt. %s", self._difference)
            self._difference = None
            return
        is_whole = completion.succeeded == completion.count
        if completion.error is not None:
            self._say("load blocks" if ended.is_load else "store blocks", completion.error)
        came = [key for key, result in zip(ended.keys, completion.results) if result]
        if ended.is_load and not is_whole:
            # vLLM computes these, and offers them again. Those that came it keeps.
            self._lookups.take_back([key for key, result in zip(ended.keys, completion.results) if not result])
        self._finished.append(JobResult(
            ended.job, success=is_whole, successful_keys=came if ended.is_load and came and not is_whole else None,
            transfer_time=time.monotonic() - ended.began, transfer_bytes=len(came) * self._chunk_bytes))

    def drain_jobs(self) -> None:
        """Waits until the store touches none of vLLM's memory. `get_finished_jobs` reports what has ended."""
        if self._queue is None:
            return
        try:
            self._queue.wait()
        except PrefixStoreError as problem:
            self._say("wait for its jobs", problem)
            # Nothing but its end lets go of the memory for certain.
            self._end_jobs()

    def _end_jobs(self) -> None:
        """Closes the queue, which waits for the jobs that have begun, and reports all that were not as failed."""
        queue, self._queue = self._queue, None
        if queue is not None:
            queue.close()
        for ended in self._running.values():
            if isinstance(ended, _Transfer):
                self._finished.append(JobResult(ended.job, success=False))
        self._running.clear()

    def shutdown(self) -> None:
        """Ends all jobs, lets go of vLLM's memory, and writes what waits for the disk."""
        # An error here reaches vLLM, which then keeps its memory: the store may still use it.
        self._end_jobs()
        self._memory.release()
        kept, self._kept, self.store, self._blocks = self._kept, None, None, None
        if kept is not None:
            kept.close()

    def _say(self, what: str, problem: PrefixStoreError) -> None:
        """One line per kind of trouble, however often it comes."""
        kind = f"{what} {type(problem).__name__}"
        if kind not in self._said:
            self._said.add(kind)
            _logger.warning("PrefixStore could not %s, and the engine goes on: %s", what, problem)


def _warn(text: str) -> None:
    _logger.warning("PrefixStore %s", text)


def _bytes_in_use(spec: Any, row_bytes: int) -> int:
    """The bytes of a chunk, which are those of all workers, without the padding of its row."""
    config = spec.config
    copies = 1 if config.replicated_layout else config.parallel.world_size
    return min(row_bytes, int(config.worker_kv_bytes_per_block) * copies * int(spec.blocks_per_chunk))
