"""Behind LMCache's own adapter and with its own hashes of tokens, the client passes the suite for adapters."""

import hashlib
from pathlib import Path
from types import SimpleNamespace

from lmcache.v1.distributed.api import ObjectKey
from lmcache.v1.multiprocess.token_hasher import TokenHasher
from support import TOKENS, Cache, make_model, parameters

from prefixstore.testing import Conformance, Driver, Served

ROW = 1024


class LMCacheDriver(Driver):
    granularity = TOKENS
    vocabulary = 256

    def start(self, setup):
        model = make_model(f"{setup.folder}-models", setup.model, seed=setup.model)
        params = {**parameters(setup.folder, model), "adapter": setup.adapter or "", "quota": 64 << 20}
        if setup.tenant:
            secret = Path(f"{setup.folder}-models") / setup.tenant
            secret.write_bytes(hashlib.sha256(setup.tenant.encode()).digest())
            params["salt_file"] = str(secret)
        return SimpleNamespace(setup=setup, cache=Cache(params), hasher=TokenHasher(TOKENS, "blake3"))

    def row(self, engine, tokens, at):
        """What the model computes for a token: of all tokens up to it, of the weights and of the LoRA."""
        setup = engine.setup
        return hashlib.shake_128(repr((setup.model, setup.adapter, tokens[: at + 1])).encode()).digest(ROW)

    def prefill(self, engine, tokens):
        tokens = list(tokens)
        keys = [ObjectKey(chunk_hash=chunk, model_name="model", kv_rank=0)
                for chunk in engine.hasher.compute_chunk_hashes(tokens)]
        cache = engine.cache
        objects = cache.objects(keys)
        views = [each.byte_array.cast("B") for each in objects]
        # The last token is always computed.
        wanted = keys[: (len(tokens) - 1) // TOKENS]
        found = leading(cache.lookup(wanted))
        came = leading(cache.fetch(wanted[:found], objects))
        for chunk in range(came, len(keys)):
            for token in range(TOKENS):
                views[chunk][token * ROW : (token + 1) * ROW] = self.row(engine, tokens, chunk * TOKENS + token)
        if came < len(keys):
            cache.send(keys[came:], objects[came:])
        rows = [bytes(view[token * ROW : (token + 1) * ROW]) for view in views for token in range(TOKENS)]
        rows += [self.row(engine, tokens, at) for at in range(len(rows), len(tokens))]
        return Served(came * TOKENS, rows)

    def flush(self, engine):
        """What LMCache takes for stored is on disk."""

    def stop(self, engine):
        engine.cache.close()


def leading(results):
    return results.index(False) if False in results else len(results)


class TestLMCache(Conformance):
    driver = LMCacheDriver
