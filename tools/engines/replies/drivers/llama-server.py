"""llama-server behind `prefixstore llama-server`."""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

from child import Driver

# Fewer tokens than this are not stored by `prefixstore llama-server`.
PAGE = 64
# Longest wait for what was stored to be on disk, in seconds.
LONGEST = 5
# No write for so many seconds: the store has committed.
QUIET = 0.2


class Engine(Driver):
    title = "llama-server of llama-cpp-python 0.3.36"
    prepare = "llama.cpp/prepare"

    @staticmethod
    def environment(home):
        return {"LLAMA_TEST_HOME": home}

    def __init__(self, cache, folder, quota):
        home = Path(os.environ["LLAMA_TEST_HOME"])
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.address = f"http://127.0.0.1:{port}"
        self.folder, self.is_ours = Path(folder), cache == "PrefixStore"
        # One slot, one thread, and nothing kept in memory beside the slot: what is reused comes from the disk.
        command = [
            home / "build" / "bin" / "llama-server", "-m", home / "models" / "tiny.gguf", "-c", 4096, "-t", 1, "-tb", 1,
            "-np", 1, "--cache-ram", 0, "--port", port]
        if self.is_ours:
            (self.folder / "slots").mkdir(exist_ok=True)
            more = ["--quota", quota] if quota else []
            command = [
                sys.executable, "-B", "-m", "prefixstore", "llama-server", "--store", self.folder / "kv",
                "--slots", self.folder / "slots", *more, "--", *command]
        else:
            command += ["--slot-save-path", folder]
        self.process = subprocess.Popen([str(word) for word in command], stdout=sys.stderr)
        self._wait()
        self.stored, self.fewest_computed, self.changed = 0, 0, 0

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
        self.changed = self._changed()
        answer = self._complete(tokens, count)
        reused = answer["timings"]["cache_n"]
        self.fewest_computed = len(tokens) - reused
        replied(reused, answer["tokens"])

    def live(self, tokens, cuts, count):
        self._post("/slots/0?action=erase")
        for end in cuts:
            self._complete(tokens[:end], 0)
        return self._complete(tokens, count)["tokens"]

    def _changed(self):
        try:
            return (self.folder / "kv" / "data.mdb").stat().st_mtime_ns
        except FileNotFoundError:
            return 0

    def flush(self):
        """Nobody outside is told that a prompt is on disk: watches the counters, then the store's file."""
        if not self.is_ours:
            return
        self._forget()  # the slot is free when all of the last request is done
        deadline = time.monotonic() + LONGEST
        # Little that is new may be not enough to be stored: then it waits only a moment.
        patience = time.monotonic() + (LONGEST if self.fewest_computed >= 2 * PAGE else 0.1)
        while (stored := self._get("/prefixstore")["stored_tokens"]) == self.stored and time.monotonic() < patience:
            time.sleep(0.01)
        if stored == self.stored:
            return
        self.stored = stored
        # The store commits 100 ms after the first page that waits.
        last, since = self._changed(), time.monotonic()
        while time.monotonic() < deadline:
            time.sleep(0.02)
            now = self._changed()
            if now != last:
                last, since = now, time.monotonic()
            elif now != self.changed and time.monotonic() - since > QUIET:
                return

    def close(self):
        self.process.terminate()
        self.process.wait(60)
