"""What the users of `prefixstore llama-server` may rely on. Every server is a real llama-server in processes of its own."""

import concurrent.futures
import http.client
import json
import os
import random
import resource
import shutil
import signal
import socket
import subprocess
import sys
import unittest
import unittest.mock
import urllib.error
from pathlib import Path

from endure import endure, sure_reply
from support import BINARY, DOCUMENT, HOME, Case


# Says that it is healthy, and hangs up in the middle of every other answer.
HALF_A_SERVER = '''
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.answer(b"{}", 2) if self.path == "/health" else self.answer(b"{}", 3)

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.answer(b'{"content": "the ma', 100)

    def answer(self, content, length):
        self.send_response(200)
        self.send_header("Content-Length", str(length))
        self.end_headers()
        self.wfile.write(content)

HTTPServer(("127.0.0.1", int(sys.argv[sys.argv.index("--port") + 1])), Handler).serve_forever()
'''


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

    def test_of_two_servers_neither_computes_what_the_other_has_stored(self):
        one, two = self.start(), self.start()
        for number, (first, second) in enumerate([(one, two), (two, one)] * 2):
            document = f"{number} {DOCUMENT}"
            computed = first.complete("where", document=document)
            self.assertGreater(computed["timings"]["prompt_n"], 1000)
            first.flush()
            loaded = second.complete("where", document=document)
            # A server computes the last token of a prompt for its logits.
            self.assertEqual(loaded["timings"]["prompt_n"], 1)
            self.assertGreater(loaded["timings"]["cache_n"], 1000)
            self.assertEqual(loaded["content"], computed["content"])

    def test_many_clients_get_the_replies_of_a_plain_server(self):
        # A server computes several requests in one batch, whose sums are rounded otherwise than those of the same
        # request alone: only replies of which the model is sure are the same then.
        questions = [f"question {number} about map {number * 7}" for number in range(40)]
        plain = self.start(store=False, context=16384)
        expected = {}
        for question in questions:
            reply, is_sure = sure_reply(plain, DOCUMENT + question)
            if is_sure:
                expected[question] = reply
        plain.end()
        self.assertGreater(len(expected), 12)
        running = self.start(context=16384)
        with concurrent.futures.ThreadPoolExecutor(12) as clients:
            answers = list(clients.map(running.complete, expected))
        self.assertEqual([answer["content"] for answer in answers], list(expected.values()))
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

