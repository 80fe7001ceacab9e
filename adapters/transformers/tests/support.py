"""What the tests share: the models, a document, and programs in processes of their own."""

import json
import os
import subprocess
import sys
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

MODELS = Path(os.environ["TRANSFORMERS_TEST_MODELS"])
HOST = Path(__file__).with_name("host.py")
# One token per character: about two thousand.
DOCUMENT = "the library opens at nine and the maps are on the second floor beside the atlases " * 25


def load(name, **options):
    model = AutoModelForCausalLM.from_pretrained(MODELS / name, **options).eval()
    return model, AutoTokenizer.from_pretrained(MODELS / name)


def tokens_of(tokenizer, text):
    return tokenizer(text, return_tensors="pt").input_ids


@torch.no_grad()
def prefill(model, prefix, tokens):
    """Serves a prompt by the two halves of the adapter, and flushes. Returns what was reused, and the cache."""
    cache, reused = prefix.restore(tokens)
    model(tokens[:, reused:], past_key_values=cache, logits_to_keep=1)
    prefix.store(tokens, cache)
    prefix.flush()
    return reused, cache


def run_host(store, *prompts, model="llama", status=0, **options):
    """Answers prompts in a new process."""
    arguments = [sys.executable, "-B", HOST, MODELS / model, store, json.dumps(prompts), json.dumps(options)]
    run = subprocess.run(arguments, capture_output=True, text=True, timeout=300)
    assert run.returncode == status, run.stdout + run.stderr
    return json.loads(run.stdout)
