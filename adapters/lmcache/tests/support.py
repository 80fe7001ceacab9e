"""What the tests share: LMCache's own adapter over the client, and chunks whose bytes follow from their keys."""

import hashlib
import importlib.metadata
import json
import os
import time
from pathlib import Path

os.environ.setdefault("LMCACHE_TRACK_USAGE", "false")

import torch
from lmcache.v1.distributed.api import MemoryLayoutDesc, ObjectKey
from lmcache.v1.distributed.l2_adapters.factory import create_l2_adapter_from_registry
from lmcache.v1.distributed.l2_adapters.native_plugin_l2_adapter import NativePluginL2AdapterConfig
from lmcache.v1.memory_allocators.host_memory_allocator import HostMemoryAllocator
from lmcache.v1.memory_management import MemoryFormat

VERSION = importlib.metadata.version("lmcache")
TOKENS = 16
# [keys and values, layers, tokens, width]: 16 KiB, as LMCache keeps a chunk.
SHAPE = torch.Size([2, 4, TOKENS, 64])
LAYOUT = {0: MemoryLayoutDesc([SHAPE], [torch.bfloat16])}
LONGEST = 60  # seconds; what takes longer hangs


def make_model(folder, name, seed=1, **configuration):
    """A folder as transformers saves it: only its bytes count here."""
    path = Path(folder) / name
    path.mkdir(parents=True, exist_ok=True)
    settings = {"model_type": "llama", "rope_theta": 10000.0, **configuration}
    (path / "config.json").write_text(json.dumps(settings))
    (path / "tokenizer.json").write_text("{}")
    (path / "model.safetensors").write_bytes(hashlib.shake_128(f"weights {seed}".encode()).digest(4096))
    return str(path)


def parameters(folder, model, **changes):
    return {
        "folder": str(folder), "model": model, "model_name": "model", "chunk_size": TOKENS, "kv_dtype": "bfloat16",
        "engine": "tests", **changes}


def connect(params):
    """LMCache's own adapter, made from a configuration alone."""
    return create_l2_adapter_from_registry(NativePluginL2AdapterConfig.from_dict({
        "type": "native_plugin", "module_path": "prefixstore.adapters.lmcache", "class_name": "PrefixStoreClient",
        "adapter_params": params}))


def key_of(name, model="model", salt=""):
    return ObjectKey(
        chunk_hash=hashlib.sha256(str(name).encode()).digest(), model_name=model, kv_rank=0, cache_salt=salt)


def bytes_of(key, size):
    return hashlib.shake_128(repr(key).encode()).digest(size)


class Cache:
    """LMCache's adapter with memory of LMCache, and calls that wait."""

    def __init__(self, params):
        self.adapter = connect(params)
        self.client = self.adapter._client
        self._memory = HostMemoryAllocator(64 << 20)

    def objects(self, keys, fill=False):
        made = [self._memory.allocate([SHAPE], [torch.bfloat16], MemoryFormat.KV_2LTD) for _ in keys]
        for key, each in zip(keys, made):
            view = each.byte_array.cast("B")
            view[:] = bytes_of(key, len(view)) if fill else bytes(len(view))
        return made

    def store(self, keys):
        """Whether LMCache takes the chunks for stored."""
        objects = self.objects(keys, fill=True)
        task = self.adapter.submit_store_task(keys, objects)
        ended = until(self.adapter.pop_completed_store_tasks)
        self._free(objects)
        return ended[task].is_successful()

    def lookup(self, keys):
        """Which chunks LMCache finds."""
        task = self.adapter.submit_lookup_and_lock_task(keys, LAYOUT)
        found = until(lambda: self.adapter.query_lookup_and_lock_result(task))
        self.adapter.submit_unlock(keys)
        return [found.test(at) for at in range(len(keys))]

    def load(self, keys):
        """Which chunks LMCache loads; every byte of those is right."""
        objects = self.objects(keys)
        task = self.adapter.submit_load_task(keys, objects)
        came = until(lambda: self.adapter.query_load_result(task))
        results = [came.test(at) for at in range(len(keys))]
        for key, each, result in zip(keys, objects, results):
            view = bytes(each.byte_array.cast("B"))
            assert not result or view == bytes_of(key, len(view)), "a chunk came with other bytes"
        self._free(objects)
        return results

    def close(self):
        self.adapter.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _free(self, objects):
        for each in objects:
            each.ref_count_down()


def until(ask):
    """What `ask` returns as soon as it returns something."""
    end = time.monotonic() + LONGEST
    while time.monotonic() < end:
        answer = ask()
        if answer:
            return answer
        if answer is not None and not isinstance(answer, dict):
            return answer
        time.sleep(0.001)
    raise AssertionError("LMCache's adapter does not answer")
