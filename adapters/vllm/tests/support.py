"""What the tests on the whole engine share: prompts, and engines in processes of their own."""

import json
import os
import random
import subprocess
import sys
import threading
from pathlib import Path

MODELS = Path(os.environ["TEST_MODELS"])
HOST = Path(__file__).with_name("host.py")
BLOCK = 128  # tokens: vLLM's own choice on a CPU


def prompt(count, seed=1):
    """Token ids; those of two seeds share no beginning."""
    numbers = random.Random(seed)
    return [seed, *(numbers.randrange(256) for _ in range(count - 1))]


class Engine:
    """An engine in a process of its own; it has started when this returns. `options` are those of host.py."""

    def __init__(self, store, model="llama", **options):
        self.log = []
        self._process = subprocess.Popen(
            [sys.executable, "-B", str(HOST), str(MODELS / model), str(store), json.dumps(options)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        # A hung engine ends the test, and not the test run.
        self._alarm = threading.Timer(600, self._process.kill)
        self._alarm.start()
        self._next()

    def _next(self):
        for line in self._process.stdout:
            if line.startswith("RESULT "):
                return json.loads(line.removeprefix("RESULT "))
            self.log.append(line)
        raise AssertionError("the engine has ended:\n" + "".join(self.log[-60:]))

    def _ask(self, **asked):
        self._process.stdin.write(json.dumps(asked) + "\n")
        self._process.stdin.flush()

    def answer(self, *prompts, tokens=4):
        """Answers prompts, one after the other."""
        self._ask(prompts=prompts, tokens=tokens)
        return self._next()["answers"]

    def flush(self):
        self._ask(flush=True)
        self._next()

    def said(self, text):
        """The lines of the log with this text."""
        return [line for line in self.log if text in line]

    def stop(self):
        """Ends the engine as a program ends itself. All that was stored is on disk afterwards."""
        self._process.stdin.close()
        self.log += self._process.stdout.readlines()
        self._alarm.cancel()
        assert self._process.wait() == 0, "".join(self.log[-60:])

    def kill(self):
        self._ask(kill=True)
        self._alarm.cancel()
        return self._process.wait()

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind is not None:
            self._process.kill()
        if self._process.poll() is None:
            self.stop()
        self._alarm.cancel()
        self._process.stdout.close()
