"""The tier passes the suite for adapters behind vLLM's own manager: branches, damage, two engines, kills, other names."""

from contract import BLOCK, Engine, lora, secret

from prefixstore.testing import Conformance, Driver, Served


class VllmDriver(Driver):
    granularity = BLOCK

    def start(self, setup):
        adapters = [lora(setup.folder + " lora", setup.adapter)] if setup.adapter else []
        salt = secret(setup.folder + " salt", setup.tenant * 2) if setup.tenant else None
        model = "llama" if setup.model == "one" else "llama-other"
        return Engine(setup.folder, model, adapters=adapters, salt_file=salt)

    def prefill(self, engine, tokens):
        return Served(*engine.prefill(tokens))

    def flush(self, engine):
        engine.tier.store.flush()

    def stop(self, engine):
        engine.stop()


class TestVllm(Conformance):
    driver = VllmDriver
