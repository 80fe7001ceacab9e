"""Child processes: one engine with one cache each, as child.py runs it."""

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent


class Died(Exception):
    """The child ended by itself; the text is the end of what it said."""


def environment(engine):
    """Prepares an engine: the Python that runs it, and the variables of its processes."""
    script, *arguments = shlex.split(engine.prepare)
    source = 'script=$1; shift; source "$script" "$@" >&2; export home python; env -0'
    command = ["bash", "-c", source, "bash", str(HERE.parent / script), *arguments]
    run = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    variables = dict(entry.split("=", 1) for entry in run.stdout.decode().split("\0") if "=" in entry)
    variables["PYTHONPATH"] = str(HERE.parents[2] / "python" / "src")
    variables["PREFIXSTORE_LIBRARY"] = f"{variables['PREFIXSTORE_HOME']}/lib/libprefixstore.so"
    variables.update({name: str(value) for name, value in engine.environment(Path(variables["home"])).items()})
    return variables.pop("python"), variables


class Child:
    """A child process. Every call waits for its answer, and raises Died when the child has ended instead."""

    def __init__(self, name, prepared, cache, folder, quota=0):
        python, variables = prepared
        Path(folder).mkdir(parents=True, exist_ok=True)
        self._log = open(f"{folder}.log", "ab+")
        self._process = subprocess.Popen(
            [python, "-B", HERE / "child.py", name, cache, folder, str(quota)], env=variables, stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=self._log, start_new_session=True)
        self._answer()

    def serve(self, tokens, count):
        """Serves a prompt and waits until it is stored: tokens reused, reply."""
        answer = self.reply(tokens, count)
        self._answer()
        return answer

    def reply(self, tokens, count):
        """Serves a prompt, and does not wait for it to be stored."""
        self._ask(do="serve", tokens=tokens, count=count)
        answer = self._answer()
        return answer["reused"], answer["reply"]

    def live(self, tokens, cuts, count):
        """The reply of the engine behind its own live prefix."""
        self._ask(do="live", tokens=tokens, cuts=cuts, count=count)
        return self._answer()["reply"]

    def flush(self):
        self._ask(do="flush")
        self._answer()

    def kill(self, after=0.0):
        """SIGKILL for the child and its children, in so many seconds."""
        time.sleep(after)
        try:
            os.killpg(self._process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass  # it has ended
        self._end()

    def close(self):
        """Lets it end by itself."""
        try:
            self._process.stdin.close()
            self._process.wait(120)
        except (BrokenPipeError, subprocess.TimeoutExpired):
            pass
        self.kill()

    def _end(self):
        self._process.wait()
        self._process.stdout.close()
        try:
            self._process.stdin.close()
        except BrokenPipeError:
            pass
        self._log.close()

    def _ask(self, **what):
        try:
            self._process.stdin.write(json.dumps(what).encode() + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise self._died() from None

    def _answer(self):
        line = self._process.stdout.readline()
        if not line.endswith(b"\n"):
            raise self._died()
        return json.loads(line)

    def _died(self):
        self._log.seek(0)
        said = self._log.read().decode(errors="replace")[-2000:]
        self.kill()
        print(f"\nAn engine's process ended:\n{said}", file=sys.stderr)
        return Died(said)
