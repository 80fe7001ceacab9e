"""SGLang on a CPU: HiCache with PrefixStore as its storage. The tests of the adapter say what is replaced."""

import os
from pathlib import Path

import spoiled
from child import Driver

ROOT = Path(__file__).resolve().parents[4]
# Tokens of SGLang's pages. With so few, prompts share many pages, and the adapter stores several in a record.
PAGE = 4


class Engine(Driver):
    title = f"SGLang 0.5.23 on a CPU, pages of {PAGE} tokens"
    prepare = "sglang/prepare"
    control = spoiled.BLOCKS
    caches = ("PrefixStore", control)

    @staticmethod
    def environment(home):
        replies = Path(__file__).resolve().parents[1]
        return {"PYTHONPATH": f"{ROOT}/python/src:{ROOT}/adapters/sglang/tests:{replies}"}

    @staticmethod
    def enter():
        import cpu_only  # noqa: F401

    def __init__(self, cache, folder, quota):
        import host

        model = f"{os.environ['SGLANG_TEST_MODELS']}/llama"
        # SGLang's scheduler spins while it waits, unless it is told to sleep: two engines wait for each other here.
        settings = {"page_size": PAGE, "chunked_prefill_size": 4096, "sleep_on_idle": True}
        options = {"plugin": "sglang_patience:enable", "engine": settings}
        if cache == self.control:
            options["plugin"] = "sglang_patience:enable_spoiled"
        if cache != "-":
            options["prefixstore"] = {"folder": f"{folder}/kv", "model": model, **({"quota": quota} if quota else {})}
            # SGLang does not look for fewer than 256 tokens by itself.
            options["extra"] = {"prefetch_threshold": PAGE}
        self.engine = host.start(model, options)

    def _forget(self):
        """Empties SGLang's memory, on the device and on the host, when all of it is on disk."""
        while not self.engine.flush_cache().success:
            pass

    def _generate(self, tokens, count):
        settings = {"temperature": 0, "max_new_tokens": count, "ignore_eos": True}
        reply = self.engine.generate(input_ids=[tokens], sampling_params=settings)[0]
        return reply["meta_info"]["cached_tokens"], reply["output_ids"]

    def serve(self, tokens, count, replied):
        self._forget()
        replied(*self._generate(tokens, count))

    def live(self, tokens, cuts, count):
        self._forget()
        for end in cuts:
            self._generate(tokens[:end], 1)
        return self._generate(tokens, count)[1]

    def flush(self):
        self._forget()

    def close(self):
        self.engine.shutdown()
