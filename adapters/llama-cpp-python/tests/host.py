"""A program on llama-cpp-python with a store, as the tests run it: one process per run.

    host.py MODEL STORE PROMPTS OPTIONS    PROMPTS and OPTIONS are JSON; OPTIONS has "llama" and "cache" for their makers

Answers each prompt and writes one line of JSON: per prompt the reply, the tokens that were loaded and computed, and a
digest of the logits behind its last token; and what the store says of the first prompt before it is answered. With
"more" in OPTIONS it goes on with the lines of its input, PROMPTS each. STORE "-" runs without a store, "disk:FOLDER" with
the LlamaDiskCache of llama-cpp-python.
"""

import hashlib
import json
import os
import resource
import signal
import sys
import time
import warnings

import llama_cpp
import numpy as np
from llama_cpp import Llama, LlamaDiskCache

from prefixstore.adapters.llama_cpp import PrefixCache


def answer(llm, cache, prompt, max_tokens):
    computed, evaluate = [], llm.eval

    def noting(tokens):
        computed.append(len(tokens))
        evaluate(tokens)

    llm.eval = noting
    begin = time.perf_counter()
    reply = llm.create_completion(prompt, max_tokens=max_tokens, temperature=0)
    seconds = time.perf_counter() - begin
    llm.eval = evaluate
    logits = np.ctypeslib.as_array(llama_cpp.llama_get_logits_ith(llm._ctx.ctx, -1), shape=(llm.n_vocab(),))
    return {
        "text": reply["choices"][0]["text"], "seconds": seconds, "tokens": reply["usage"]["prompt_tokens"],
        "restored": getattr(cache, "restored_tokens", 0), "computed": computed[0], "logits": hashlib.sha256(logits.tobytes()).hexdigest()}


def look_up(llm, cache, prompt, result):
    """Times opening the cache, finding the prompt and putting it into the context, which Llama does in the same way."""
    tokens = llm.tokenize(prompt.encode(), special=True)
    begin = time.perf_counter()
    try:
        llm.load_state(cache[tokens])
    except KeyError:
        pass  # PrefixCache has loaded it by itself
    result["look_up_seconds"] = time.perf_counter() - begin + result["open_seconds"]


def main():
    model, store, prompts, options = sys.argv[1], sys.argv[2], json.loads(sys.argv[3]), json.loads(sys.argv[4])
    llm = Llama(model, **{"n_ctx": 4096, "verbose": False, "n_threads": 1, **options.get("llama", {})})
    settings = options.get("cache", {})
    if "salt" in settings:
        settings["salt"] = settings["salt"].encode()
    begin = time.perf_counter()
    cache = None
    if store.startswith("disk:"):
        cache = LlamaDiskCache(store[5:])
    elif store != "-":
        cache = PrefixCache(llm, store, **settings)
    llm.set_cache(cache)
    result = {"open_seconds": time.perf_counter() - begin, "answers": []}
    if isinstance(cache, PrefixCache):
        result["explain"] = cache.explain(prompts[0])
    if options.get("full_disk"):
        # A file that may not grow is a full disk that needs no rights to make.
        resource.setrlimit(resource.RLIMIT_FSIZE, (64 << 10, resource.RLIM_INFINITY))
    if options.get("measure"):
        look_up(llm, cache, prompts[0], result)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for prompt in prompts:
            result["answers"].append(answer(llm, cache, prompt, options.get("max_tokens", 1)))
        if options.get("full_disk"):
            cache.close()
    result["warnings"] = [str(warning.message) for warning in caught]
    if isinstance(cache, PrefixCache) and not cache.store.closed:
        result["state_bytes"] = llm.save_state().llama_state_size
        cache.flush()
    print(json.dumps(result), flush=True)
    for line in sys.stdin if options.get("more") else ():
        answers = [answer(llm, cache, prompt, options.get("max_tokens", 1)) for prompt in json.loads(line)]
        cache.flush()
        print(json.dumps({"answers": answers}), flush=True)
    if options.get("kill"):
        os.kill(os.getpid(), signal.SIGKILL)
    if isinstance(cache, PrefixCache):
        cache.close()


if __name__ == "__main__":
    main()
