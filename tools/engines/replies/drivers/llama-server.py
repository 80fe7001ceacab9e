"""llama-server behind `prefixstore llama-server`."""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import spoiled
from child import Driver


class Engine(Driver):
    title = "llama-server of llama-cpp-python 0.3.36"
    prepare = "llama.cpp/prepare"
    control = spoiled.ROWS
    caches = ("PrefixStore", control)

    @staticmethod
    def environment(home):
        return {"LLAMA_TEST_HOME": home}

    def __init__(self, cache, folder, quota):
        home = Path(os.environ["LLAMA_TEST_HOME"])
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.address = f"http://127.0.0.1:{port}"
        folder = Path(folder)
        # One slot, one thread, and nothing kept in memory beside the slot: what is reused comes from the disk.
        command = [
            home / "build" / "bin" / "llama-server", "-m", home / "models" / "tiny.gguf", "-c", 4096, "-t", 1, "-tb", 1,
            "-np", 1, "--cache-ram", 0, "--port", port]
        if cache != "-":
            (folder / "slots").mkdir(exist_ok=True)
            more = ["--quota", quota] if quota else []
            program = [spoiled.__file__] if cache == self.control else ["-m", "prefixstore"]
            command = [
                sys.executable, "-B", *program, "llama-server", "--store", folder / "kv",
                "--slots", folder / "slots", *more, "--", *command]
        else:
            command += ["--slot-save-path", folder]
        self.process = subprocess.Popen([str(word) for word in command], stdout=sys.stderr)
        self._wait()

    def _wait(self):
        while True:
            try:
                return self._get("/health")
            except OSError:
                if self.process.poll() is not None:
                    raise
                time.sleep(0.05)

    def _get(self, path):
        with urllib.request.urlopen(self.address + path, timeout=60) as answer:
            return json.load(answer)

    def _post(self, path, **body):
        request = urllib.request.Request(
            self.address + path, json.dumps(body).encode(), {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=120) as answer:
            return json.load(answer)

    def _complete(self, tokens, count):
        return self._post(
            "/completion", prompt=tokens, n_predict=count, temperature=0, top_k=1, cache_prompt=True,
            return_tokens=True)

    def _forget(self):
        """Leaves another prompt in the slot: one token, which is not worth storing."""
        self._complete([3], 0)

    def serve(self, tokens, count, replied):
        self._forget()
        answer = self._complete(tokens, count)
        replied(answer["timings"]["cache_n"], answer["tokens"])

    def live(self, tokens, cuts, count):
        self._post("/slots/0?action=erase")
        for end in cuts:
            self._complete(tokens[:end], 0)
        return self._complete(tokens, count)["tokens"]

    def flush(self):
        self._post("/prefixstore")

    def close(self):
        self.process.terminate()
        self.process.wait(60)
