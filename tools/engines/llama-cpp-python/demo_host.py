"""llama-cpp-python for the demo: demo_host.py MODEL STORE, as tools/engines/demo_runs.py says."""

import json
import sys
import time

import numpy as np
from llama_cpp import Llama

from prefixstore.adapters.llama_cpp import PrefixCache


def in_context(llm, prompt):
    """How many tokens of a prompt the context holds already: Llama keeps those by itself."""
    tokens = np.array(llm.tokenize(prompt.encode(), special=True))
    count = min(llm.n_tokens, len(tokens) - 1)
    differing = np.nonzero(llm.input_ids[:count] != tokens[:count])[0]
    return int(differing[0]) if len(differing) else count


def main():
    model, store = sys.argv[1:]
    llm = Llama(model, n_ctx=4096, n_threads=2, flash_attn=True, verbose=False)
    cache = None if store == "-" else PrefixCache(llm, store)
    llm.set_cache(cache)
    for line in sys.stdin:
        prompt, seconds, reply = json.loads(line), None, ""
        reused = in_context(llm, prompt)
        begin = time.perf_counter()
        for part in llm.create_completion(prompt, max_tokens=12, temperature=0, stream=True):
            seconds = seconds or time.perf_counter() - begin
            reply += part["choices"][0]["text"]
        if cache is not None:
            reused = max(reused, cache.restored_tokens)
            cache.flush()
        print(json.dumps({"reused": reused, "seconds": seconds, "reply": reply}), flush=True)
    if cache is not None:
        cache.close()


if __name__ == "__main__":
    main()
