"""The tier passes the suite for adapters behind vLLM's own manager: branches, damage, two engines, kills, other names."""

from contract import BLOCK, Engine, lora

from prefixstore.testing import Conformance, Driver, Served

TENANTS = {None: None, "a tenant": "a tenant's secret"}


class VllmDriver(Driver):
    granularity = BLOCK

    def start(self, setup):
        adapters = [lora(setup.folder + " lora", setup.adapter)] if setup.adapter else []
        model = "llama" if setup.model == "one" else "llama-other"
        return Engine(setup.folder, model, adapters=adapters, salt=TENANTS[setup.tenant])

    def prefill(self, engine, tokens):
        return Served(*engine.prefill(tokens))

    def flush(self, engine):
        engine.tier.store.flush()

    def stop(self, engine):
        engine.stop()


class TestVllm(Conformance):
    driver = VllmDriver
