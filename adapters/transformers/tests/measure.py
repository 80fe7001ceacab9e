"""Measures the adapter on the small model, in new processes and in turns. Run by tools/engines/measure transformers."""

import argparse
import shutil
import statistics
import tempfile
from pathlib import Path

from support import DOCUMENT, run_host


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    folder = Path(tempfile.mkdtemp(prefix="pfx-transformers-"))
    computed, restored = [], []
    try:
        for at in range(rounds):
            computed.append(run_host(folder / str(at), DOCUMENT, model="small"))
            restored.append(run_host(folder / str(at), DOCUMENT + "when", model="small"))
        size = sum(file.stat().st_blocks * 512 for file in (folder / "0").rglob("*") if file.is_file())
    finally:
        shutil.rmtree(folder)

    def middle(runs, field):
        return statistics.median(run["answers"][0][field] for run in runs) * 1e3

    first = restored[0]["answers"][0]
    print(f"small, float32, {rounds} rounds, medians, each run a new process")
    print(f"tokens reused                     {first['reused']} of {first['tokens']}")
    print(f"time to first token, computed     {middle(computed, 'seconds'):8.1f} ms")
    print(f"time to first token, restored     {middle(restored, 'seconds'):8.1f} ms")
    print(f"  of which restore()              {middle(restored, 'restore_seconds'):8.1f} ms")
    print(f"store() of the whole prompt       {middle(computed, 'store_seconds'):8.1f} ms")
    opened = statistics.median(run["open_seconds"] for run in computed + restored) * 1e3
    print(f"PrefixCache(...), with the digest {opened:8.1f} ms")
    print(f"on disk                           {size / 1e6:8.1f} MB")


if __name__ == "__main__":
    main()
