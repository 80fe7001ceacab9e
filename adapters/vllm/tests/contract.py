"""vLLM's side of a tier without a model: its own spec, host memory and manager, and KV that a hash computes.

A start takes milliseconds, so that a suite can start many. `host.py` runs the whole engine.
"""

import functools
import hashlib
import itertools
import os
import time
from pathlib import Path

import numpy as np
from vllm.config import set_current_vllm_config
from vllm.engine.arg_utils import EngineArgs
from vllm.v1.kv_offload.base import LookupResult, ReqContext, ScheduleEndContext, make_offload_key
from vllm.v1.kv_offload.config import (
    OffloadingCacheConfig, OffloadingConfig, OffloadingGroupConfig, OffloadingModelConfig, OffloadingParallelConfig)
from vllm.v1.kv_offload.tiering.spec import TieringOffloadingSpec

from prefixstore.adapters import vllm as adapter

MODELS = Path(os.environ["TEST_MODELS"])
BLOCK, ROW = 16, 256  # tokens of a block, bytes of a token
CHUNKS = 64  # of the host memory
MISS, HIT, PENDING, RETRY = LookupResult.MISS, LookupResult.HIT, LookupResult.HIT_PENDING, LookupResult.RETRY
_numbers = itertools.count()


@functools.lru_cache(maxsize=None)
def engine_config(model, **options):
    """What vLLM makes of its arguments."""
    return EngineArgs(model=str(MODELS / model), skip_tokenizer_init=True, **options).create_engine_config()


def lora(folder, name):
    """A folder in the form of a LoRA; its bytes follow from the name."""
    Path(folder).mkdir(exist_ok=True)
    Path(folder, "adapter_config.json").write_text("{}")
    Path(folder, "adapter_model.safetensors").write_bytes(hashlib.shake_128(name.encode()).digest(1000))
    return str(folder)


def secret(path, text="a tenant's secret"):
    """A file with a tenant's salt."""
    Path(path).write_text(text)
    return str(path)


def keys_of(tokens):
    """The keys of the whole blocks of a prompt: each hash covers all tokens up to the end of its block."""
    ends = range(BLOCK, len(tokens) + 1, BLOCK)
    return [make_offload_key(hashlib.sha256(np.array(tokens[:end]).tobytes()).digest(), 0) for end in ends]


class Engine:
    """One scheduler with one tier of PrefixStore. `options` are those of the tier."""

    def __init__(self, folder, model="llama", config=None, chunks=CHUNKS, dtype="bfloat16", workers=1, **options):
        self.seed = hashlib.sha256(f"{model} {options.get('adapters')}".encode()).digest()
        page = BLOCK * ROW
        tier = {
            "type": "PrefixStoreTier", "module_path": adapter.__name__, "folder": str(folder), "quota": 64 << 20,
            **options}
        offloading = OffloadingConfig(
            groups=(OffloadingGroupConfig(tokens_per_block=BLOCK, layer_names=("layer 0",), group_id=0),),
            worker_kv_bytes_per_block=page, enable_kv_cache_events=False,
            extra_config={"cpu_bytes_to_use": chunks * workers * page, "secondary_tiers": [tier]},
            engine_id=f"pfx-test-{os.getpid()}-{next(_numbers)}", model=OffloadingModelConfig(str(MODELS / model), dtype),
            cache=OffloadingCacheConfig(tokens_per_hash=BLOCK, blocks_per_chunk=1),
            parallel=OffloadingParallelConfig(
                rank=0, world_size=workers, tp_size=workers, pp_size=1, pcp_size=1, dcp_size=1, data_parallel_index=0,
                data_parallel_size=1, data_parallel_rank_local=None, is_parallelism_agnostic=True))
        with set_current_vllm_config(engine_config(model) if config is None else config):
            self.manager = TieringOffloadingSpec(offloading).get_manager()
        self.tier = self.manager.secondary_tiers[0]

    def compute(self, tokens, first):
        """The KV of each token from `first` on, which depends on all before it."""
        before = (self.seed + np.array(tokens[:at + 1]).tobytes() for at in range(first, len(tokens)))
        return [hashlib.shake_128(text).digest(ROW) for text in before]

    def step(self):
        """The end of a step of the scheduler."""
        self.manager.on_schedule_end(ScheduleEndContext(new_req_ids=(), preempted_req_ids=()))
        time.sleep(0.001)

    def settle(self):
        """Steps until nothing is under way."""
        while self.manager.has_pending_work():
            self.step()

    def find(self, keys, request):
        """How many of the first keys are in the host memory, when all of them were looked for."""
        while True:
            found, is_open = 0, False
            for key in keys:
                answer = self.manager.lookup(key, request)
                if answer is MISS:
                    break
                found += 1
                is_open |= answer is not HIT
            if not is_open:
                return found
            self.step()

    def begin(self):
        request = ReqContext(req_id=str(next(_numbers)))
        self.manager.on_new_request(request)
        return request

    def rows(self, chunks):
        view = self.manager.primary_tier.get_kv_memoryview()
        return np.frombuffer(view, np.uint8).reshape(view.shape)[np.array(chunks, int), :BLOCK * ROW]

    def load(self, tokens, request):
        """The KV of the first tokens, as much as is stored of them; the last token is never loaded."""
        keys = keys_of(tokens[:-1])
        found = keys[:self.find(keys, request)]
        if not found:
            return []
        chunks = self.manager.prepare_load(found, request).chunk_ids
        blocks = self.rows(chunks).tobytes()
        self.manager.complete_load(found, request)
        return [blocks[at:at + ROW] for at in range(0, len(blocks), ROW)]

    def store(self, tokens, rows, request):
        """Offers all whole blocks of a prompt, as the engine does after it has computed them."""
        keys = keys_of(tokens)
        prepared = self.manager.prepare_store(keys, request)
        if prepared is None or not prepared.keys_to_store:
            return
        view = self.manager.primary_tier.get_kv_memoryview()
        memory = np.frombuffer(view, np.uint8).reshape(view.shape)
        for key, chunk in zip(prepared.keys_to_store, prepared.store_spec.chunk_ids):
            at = keys.index(key)
            memory[chunk, :BLOCK * ROW] = np.frombuffer(b"".join(rows[at * BLOCK:(at + 1) * BLOCK]), np.uint8)
        self.manager.complete_store(prepared.keys_to_store, request, True)

    def prefill(self, tokens):
        """Serves a prompt. Afterwards the host memory is empty. Returns how many tokens were loaded, and all KV."""
        request = self.begin()
        loaded = self.load(tokens, request)
        rows = loaded + self.compute(tokens, len(loaded))
        self.store(tokens, rows, request)
        self.manager.on_request_finished(request)
        self.settle()
        self.manager.reset_cache()
        return len(loaded), rows

    def stop(self):
        self.manager.shutdown()
