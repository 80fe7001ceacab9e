"""llama-server for the demo: demo_host.py MODEL STORE, as tools/engines/demo_runs.py says."""

import json
import shutil
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "adapters" / "llama-server" / "tests"))
from support import Running  # noqa: E402


def answer(running, prompt, has_store):
    before = running.get("/prefixstore")["stored_tokens"] if has_store else 0
    found = running.stream(prompt, 12)
    # A new prompt is stored beside the server, and is on disk a fraction of a second later.
    if has_store and found["reused"] < 64:
        while running.get("/prefixstore")["stored_tokens"] == before:
            time.sleep(0.05)
        time.sleep(1)
    return found


def main():
    model, store = sys.argv[1:]
    folder = Path(tempfile.mkdtemp(prefix="pfx-demo-"))
    stored = None if store == "-" else store
    running = Running(folder, stored, "-fa", "on", "-np", "1", "-t", "2", model=Path(model))
    try:
        for line in sys.stdin:
            print(json.dumps(answer(running, json.loads(line), stored is not None)), flush=True)
    finally:
        running.end()
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
