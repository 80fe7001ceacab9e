"""transformers for the demo: demo_host.py MODEL STORE, as tools/engines/demo_runs.py says."""

import json
import sys
import time

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.generation.streamers import BaseStreamer
from transformers.utils import logging

from prefixstore.adapters.transformers import PrefixCache


class Clock(BaseStreamer):
    """Knows when the first token came. `generate` puts the prompt first."""

    def __init__(self):
        self.begin, self.times = time.perf_counter(), []

    def put(self, value):
        self.times.append(time.perf_counter() - self.begin)

    def end(self):
        pass


def main():
    logging.disable_progress_bar()
    folder, store = sys.argv[1:]
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder).eval()
    model(torch.ones(1, 8, dtype=torch.int64))  # PyTorch loads code with the first prompt
    prefix = None if store == "-" else PrefixCache(model, tokenizer, store)
    for line in sys.stdin:
        tokens = tokenizer(json.loads(line), return_tensors="pt").input_ids
        clock = Clock()
        settings = {"max_new_tokens": 12, "do_sample": False, "streamer": clock}
        if prefix is None:
            made = model.generate(tokens, attention_mask=torch.ones_like(tokens), **settings)
        else:
            made = prefix.generate(tokens, **settings)
            prefix.flush()
        reply = tokenizer.decode(made[0, tokens.shape[1]:], skip_special_tokens=True)
        reused = 0 if prefix is None else prefix.restored_tokens
        print(json.dumps({"reused": reused, "seconds": clock.times[1], "reply": reply}), flush=True)
    if prefix is not None:
        prefix.close()


if __name__ == "__main__":
    main()
