"""What the tests of `prefixstore llama-server` share: a real llama-server that runs, plain or behind prefixstore."""

import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.request
from pathlib import Path

HOME = Path(os.environ["LLAMA_TEST_HOME"])
BINARY = HOME / "build" / "bin" / "llama-server"
# Longer than a thousand tokens in the vocabulary of the test models.
DOCUMENT = "the library opens at nine and the maps are on the second floor beside the atlases " * 24


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Process:
    """A process that may be the child of another one."""

    def __init__(self, number):
        self.number, self.descriptor = number, os.pidfd_open(number)

    def has_ended(self, patience=30):
        """Waits for its end."""
        poll = select.poll()
        poll.register(self.descriptor, select.POLLIN)
        return bool(poll.poll(patience * 1000))

    def kill(self):
        signal.pidfd_send_signal(self.descriptor, signal.SIGKILL)


class Running:
    """A llama-server that runs, behind prefixstore if there is a store."""

    def __init__(
        self, folder, store, *options, model="tiny", before=(), context=8192, port=None, slots=None, wait=True,
        binary=BINARY,
    ):
        self.port, self.log = port or free_port(), folder / f"log-{time.monotonic_ns()}"
        path = model if isinstance(model, Path) else HOME / "models" / f"{model}.gguf"
        command = [binary, "-m", path, "-c", context, "-t", 1, "--port", self.port, *options]
        self.slots = slots or folder / "slots"
        self.slots.mkdir(exist_ok=True)
        if store is not None:
            stand = [sys.executable, "-B", "-m", "prefixstore", "llama-server", "--store", store, "--slots", self.slots]
            command = [*stand, *before, "--", *command]
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen([str(word) for word in command], stdout=log, stderr=log)
        while wait:
            try:
                self.get("/health")
                return
            except OSError:
                if self.process.poll() is not None:
                    raise RuntimeError(self.said()) from None
                time.sleep(0.05)

    def get(self, path):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=60) as answer:
            return json.load(answer)

    def post(self, path, **body):
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", json.dumps(body).encode(), headers)
        with urllib.request.urlopen(request, timeout=120) as answer:
            self.restored = int(answer.headers.get("X-PrefixStore-Restored-Tokens", 0))
            if body.get("stream"):
                return answer.read().decode()
            return json.load(answer)

    def flush(self):
        """Waits until what was answered is on disk."""
        return self.post("/prefixstore")

    def stream(self, prompt, tokens):
        """Tokens of a prompt that were not computed, seconds to the first token of the reply, and the reply."""
        body = json.dumps({"prompt": prompt, "n_predict": tokens, "temperature": 0, "stream": True}).encode()
        begin, seconds, reply = time.perf_counter(), None, ""
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}/completion", body)
        with urllib.request.urlopen(request, timeout=120) as answer:
            for line in answer:
                if line.startswith(b"data: {"):
                    event = json.loads(line[6:])
                    seconds = seconds or time.perf_counter() - begin
                    reply += event["content"]
        return {"reused": event["timings"]["cache_n"], "seconds": seconds, "reply": reply}

    def complete(self, question, tokens=8, document=DOCUMENT, **more):
        return self.post("/completion", prompt=document + question, n_predict=tokens, temperature=0, **more)

    def chat(self, question, **more):
        messages = [{"role": "system", "content": DOCUMENT}, {"role": "user", "content": question}]
        return self.post("/v1/chat/completions", messages=messages, max_tokens=8, temperature=0, **more)

    def server(self):
        """The llama-server behind prefixstore."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        while self.process.poll() is None:
            found = children.read_text().split()
            if found:
                return Process(int(found[0]))
            time.sleep(0.01)
        raise RuntimeError(self.said())

    def said(self):
        return self.log.read_text(errors="replace")

    def notices(self):
        return [line for line in self.said().splitlines() if line.startswith("prefixstore: steps aside")]

    def end(self):
        if self.process.poll() is None:
            self.process.terminate()
        return self.process.wait(60)


class Case(unittest.TestCase):
    def setUp(self):
        self.folder = Path(tempfile.mkdtemp(prefix="pfx-llama-"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.store = self.folder / "kv"

    def start(self, *options, store=None, **more):
        """`store`: another folder than that of this test, or False for a plain server."""
        folder = self.store if store is None else store
        running = Running(self.folder, folder or None, *options, **more)
        self.addCleanup(running.end)
        return running

    def wait_for(self, condition, patience=300):
        deadline = time.monotonic() + patience
        while not condition():
            self.assertLess(time.monotonic(), deadline, "it does not happen")
            time.sleep(0.05)
