"""Shows SGLang over a restart: an engine answers a document and is killed, a new one answers a question behind it.

Prints where the tokens came from, and whether the log-probabilities are those of a hit in the first engine's own memory.
Exit status 1 when they are not, or when fewer than 1,000 tokens were reused. Takes about two minutes: the engine computes
with PyTorch on the CPU.
"""

import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "adapters" / "sglang" / "tests"))


def main():
    from test_engine import DOCUMENT, QUESTION, SHORT, run

    with tempfile.TemporaryDirectory() as folder:
        (_, computed, live), _ = run(Path(folder) / "kv", SHORT, DOCUMENT, QUESTION, kill=True, status=-9)
        print(f"first engine:  document of {computed['tokens']} tokens, {computed['cached']} reused; "
              f"question of {live['tokens']}, {live['cached']} reused {live['where']}; killed")
        (_, restored), _ = run(Path(folder) / "kv", SHORT, QUESTION)
    same = restored["logprobs"] == live["logprobs"] and restored["reply"] == live["reply"]
    print(f"second engine: question of {restored['tokens']}, {restored['cached']} reused {restored['where']}; "
          f"log-probabilities {'equal' if same else 'DIFFERENT'}")
    return 0 if same and restored["cached"] > 1000 else 1


if __name__ == "__main__":
    sys.exit(main())
