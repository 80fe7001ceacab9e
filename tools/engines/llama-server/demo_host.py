"""llama-server for the demo: demo_host.py MODEL STORE, as tools/engines/demo_runs.py says."""

import json
import shutil
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "adapters" / "llama-server" / "tests"))
from support import Running  # noqa: E402


def main():
    model, store = sys.argv[1:]
    folder = Path(tempfile.mkdtemp(prefix="pfx-demo-"))
    stored = None if store == "-" else store
    running = Running(folder, stored, "-fa", "on", "-np", "1", "-t", "2", model=Path(model))
    try:
        for line in sys.stdin:
            answer = running.stream(json.loads(line), 12)
            if stored is not None:
                running.flush()
            print(json.dumps(answer), flush=True)
    finally:
        running.end()
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
