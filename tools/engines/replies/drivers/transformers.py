"""transformers: PrefixCache. It has no cache on disk of its own."""

from child import Driver


class Engine(Driver):
    title = "transformers 5.19.0"
    prepare = "transformers/prepare"

    def __init__(self, cache, folder, quota):
        import os

        import torch
        from transformers import AutoModelForCausalLM, DynamicCache
        from prefixstore.adapters.transformers import PrefixCache

        torch.set_num_threads(1)
        self.torch, self.new_cache = torch, DynamicCache
        folder_of_model = f"{os.environ['TRANSFORMERS_TEST_MODELS']}/llama"
        self.model = AutoModelForCausalLM.from_pretrained(folder_of_model).eval()
        self.cache = None
        if cache == "PrefixStore":
            self.cache = PrefixCache(self.model, None, folder, quota=quota or None)

    def _generate(self, generate, tokens, count, **options):
        ids = self.torch.tensor([tokens])
        made = generate(
            ids, max_new_tokens=count, do_sample=False, attention_mask=self.torch.ones_like(ids), **options)
        return made[0, len(tokens):].tolist()

    def serve(self, tokens, count, replied):
        reply = self._generate(self.cache.generate, tokens, count)
        replied(self.cache.restored_tokens, reply)

    def live(self, tokens, cuts, count):
        with self.torch.no_grad():
            cache = self.new_cache(config=self.model.config)
            for begin, end in zip([0, *cuts], cuts):
                self.model(self.torch.tensor([tokens[begin:end]]), past_key_values=cache, logits_to_keep=1)
            return self._generate(self.model.generate, tokens, count, past_key_values=cache)

    def flush(self):
        self.cache.flush()

    def close(self):
        if self.cache is not None:
            self.cache.close()
