"""Measures the tier on the small model, each engine a new process, computed and restored in turns.

    measure.py [--rounds N]

Run by tools/engines/demo vllm and tools/engines/measure vllm. Exit status 1 when a reply behind a restored prefix
differs from the reply behind a live hit.
"""

import argparse
import shutil
import statistics
import sys
import tempfile
from pathlib import Path

from support import BLOCK, Engine, prompt

DOCUMENT = prompt(16 * BLOCK)
ASKED = DOCUMENT + prompt(20, seed=9)


def round_of(folder):
    """An engine computes and stores; then its own cache answers. A new engine answers from the store."""
    with Engine(folder, model="small") as engine:
        computed, live = engine.answer(DOCUMENT, tokens=1) + engine.answer(ASKED, tokens=1)
        live_reply = engine.answer(ASKED, tokens=8)[0]
        engine.flush()
    size = (folder / "data.mdb").stat().st_blocks * 512
    with Engine(folder, model="small") as engine:
        (restored,) = engine.answer(ASKED, tokens=1)
        (own,) = engine.answer(ASKED, tokens=8)
    is_equal = restored["logprobs"] == live["logprobs"] and own["reply"] == live_reply["reply"]
    return computed, live, restored, is_equal, size


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    folder = Path(tempfile.mkdtemp(prefix="pfx-vllm-"))
    try:
        runs = [round_of(folder / str(at)) for at in range(rounds)]
    finally:
        shutil.rmtree(folder)

    def middle(column):
        return statistics.median(run[column]["seconds"] for run in runs)

    _, live, restored, _, size = runs[0]
    print(f"50 M random weights, bfloat16, {len(ASKED)} tokens, medians of {rounds}; each engine a new process")
    print(f"tokens reused: by vLLM's own cache      {live['reused']:6d}, after a restart {restored['reused']}")
    print(f"time to first token, computed           {middle(0) * 1e3:9.1f} ms")
    print(f"time to first token, vLLM's own cache   {middle(1) * 1e3:9.1f} ms")
    print(f"time to first token, after a restart    {middle(2) * 1e3:9.1f} ms")
    print(f"on disk                                 {size / 1e6:9.1f} MB")
    are_equal = all(run[3] for run in runs)
    print(f"log-probabilities behind the restart {'equal' if are_equal else 'DIFFER FROM'} those of vLLM's own cache")
    return 0 if are_equal and restored["reused"] >= 1000 else 1


if __name__ == "__main__":
    sys.exit(main())
