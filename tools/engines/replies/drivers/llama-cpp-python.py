"""llama-cpp-python: PrefixCache, and its own LlamaDiskCache."""

import spoiled
from child import Driver


class Engine(Driver):
    title = "llama-cpp-python 0.3.36"
    prepare = "llama.cpp/prepare --without-server"
    control = spoiled.ROWS
    caches = ("PrefixStore", "LlamaDiskCache", control)
    bounded = ("PrefixStore", "LlamaDiskCache")

    @staticmethod
    def environment(home):
        return {"LLAMA_CPP_LIB_PATH": home / "build" / "bin", "LLAMA_TEST_HOME": home}

    def __init__(self, cache, folder, quota):
        import os

        from llama_cpp import Llama, LlamaDiskCache
        from prefixstore.adapters.llama_cpp import PrefixCache

        model = f"{os.environ['LLAMA_TEST_HOME']}/models/tiny.gguf"
        self.llm = Llama(model, n_ctx=4096, n_batch=512, n_threads=1, n_threads_batch=1, verbose=False)
        self.cache = None
        if cache == self.control:
            spoiled.spoil_rows()
        if cache in ("PrefixStore", self.control):
            self.cache = PrefixCache(self.llm, folder, quota=quota or None)
        elif cache == "LlamaDiskCache":
            self.cache = LlamaDiskCache(folder, **({"capacity_bytes": quota} if quota else {}))
        self.llm.set_cache(self.cache)
        self.sampled, self.first_computed = [], None
        self._watch()

    def _watch(self):
        """Notes the token ids of a reply, and where the engine begins to compute."""
        generate, evaluate = self.llm.generate, self.llm.eval

        def noting_generate(*arguments, **options):
            for token in generate(*arguments, **options):
                self.sampled.append(int(token))
                yield token

        def noting_eval(tokens):
            if self.first_computed is None:
                self.first_computed = self.llm.n_tokens
            evaluate(tokens)

        self.llm.generate, self.llm.eval = noting_generate, noting_eval

    def _complete(self, tokens, count):
        self.sampled, self.first_computed = [], None
        self.llm.create_completion(tokens, max_tokens=count, temperature=0)
        return self.first_computed, self.sampled[:count]

    def serve(self, tokens, count, replied):
        self.llm.reset()
        replied(*self._complete(tokens, count))

    def live(self, tokens, cuts, count):
        self.llm.reset()
        for begin, end in zip([0, *cuts], cuts):
            self.llm.eval(tokens[begin:end])
        return self._complete(tokens, count)[1]

    def flush(self):
        if hasattr(self.cache, "flush"):
            self.cache.flush()

    def close(self):
        if hasattr(self.cache, "close"):
            self.cache.close()
