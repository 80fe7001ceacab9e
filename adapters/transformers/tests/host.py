"""A program on transformers with a store, as the tests run it: one process per run.

    host.py MODEL STORE PROMPTS OPTIONS

PROMPTS and OPTIONS are JSON. For each prompt it gets the KV of what is stored, computes the rest in one batch, and
stores that. One line of JSON tells per prompt what was reused, the time to the first token, and a digest of the logits.
OPTIONS:

    live      true: a prompt continues the cache of the prompt before it, as an engine does that is not restarted
    reply     tokens to generate, with `PrefixCache.generate`, or for a live prompt with the model's own
    cache     for PrefixCache
    attention sdpa or eager
    kill      true: ends with SIGKILL, after a flush
"""

import hashlib
import json
import os
import signal
import sys
import time

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, DynamicCache

from prefixstore.adapters.transformers import PrefixCache


def first_token(model, cache, tokens, reused):
    logits = model(tokens[:, reused:], past_key_values=cache, logits_to_keep=1).logits[0, -1]
    return int(logits.argmax()), hashlib.sha256(logits.float().numpy().tobytes()).hexdigest()


def answer(model, prefix, tokens, live, options):
    begin = time.perf_counter()
    if live is None:
        cache, reused = prefix.restore(tokens)
    else:
        cache, reused = live, live.get_seq_length()
    restore_seconds = time.perf_counter() - begin
    token, logits = first_token(model, cache, tokens, reused)
    seconds = time.perf_counter() - begin
    begin = time.perf_counter()
    if live is None:
        prefix.store(tokens, cache)
    return {
        "tokens": tokens.shape[1], "reused": reused, "logits": logits, "first": token, "seconds": seconds,
        "restore_seconds": restore_seconds, "store_seconds": time.perf_counter() - begin}


def reply(model, prefix, tokens, live, options):
    settings = {"max_new_tokens": options["reply"], "do_sample": False, "attention_mask": torch.ones_like(tokens)}
    if live is None:
        made = prefix.generate(tokens, **settings)
        return {"reused": prefix.restored_tokens, "reply": made[0].tolist()}
    return {"reply": model.generate(tokens, past_key_values=live, **settings)[0].tolist()}


@torch.no_grad()
def main():
    folder, store, prompts, options = sys.argv[1], sys.argv[2], json.loads(sys.argv[3]), json.loads(sys.argv[4])
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder, attn_implementation=options.get("attention", "sdpa")).eval()
    # PyTorch loads code with the first prompt and with the first continuation of one: not a part of what is measured.
    warm = DynamicCache(config=model.config)
    for _ in range(2):
        model(torch.ones(1, 8, dtype=torch.int64), past_key_values=warm)
    settings = options.get("cache", {})
    if "salt" in settings:
        settings["salt"] = settings["salt"].encode()
    begin = time.perf_counter()
    prefix = PrefixCache(model, tokenizer, store, **settings)
    result = {"open_seconds": time.perf_counter() - begin, "answers": []}
    prompts = [tokenizer(prompt, return_tensors="pt").input_ids for prompt in prompts]
    result["explain"] = prefix.explain(prompts[0])
    live = DynamicCache(config=model.config) if options.get("live") else None
    for at, tokens in enumerate(prompts):
        is_reply = "reply" in options and at == len(prompts) - 1
        result["answers"].append((reply if is_reply else answer)(model, prefix, tokens, live, options))
    prefix.flush()
    print(json.dumps(result), flush=True)
    if options.get("kill"):
        os.kill(os.getpid(), signal.SIGKILL)
    prefix.close()


if __name__ == "__main__":
    main()
