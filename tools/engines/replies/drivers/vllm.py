"""vLLM on a CPU: its tiered offloading with the tier of PrefixStore. The tests of the adapter say what is replaced."""

import os
from pathlib import Path

import spoiled
import vllm_calls
from child import Driver

ROOT = Path(__file__).resolve().parents[4]


class Engine(Driver):
    title = f"vLLM 0.32.0 on a CPU, blocks of {vllm_calls.BLOCK} tokens"
    prepare = "vllm/prepare"
    control = spoiled.BLOCKS
    caches = ("PrefixStore", control)

    @staticmethod
    def environment(home):
        # One process has the engine, its scheduler and its worker.
        return {
            "PYTHONPATH": f"{ROOT}/python/src:{home}/plugins:{ROOT}/adapters/vllm/tests",
            "VLLM_ENABLE_V1_MULTIPROCESSING": "0"}

    def __init__(self, cache, folder, quota):
        from vllm import LLM
        from vllm.config import KVTransferConfig

        self._remove_memory_of_the_killed()
        more = {}
        if cache == self.control:
            spoiled.spoil_blocks()
        if cache != "-":
            tier = {"type": "prefixstore", "folder": f"{folder}/kv", **({"quota": quota} if quota else {})}
            more["kv_transfer_config"] = KVTransferConfig(
                kv_connector="PrefixStoreConnector", kv_role="kv_both", engine_id=f"pfx-test-{os.getpid()}-0",
                kv_connector_extra_config={
                    "spec_name": "CpuTieringSpec", "spec_module_path": "cpu_spec", "cpu_bytes_to_use": 64 << 20,
                    "secondary_tiers": [tier]})
        self.llm = LLM(model=f"{os.environ['TEST_MODELS']}/llama", **vllm_calls.SETTINGS, **more)
        connector = self.llm.llm_engine.engine_core.engine_core.scheduler.connector
        self.tiers = connector.scheduler.manager.secondary_tiers if connector is not None else []

    @staticmethod
    def _remove_memory_of_the_killed():
        """vLLM removes the file of its memory on the host when it ends by itself; the file's name has the process."""
        for file in Path("/dev/shm").glob("vllm_offload_pfx-test-*"):
            if not Path("/proc", file.name.split("-")[2]).exists():
                file.unlink()

    def serve(self, tokens, count, replied):
        # Also what vLLM holds in its memory on the host.
        if not self.llm.reset_prefix_cache(reset_connector=True):
            raise RuntimeError("vLLM has not emptied its cache")
        replied(*vllm_calls.complete(self.llm, tokens, count))
        vllm_calls.step(self.llm)

    def live(self, tokens, cuts, count):
        return vllm_calls.live(self.llm, tokens, cuts, count)

    def flush(self):
        for tier in self.tiers:
            tier.drain_jobs()
            tier.store.flush()

    def close(self):
        self.llm.llm_engine.engine_core.shutdown()
