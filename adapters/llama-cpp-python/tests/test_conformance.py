"""PrefixCache passes the suite for adapters: branches, damage, two engines at once, kills, other names."""

from types import SimpleNamespace

from llama_driver import LlamaDriver

from prefixstore.adapters.llama_cpp import PrefixCache
from prefixstore.testing import Conformance, Served


class PrefixCacheDriver(LlamaDriver):
    def start(self, setup):
        llm = self.llama(setup)
        cache = PrefixCache(
            llm, setup.folder, quota=64 << 20, salt=self.salt(setup), page_tokens=self.page_tokens,
            changes=setup.adapter or "")
        return SimpleNamespace(llm=llm, cache=cache)

    def prefill(self, engine, tokens):
        """Does what Llama does around a completion."""
        self.forget(engine.llm)
        try:
            engine.cache[tokens]
        except KeyError:
            pass  # the tokens are in the context
        reused = engine.llm.n_tokens
        engine.llm.eval(tokens[reused:])
        engine.cache[tokens] = None
        return Served(reused, self.rows(engine.llm, len(tokens)))

    def flush(self, engine):
        engine.cache.flush()

    def stop(self, engine):
        engine.cache.close()
        engine.llm.close()


class TestPrefixCache(Conformance):
    driver = PrefixCacheDriver
