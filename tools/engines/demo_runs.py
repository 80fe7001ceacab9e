"""Shows an adapter on SmolLM2-135M, a small trained model: a long document, and the same again in other circumstances.

    demo_runs.py HOST MODEL

HOST is a program on the engine, HOST MODEL STORE, which reads a prompt per line, as JSON, until its input ends, and
writes a line per prompt: {"reused": tokens, "seconds": to the first token, "reply": text}. STORE "-" is none. After its
line, what it has stored is on disk.

Prints a line per run: tokens reused, time to the first token, whether the reply is that of the run without a store. Exit
status 1 when a reply differs, or a run reused other tokens than it should.
"""

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

OPENING = "The library opens at nine in the morning. Maps are on the second floor beside the atlases. " * 52
CLOSING = "The library closes at six in the evening. Lamps are on the third floor beside the windows. " * 52
DOCUMENTS = (
    OPENING + "\nQuestion: Where are the maps?\nAnswer: The maps are",
    CLOSING + "\nQuestion: Where are the lamps?\nAnswer: The lamps are")
#: The documents have more tokens than this, and share fewer.
MANY, FEW = 1000, 64


class Host:
    """An engine in a process of its own."""

    def __init__(self, program, model, store):
        self._process = subprocess.Popen(
            [sys.executable, "-B", program, model, str(store or "-")], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            text=True)

    def ask(self, prompt):
        self._process.stdin.write(json.dumps(prompt) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit(f"the engine has ended with status {self._process.wait()}")
        return json.loads(line)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._process.stdin.close()
        self._process.wait()


class Demo:
    """Prints runs, and remembers whether they were as they should be."""

    def __init__(self, expected):
        self._expected, self.is_good = expected, True

    def show(self, name, host, document, reused_many):
        answer = host.ask(DOCUMENTS[document])
        is_equal = answer["reply"] == self._expected[document]
        self.is_good &= is_equal and (answer["reused"] > MANY if reused_many else answer["reused"] < FEW)
        print_run(name, answer, f", reply {'equal' if is_equal else 'DIFFERS: ' + repr(answer['reply'])}")


def print_run(name, answer, end=""):
    print(f"{name + ':':44} {answer['reused']:6d} tokens reused, first token after {answer['seconds']:.2f} s{end}", flush=True)


def main():
    if len(sys.argv) != 3:
        print(__doc__, file=sys.stderr)
        return 2
    program, model = sys.argv[1:]
    folder = Path(tempfile.mkdtemp(prefix="pfx-demo-"))
    try:
        with Host(program, model, None) as host:
            plain = [host.ask(prompt) for prompt in DOCUMENTS]
        print_run("without a store", plain[0])
        demo = Demo([answer["reply"] for answer in plain])
        with Host(program, model, folder / "kv") as host:
            demo.show("empty store", host, 0, False)
            demo.show("again in the same process", host, 0, True)
        with Host(program, model, folder / "kv") as host, Host(program, model, folder / "kv") as other:
            demo.show("after a restart", host, 0, True)
            demo.show("another process, another document", other, 1, False)
            demo.show("the first process, what the other has stored", host, 1, True)
        for answer in plain:
            print(f"reply: {answer['reply']!r}")
        return 0 if demo.is_good else 1
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    sys.exit(main())
