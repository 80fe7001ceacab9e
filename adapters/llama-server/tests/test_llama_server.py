"""What the users of `prefixstore llama-server` may rely on. Every server is a real llama-server in processes of its own."""

import concurrent.futures
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.error
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


class Running:
    """A llama-server that runs, behind prefixstore if there is a store."""

    def __init__(self, folder, store, *options, model="tiny", before=(), context=8192):
        self.port, self.log = free_port(), folder / f"log-{time.monotonic_ns()}"
        path = model if isinstance(model, Path) else HOME / "models" / f"{model}.gguf"
        command = [BINARY, "-m", path, "-c", context, "-t", 1, "--port", self.port, *options]
        self.slots = folder / "slots"
        self.slots.mkdir(exist_ok=True)
        if store is not None:
            stand = [sys.executable, "-B", "-m", "prefixstore", "llama-server", "--store", store, "--slots", self.slots]
            command = [*stand, *before, "--", *command]
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen([str(word) for word in command], stdout=log, stderr=log)
        while True:
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

    def complete(self, question, tokens=8, **more):
        return self.post("/completion", prompt=DOCUMENT + question, n_predict=tokens, temperature=0, **more)

    def chat(self, question, **more):
        messages = [{"role": "system", "content": DOCUMENT}, {"role": "user", "content": question}]
        return self.post("/v1/chat/completions", messages=messages, max_tokens=8, temperature=0, **more)

    def server_pid(self):
        """The llama-server behind prefixstore."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return int(children[0])

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

    def start(self, *options, store=True, **more):
        running = Running(self.folder, self.store if store else None, *options, **more)
        self.addCleanup(running.end)
        return running


class Reuse(Case):
    def assert_reused(self, *options, **more):
        plain = self.start(*options, store=False, **more)
        expected = plain.complete("where")
        plain.end()
        first = self.start(*options, **more)
        self.assertEqual(first.complete("where")["content"], expected["content"])
        self.assertEqual(first.restored, 0)
        self.assertEqual(first.end(), 0)
        second = self.start(*options, **more)
        answer = second.complete("where")
        self.assertEqual(answer["content"], expected["content"])
        self.assertGreater(second.restored, 1000)
        self.assertEqual(answer["timings"]["cache_n"], second.restored)
        self.assertEqual(answer["timings"]["prompt_n"], 1)
        return second

    def test_a_restarted_server_reuses_a_prompt_and_replies_as_a_plain_one(self):
        second = self.assert_reused()
        other = second.complete("when")
        self.assertGreater(other["timings"]["cache_n"], 1000)

    def test_with_a_stream_per_slot(self):
        self.assert_reused("-np", 2)

    def test_without_flash_attention(self):
        self.assert_reused("-fa", "off")

    def test_with_quantised_keys_and_values(self):
        self.assert_reused("-fa", "on", "-ctk", "q8_0", "-ctv", "q8_0")

    def test_chats_and_streams(self):
        first = self.start()
        said = first.chat("where")["choices"][0]["message"]["content"]
        first.end()
        second = self.start()
        self.assertEqual(second.chat("where")["choices"][0]["message"]["content"], said)
        self.assertGreater(second.restored, 1000)
        third = self.start()
        streamed = third.chat("where", stream=True)
        self.assertGreater(third.restored, 1000)
        parts = [json.loads(line[6:]) for line in streamed.splitlines() if line.startswith("data: {")]
        deltas = [part["choices"][0]["delta"].get("content") or "" for part in parts if part["choices"]]
        self.assertEqual("".join(deltas), said)
        self.assertTrue(streamed.rstrip().endswith("data: [DONE]"))

    def test_a_server_uses_what_another_one_stores_meanwhile(self):
        first, second = self.start(), self.start()
        first.complete("where")
        deadline = time.monotonic() + 30
        while first.get("/prefixstore")["stored_tokens"] == 0 and time.monotonic() < deadline:
            time.sleep(0.05)
        time.sleep(1)  # what is stored is on its way to the disk
        second.complete("when")
        self.assertGreater(second.restored, 1000)

    def test_many_clients_get_the_replies_of_a_plain_server(self):
        questions = [f"question {number} about map {number * 7}" for number in range(24)]
        plain = self.start(store=False, context=16384)
        expected = [plain.complete(question) for question in questions]
        plain.end()
        running = self.start(context=16384)
        with concurrent.futures.ThreadPoolExecutor(12) as clients:
            answers = list(clients.map(running.complete, questions))
        self.assertEqual(
            [answer["tokens_evaluated"] for answer in answers], [answer["tokens_evaluated"] for answer in expected])
        # A plain server computes several requests in one batch, whose sums are rounded otherwise: about one reply in a
        # hundred differs from that of the same request alone.
        differing = [answer["content"] for answer, own in zip(answers, expected) if answer["content"] != own["content"]]
        self.assertLessEqual(len(differing), 2, differing)
        self.assertEqual(running.end(), 0)


class PassingThrough(Case):
    def test_every_other_endpoint_and_error_is_the_servers_own(self):
        running = self.start()
        self.assertEqual(running.get("/health"), {"status": "ok"})
        self.assertIn("tiny", running.get("/v1/models")["data"][0]["id"])
        self.assertTrue(running.post("/tokenize", content="maps")["tokens"])
        for path, body, status in (("/nowhere", {}, 404), ("/completion", {"prompt": 7.5}, 400)):
            with self.assertRaises(urllib.error.HTTPError) as caught:
                running.post(path, **body)
            self.assertEqual(caught.exception.code, status)

    def test_several_prompts_in_one_request(self):
        running = self.start()
        answers = running.post("/completion", prompt=["the maps", "the library"], n_predict=2)
        self.assertEqual(len(answers), 2)

    def test_what_slot_files_cannot_carry_is_said_once(self):
        for options, model, word in (
            ((), "windowed", "sliding windows"), (("--cache-reuse", "64"), "tiny", "--cache-reuse"),
            (("--context-shift",), "tiny", "--context-shift"),
        ):
            with self.subTest(word=word):
                running = self.start(*options, model=model)
                self.assertTrue(running.complete("where")["content"])
                running.complete("when")
                self.assertEqual(running.restored, 0)
                self.assertEqual(len(running.notices()), 1)
                self.assertIn(word, running.notices()[0])
                self.assertEqual(running.end(), 0)

    def test_adapters_of_a_request_are_said_once(self):
        running = self.start()
        running.complete("where", lora=[{"id": 0, "scale": 0.5}])
        running.complete("where")
        self.assertEqual(len(running.notices()), 1)
        self.assertIn("adapters", running.notices()[0])

    def test_another_setting_reuses_nothing(self):
        first = self.start("-fa", "on")
        first.complete("where")
        first.end()
        for options in (("-fa", "on", "-ctk", "q8_0"), ("-fa", "off"), ("-fa", "on", "--rope-freq-base", "500000")):
            with self.subTest(options=options):
                other = self.start(*options)
                other.complete("where")
                self.assertEqual(other.restored, 0)
                other.end()
        tenant = self.folder / "salt"
        tenant.write_bytes(b"0123456789abcdef")
        salted = self.start("-fa", "on", before=("--salt-file", tenant))
        salted.complete("where")
        self.assertEqual(salted.restored, 0)


class Ends(Case):
    def test_a_signal_ends_both_and_leaves_no_slot_file(self):
        running = self.start()
        running.complete("where")
        server = running.server_pid()
        self.assertEqual(running.end(), 0)
        self.assertFalse(Path(f"/proc/{server}").exists())
        self.assertEqual(list(running.slots.iterdir()), [])

    def test_a_kill_ends_the_server_too_and_loses_nothing_that_was_written(self):
        running = self.start()
        running.complete("where")
        time.sleep(2)
        server = running.server_pid()
        running.process.send_signal(signal.SIGKILL)
        running.process.wait()
        deadline = time.monotonic() + 30
        while Path(f"/proc/{server}").exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        self.assertFalse(Path(f"/proc/{server}").exists())
        again = self.start()
        again.complete("where")
        self.assertGreater(again.restored, 1000)

    def test_a_server_that_dies_ends_the_program(self):
        running = self.start()
        os.kill(running.server_pid(), signal.SIGKILL)
        self.assertNotEqual(running.process.wait(60), 0)

    def test_wrong_command_lines_are_refused_with_a_sentence(self):
        for arguments, sentence in (
            ([], "Name the server"), (["no-such-server"], "cannot be started"),
            ([BINARY, "--slot-save-path", "x"], "Leave out --slot-save-path"),
        ):
            with self.subTest(arguments=arguments):
                command = [sys.executable, "-B", "-m", "prefixstore", "llama-server", "--store", self.store]
                command += ["--", *arguments]
                run = subprocess.run(command, capture_output=True, text=True, timeout=60)
                self.assertEqual(run.returncode, 2)
                self.assertIn(sentence, run.stderr)


if __name__ == "__main__":
    unittest.main()
