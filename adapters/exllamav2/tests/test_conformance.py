"""The suite for adapters, on the real generators: restarts, kills, damage, two engines at once; every byte compared."""

import engines
import torch

from prefixstore.adapters.exllamav2 import PrefixCache, table_of
from prefixstore.testing import Conformance, Driver, Served


class ExLlamaV2(Driver):
    prompt_tokens = 900
    vocabulary = 900
    make, job = staticmethod(engines.generator2), staticmethod(engines.job2)

    def start(self, setup):
        torch.set_num_threads(1)
        # Weights of another model, and what changes them, give other keys and values.
        seed = sum(map(ord, setup.model + (setup.adapter or "")))
        generator = self.make(f"{setup.folder}-model-{setup.model}", seed=seed)
        salt = setup.tenant.encode().ljust(16) if setup.tenant else None
        generator.prefix = PrefixCache(generator, setup.folder, changes=setup.adapter or "", salt=salt)
        return generator

    def reusable(self, count, shared):
        # The engine takes over a part of a page from two tokens on.
        reused = min(shared, count - 1)
        return reused - 1 if reused % 256 == 1 else reused

    def prefill(self, engine, tokens):
        table_of(engine).reset_page_table()
        job = self.job(tokens, 1)
        rows = []
        engine.enqueue(job)
        give_back = job.deallocate_pages

        def look():
            pages = job.sequences[0].allocated_pages
            tensors = (getattr(engine.cache, "get_all_tensors", None) or engine.cache.all_tensors)()
            flat = [tensor.view(table_of(engine).max_pages * 256, -1) for tensor in tensors]
            for at in range(len(tokens) - 1):
                slot = pages[at // 256].page_index * 256 + at % 256
                rows.append(b"".join(tensor[slot].numpy().tobytes() for tensor in flat))
            # The engine computes the last token for its logits, and its row comes with the next one.
            rows.append(b"")
            give_back()

        job.deallocate_pages = look
        cached = None
        while engine.num_remaining_jobs():
            for result in engine.iterate():
                cached = result.get("cached_tokens", cached)
        return Served(reused=cached, rows=rows)

    def flush(self, engine):
        engine.prefix.flush()

    def stop(self, engine):
        engine.prefix.close()


class ExLlamaV3(ExLlamaV2):
    make, job = staticmethod(engines.generator3), staticmethod(engines.job3)


class TestExLlamaV2(Conformance):
    driver = ExLlamaV2


class TestExLlamaV3(Conformance):
    driver = ExLlamaV3
