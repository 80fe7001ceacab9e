"""Check an exported checkpoint with transformers: held-out loss and greedy samples.

usage: sample.py WORKDIR ASSETS

Prints the loss of WORKDIR's held-out text under the bf16 weights as shipped (computed in
float32, windows of 2,048 tokens), by source, and 40 tokens after each group's first prompt, greedy and at temperature 0.7.
"""
import json, math, sys
from collections import defaultdict

import torch
from transformers import AutoTokenizer, LlamaForCausalLM


def main(work, assets):
    tok = AutoTokenizer.from_pretrained(f"{assets}/checkpoint")
    model = LlamaForCausalLM.from_pretrained(f"{assets}/checkpoint", dtype=torch.float32).eval()
    sums = defaultdict(lambda: [0.0, 0, 0])
    with torch.no_grad():
        for doc in map(json.loads, open(f"{work}/held.jsonl")):
            ids = tok(doc["text"])["input_ids"]
            for at in range(0, len(ids) - 1, 2048):
                w = torch.tensor(ids[at:at + 2049])[None]
                loss = torch.nn.functional.cross_entropy(model(w[:, :-1]).logits[0], w[0, 1:], reduction="sum").item()
                for key in (doc["source"], "all"):
                    sums[key][0] += loss
                    sums[key][1] += w.shape[1] - 1
            for key in (doc["source"], "all"):
                sums[key][2] += len(doc["text"].encode())
        for key, (loss, n, size) in sums.items():
            print(f"{key}: {n} tokens, {loss / n:.3f} per token, {loss / math.log(2) / size:.3f} bits per byte")
        for g in json.load(open(f"{assets}/prompts/groups.json")):
            prompt = json.loads(open(f"{assets}/prompts/{g['file']}").readline())["prompt"]
            ids = tok(prompt, return_tensors="pt")
            assert ids["input_ids"][0, 0] == model.config.bos_token_id
            print(f"\n[{g['group']}] ...{prompt.split(chr(10))[-1]}")
            torch.manual_seed(0)
            for name, how in (("greedy", {"do_sample": False}), ("t=0.7", {"do_sample": True, "temperature": 0.7, "top_p": 0.9, "top_k": 0})):
                out = model.generate(**ids, max_new_tokens=40, **how)[0, ids["input_ids"].shape[1]:]
                print(f"  {name}: {tok.decode(out)!r}")


if __name__ == "__main__":
    main(*sys.argv[1:])