class HangingUp(Case):
    """Neither side waits for one that has gone."""

    def test_a_reply_that_the_server_cuts_short_is_cut_short_for_the_client(self):
        server = self.folder / "half-a-server"
        server.write_text(f"#!{sys.executable}\n" + HALF_A_SERVER)
        server.chmod(0o700)
        running = self.start(binary=server)
        connection = http.client.HTTPConnection("127.0.0.1", running.port, timeout=60)
        self.addCleanup(connection.close)
        connection.request("POST", "/completion", b"{}")
        with self.assertRaises(http.client.IncompleteRead) as caught:
            connection.getresponse().read()
        self.assertEqual(caught.exception.partial, b'{"content": "the ma')

    def test_a_client_that_hangs_up_ends_its_completion(self):
        running = self.start("-np", 1)
        body = json.dumps({"prompt": DOCUMENT, "n_predict": 6000, "ignore_eos": True}).encode()
        with socket.create_connection(("127.0.0.1", running.port)) as client:
            client.sendall(b"POST /completion HTTP/1.1\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
            self.wait_for(lambda: running.get("/slots")[0]["is_processing"])
        self.wait_for(lambda: not running.get("/slots")[0]["is_processing"])
        self.assertLess(running.get("/slots")[0]["next_token"][0]["n_decoded"], 6000)
        self.assertTrue(running.complete("where")["content"])


class NoReuse(Case):
    def test_what_differs_is_a_miss_and_a_sentence_says_what(self):
        first = self.start("-fa", "on")
        first.complete("where")
        first.end()
        tenant = self.folder / "salt"
        tenant.write_bytes(b"0123456789abcdef")
        lora = HOME / "models" / "tiny-lora.gguf"
        same = ("-fa", "on")
        others = (
            ("weights", same, {"model": "tiny-other"}), ("layout", (*same, "-ctk", "q8_0"), {}),
            ("engine", ("-fa", "off"), {}), ("positions", (*same, "--rope-freq-base", "500000"), {}),
            ("adapter", (*same, "--lora", lora), {}), ("adapter", (*same, "--lora-scaled", f"{lora}:0.5"), {}),
            ("salt", same, {"before": ("--salt-file", tenant)}),
        )
        for at, (field, options, more) in enumerate(others):
            with self.subTest(field=field, options=options):
                folder = self.folder / f"kv-{at}"  # a copy: this server stores what it computes
                shutil.copytree(self.store, folder)
                other = self.start(*options, store=folder, **more)
                other.complete("where")
                self.assertEqual(other.restored, 0)
                sentence = other.get("/prefixstore")["last_miss"]
                self.assertIn("differs in", sentence)
                self.assertIn(f"({field})", sentence)
                self.assertIn(f"prefixstore: {sentence}", other.said())
                other.end()

    def test_a_prompt_that_is_new_to_the_store_is_said_to_be_nothing_else(self):
        running = self.start()
        running.complete("where")
        self.assertRegex(running.get("/prefixstore")["last_miss"], r"^None of \d+ tokens is stored\.$")


class Ends(Case):
    def test_a_signal_ends_both_and_leaves_no_slot_file(self):
        running = self.start()
        running.complete("where")
        server = running.server()
        self.assertEqual(running.end(), 0)
        self.assertTrue(server.has_ended(0))
        self.assertEqual(list(running.slots.iterdir()), [])

    def test_a_signal_while_the_model_is_loaded(self):
        running = self.start(wait=False)
        server = running.server()
        self.assertEqual(running.end(), 0)
        self.assertTrue(server.has_ended(0))

    def test_a_reply_that_was_given_is_stored_before_the_end(self):
        running = self.start()
        running.complete("where")
        self.assertEqual(running.end(), 0)
        again = self.start()
        again.complete("where")
        self.assertGreater(again.restored, 1000)

    def test_a_kill_ends_the_server_too_and_loses_nothing_that_was_written(self):
        running = self.start()
        running.complete("where")
        running.flush()
        server = running.server()
        running.process.send_signal(signal.SIGKILL)
        running.process.wait()
        self.assertTrue(server.has_ended())
        again = self.start()
        again.complete("where")
        self.assertGreater(again.restored, 1000)
        self.assertEqual(len(list(again.slots.iterdir())), 1, "the folder of the killed one is still there")
        again.end()
        self.assertEqual(list(again.slots.iterdir()), [])

    def test_a_folder_of_slots_that_is_in_use_stays(self):
        first, second = self.start(), self.start()
        self.assertEqual(len(list(second.slots.iterdir())), 2)
        first.complete("where")
        self.assertEqual(second.end(), 0)
        self.assertEqual(first.end(), 0)

    def test_a_server_that_is_killed_ends_the_program_with_its_status(self):
        running = self.start()
        running.complete("where")
        running.server().kill()
        self.assertEqual(running.process.wait(60), 128 + signal.SIGKILL)
        self.assertIn("has ended with status -9", running.said())
        self.assertEqual(list(running.slots.iterdir()), [])

    def test_clients_at_work_while_it_is_killed_again_and_again(self):
        said, problems = endure(seconds=15, clients=8, seed=random.randrange(1 << 32))
        print(said, file=sys.stderr)
        self.assertEqual(problems, [])

    def test_a_full_disk_is_said_and_changes_neither_replies_nor_the_status(self):
        plain = self.start(store=False)
        expected = plain.complete("where")["content"]
        plain.end()
        running = self.start()
        # A file that may not grow is a full disk that needs no rights to make. Slot files are as small as the model.
        resource.prlimit(running.process.pid, resource.RLIMIT_FSIZE, (64 << 10, resource.RLIM_INFINITY))
        self.assertEqual(running.complete("where")["content"], expected)
        self.wait_for(lambda: "could not write everything" in running.said(), 60)
        self.assertEqual(running.complete("when")["tokens_predicted"], 8)
        self.assertEqual(running.end(), 0)
        said = [line for line in running.said().splitlines() if "could not write everything" in line]
        self.assertEqual(len(said), 1)
        self.assertRegex(said[0], "^prefixstore: could not write everything, .* is full")

    def test_a_damaged_store_is_set_aside_while_it_starts_and_it_says_so(self):
        first = self.start()
        first.complete("where")
        self.assertEqual(first.end(), 0)
        # The leaves with the descriptions of spaces, which are read when the model has been loaded.
        data = bytearray((self.store / "data.mdb").read_bytes())
        for at in range(8192, len(data), 4096):
            if data[at + 10] == 2 and b"llama.cpp, flash attention" in data[at:at + 4096]:
                data[at:at + 4096] = bytes(4096)
        (self.store / "data.mdb").write_bytes(data)
        second = self.start()
        second.complete("where")
        self.assertEqual(second.restored, 0)
        self.assertIn("prefixstore: set a store aside: The store was damaged (its trees are damaged)", second.said())
        self.assertEqual(second.end(), 0)
        third = self.start()
        third.complete("where")
        self.assertGreater(third.restored, 1000)

    def test_a_key_seals_what_is_stored_and_the_server_does_not_get_it(self):
        key = self.folder / "key"
        key.write_bytes(bytes(range(1, 33)))
        key.chmod(0o600)
        first = self.start(before=["--key-file", key])
        first.complete("where")
        self.assertEqual(first.end(), 0)
        with unittest.mock.patch.dict(os.environ, PFX_KEY=key.read_bytes().hex()):
            second = self.start()
        second.complete("where")
        self.assertGreater(second.restored, 1000)
        environment = Path(f"/proc/{second.server().number}/environ").read_bytes()
        self.assertNotIn(b"PFX_KEY", environment)
        self.assertEqual(second.end(), 0)
        without = self.start(wait=False)
        self.assertEqual(without.process.wait(60), 69)
        self.assertIn("is sealed, and its key was not given", without.said())

    def test_wrong_command_lines_are_refused_with_a_sentence(self):
        for arguments, sentence in (
            ([], "Name the server"), (["no-such-server"], "There is no program no-such-server"),
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
