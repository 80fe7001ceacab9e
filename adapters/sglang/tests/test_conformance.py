"""With SGLang's own host pool and its own hashes of tokens, the storage passes the suite for adapters."""

import hashlib
import json
from pathlib import Path
from types import SimpleNamespace

import torch
from pool import attach, host_pool, options, places, storage_config
from sglang.srt.mem_cache.utils import get_hash_str

from prefixstore.adapters import sglang
from prefixstore.testing import Conformance, Driver, Served

PAGE = 16


class SGLangDriver(Driver):
    granularity = PAGE
    vocabulary = 256

    def start(self, setup):
        # No engine runs in this process, whose options the storage could read.
        sglang.options_of_engine = lambda: options(enable_lora=bool(setup.adapter))
        home = Path(f"{setup.folder}-models")
        model = home / setup.model
        model.mkdir(parents=True, exist_ok=True)
        (model / "config.json").write_text(json.dumps({"model_type": "llama"}))
        (model / "model.safetensors").write_bytes(setup.model.encode())
        given = {"folder": setup.folder, "model": str(model), "quota": 64 << 20}
        if setup.adapter:
            given["adapter"] = setup.adapter
        if setup.tenant:
            given["salt_file"] = str(home / setup.tenant)
            Path(given["salt_file"]).write_bytes(hashlib.sha256(setup.tenant.encode()).digest())
        pool = host_pool(PAGE, heads=4)
        return SimpleNamespace(setup=setup, pool=pool, storage=attach(storage_config(given), pool))

    def compute(self, engine, tokens, at):
        """What the model computes for a token: of all tokens up to it, of the weights and of the LoRA."""
        pool, setup = engine.pool, engine.setup
        size = pool.size_per_token
        row = hashlib.shake_128(repr((setup.model, setup.adapter, tokens[: at + 1])).encode()).digest(size)
        numbers = torch.frombuffer(bytearray(row), dtype=torch.bfloat16).view(2, pool.layer_num, pool.head_num, -1)
        # page_first_direct: [keys and values, pages, layers, tokens, heads, width]
        pool.kv_buffer[:, at // PAGE, :, at % PAGE] = numbers

    def prefill(self, engine, tokens):
        tokens, pool = list(tokens), engine.pool
        pool.kv_buffer.zero_()
        whole = len(tokens) // PAGE
        keys = get_hash_str(tokens[: whole * PAGE], page_size=PAGE)
        # The last token is always computed.
        wanted = keys[: (len(tokens) - 1) // PAGE]
        found = engine.storage.batch_exists(wanted)
        results = engine.storage.batch_get_v1(wanted[:found], places(pool, 0, found))
        came = results.index(False) if False in results else len(results)
        for at in range(came * PAGE, len(tokens)):
            self.compute(engine, tokens, at)
        if came < whole:
            assert all(engine.storage.batch_set_v1(keys[came:], places(pool, came, whole - came)))
        rows = [
            pool.kv_buffer[:, at // PAGE, :, at % PAGE].contiguous().view(torch.uint8).numpy().tobytes()
            for at in range(len(tokens))]
        return Served(came * PAGE, rows)

    def flush(self, engine):
        engine.storage._blocks.flush()

    def stop(self, engine):
        engine.storage.close()


class TestSGLang(Conformance):
    driver = SGLangDriver
