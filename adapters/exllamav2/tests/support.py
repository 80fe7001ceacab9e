"""What the tests of the ExLlama adapter have in common."""

import random
from contextlib import contextmanager

import engines

from prefixstore.adapters.exllamav2 import PrefixCache

REPLY = 40


def tokens(seed, count):
    source = random.Random(seed)
    return [source.randrange(900) for _ in range(count)]


# Five whole pages and 120 tokens; two questions about it, a prompt that shares nothing, and the first one again.
DOCUMENT = tokens(1, 1400)
PROMPTS = [DOCUMENT + tokens(2, 77), DOCUMENT + tokens(3, 300), tokens(4, 900), DOCUMENT + tokens(2, 77)]


class Engine:
    """A kind of generator: how it is made, with which cache."""

    def __init__(self, title, make, job, **options):
        self.title, self._make, self.job, self.options = title, make, job, options

    def __str__(self):
        return self.title

    def generator(self, folder, **options):
        return self._make(folder / "model", **{**self.options, **options})

    def reply(self, generator, prompt, count=REPLY):
        """The reply to a prompt, and how many of its tokens the engine had."""
        return engines.serve(generator, [self.job(prompt, count)])[0]

    def own_replies(self, folder, prompts=PROMPTS, **options):
        """The replies of the engine without a store."""
        generator = self.generator(folder, **options)
        return [self.reply(generator, prompt)[0] for prompt in prompts]

    @contextmanager
    def with_store(self, folder, settings=(), **options):
        """A generator with nothing in its own pages, and its cache."""
        generator = self.generator(folder, **options)
        prefix = PrefixCache(generator, folder / "kv", **dict(settings))
        try:
            yield generator, prefix
        finally:
            prefix.close()


V2 = Engine("v2", engines.generator2, engines.job2)
V3 = Engine("v3", engines.generator3, engines.job3)
BOTH = [V2, V3]
EVERY_CACHE = [
    V2,
    *(Engine(f"v2 {kind}", engines.generator2, engines.job2, cache=f"ExLlamaV2Cache_{kind}")
      for kind in ("Q4", "Q6", "Q8")),
    V3,
    *(Engine(
        f"v3 {keys} and {values} bits", engines.generator3, engines.job3, cache="CacheLayer_quant",
        bits={"k_bits": keys, "v_bits": values})
      for keys, values in ((8, 8), (5, 4))),
]
