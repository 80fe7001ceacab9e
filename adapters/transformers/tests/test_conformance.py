"""The adapter passes the suite for adapters: branches, damage, two engines at once, kills, other names."""

import hashlib
from types import SimpleNamespace

import torch
from peft import LoraConfig
from support import load

from prefixstore.adapters.transformers import PrefixCache
from prefixstore.testing import Conformance, Driver, Served


class TransformersDriver(Driver):
    vocabulary = 256
    # Not 100: there the suite's prompts would agree in one token more than it expects, by chance.
    prompt_tokens = 120

    def start(self, setup):
        torch.set_num_threads(1)
        model, tokenizer = load("llama" if setup.model == "one" else "llama-other")
        if setup.adapter is not None:
            torch.manual_seed(7)
            model.add_adapter(LoraConfig(r=4, target_modules=["k_proj", "v_proj"], init_lora_weights=False))
        salt = setup.tenant and hashlib.sha256(setup.tenant.encode()).digest()
        prefix = PrefixCache(model, tokenizer, setup.folder, quota=64 << 20, salt=salt, page_tokens=16)
        return SimpleNamespace(model=model, prefix=prefix)

    @torch.no_grad()
    def prefill(self, engine, tokens):
        """One token after the other: PyTorch rounds otherwise in a larger batch, and the suite compares every byte."""
        cache, reused = engine.prefix.restore(tokens)
        for token in tokens[reused:]:
            engine.model(torch.tensor([[token]]), past_key_values=cache)
        engine.prefix.store(tokens, cache)
        # [layer, side, heads, tokens, head_dim] to one row per token.
        whole = torch.stack([side[0] for layer in cache.layers for side in (layer.keys, layer.values)])
        rows = whole.permute(2, 0, 1, 3).reshape(len(tokens), -1).numpy()
        return Served(reused, [row.tobytes() for row in rows])

    def flush(self, engine):
        engine.prefix.flush()

    def stop(self, engine):
        engine.prefix.close()


class TestTransformers(Conformance):
    driver = TransformersDriver
