"""What a program on llama-cpp-python may rely on when it uses PrefixCache. Every run is a process of its own."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

MODELS = Path(os.environ["LLAMA_TEST_HOME"]) / "models"
HOST = Path(__file__).with_name("host.py")
# Longer than a thousand tokens in the vocabulary of the test models.
DOCUMENT = "the library opens at nine and the maps are on the second floor beside the atlases " * 24


class Case(unittest.TestCase):
    def setUp(self):
        self.folder = Path(tempfile.mkdtemp(prefix="pfx-llama-"))
        self.addCleanup(shutil.rmtree, self.folder)
        self.store = self.folder / "kv"

    def run_host(self, *questions, model="tiny", store=None, status=0, **options):
        """Answers questions behind the document, in one process."""
        prompts = json.dumps([DOCUMENT + question for question in questions])
        store = store or self.store
        arguments = [sys.executable, "-B", HOST, MODELS / f"{model}.gguf", store, prompts, json.dumps(options)]
        run = subprocess.run(arguments, capture_output=True, text=True, timeout=300)
        self.assertEqual(run.returncode, status, run.stdout + run.stderr)
        return json.loads(run.stdout) if run.stdout else run.stderr

    def start_host(self, prompt):
        """A process that answers prompts until its input ends."""
        arguments = [sys.executable, "-B", HOST, MODELS / "tiny.gguf", self.store, json.dumps([prompt]), '{"more": true}']
        host = subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.addCleanup(lambda: (host.communicate(timeout=60), self.assertEqual(host.returncode, 0)))
        self.assertTrue(host.stdout.readline())
        return host

    def ask(self, host, prompt):
        """The answer, whose tokens are on disk then."""
        host.stdin.write(json.dumps([prompt]) + "\n")
        host.stdin.flush()
        return json.loads(host.stdout.readline())["answers"][0]

    def assert_reused(self, **options):
        """A new process loads the document, and its logits are those of a hit on the live document."""
        live = self.run_host("where", "when", store=self.folder / "live", **options)
        self.run_host("where", **options)
        restored = self.run_host("when", **options)
        self.assertGreater(restored["answers"][0]["restored"], 1000)
        self.assertEqual(restored["answers"][0]["logits"], live["answers"][1]["logits"])
        self.assertEqual(restored["answers"][0]["text"], live["answers"][1]["text"])
        self.assertEqual(restored["warnings"], [])


class Reuse(Case):
    def test_a_new_process_continues_as_a_live_hit_does(self):
        self.assert_reused()

    def test_with_flash_attention(self):
        self.assert_reused(llama={"flash_attn": True})

    def test_with_pages_that_are_compressed(self):
        self.assert_reused(cache={"codec": "auto"})

    def test_with_quantised_keys_and_values(self):
        self.assert_reused(llama={"flash_attn": True, "type_k": 8, "type_v": 2})

    def test_a_model_with_sliding_windows(self):
        self.assert_reused(model="windowed", llama={"flash_attn": True})

    def test_a_model_with_sliding_windows_and_pages_that_are_loaded_ahead(self):
        self.assert_reused(model="windowed", llama={"flash_attn": True}, cache={"codec": "auto"})

    def test_after_a_kill_what_was_flushed_is_there(self):
        self.run_host("where", kill=True, status=-signal.SIGKILL)
        self.assertGreater(self.run_host("when")["answers"][0]["restored"], 1000)

    def test_of_two_processes_neither_computes_what_the_other_has_stored(self):
        one, two = self.start_host("first"), self.start_host("second")
        for number, (first, second) in enumerate([(one, two), (two, one)] * 2):
            prompt = f"{number} {DOCUMENT} where"
            computed, loaded = self.ask(first, prompt), self.ask(second, prompt)
            self.assertEqual(computed["restored"], 0)
            self.assertGreater(computed["computed"], 1000)
            # The last token of a prompt is computed for its logits.
            self.assertEqual(loaded["computed"], 1)
            self.assertGreater(loaded["restored"], 1000)
            self.assertEqual(loaded["text"], computed["text"])

    def test_replies_are_stored_too(self):
        first = self.run_host("where", max_tokens=150)
        again = self.run_host("where" + first["answers"][0]["text"])
        self.assertGreater(again["answers"][0]["restored"], first["answers"][0]["tokens"])

    def test_a_prompt_in_the_context_is_not_loaded_again(self):
        answers = self.run_host("where", "where", "when")["answers"]
        self.assertEqual([answer["restored"] for answer in answers], [0, 0, 0])

    def test_save_state_is_the_users_own(self):
        self.assertGreater(self.run_host("where")["state_bytes"], 100_000)


class NoReuse(Case):
    def test_what_differs_is_a_miss_and_a_sentence_says_what(self):
        self.run_host("where")
        lora = str(MODELS / "tiny-lora.gguf")
        others = (
            ("weights", {"model": "tiny-other"}), ("layout", {"llama": {"type_k": 8}}),
            ("engine", {"llama": {"flash_attn": True}}), ("positions", {"llama": {"rope_freq_base": 500000}}),
            ("salt", {"cache": {"salt": "0123456789abcdef"}}), ("adapter", {"cache": {"changes": "control vector 0.5"}}),
            ("adapter", {"llama": {"lora_path": lora}}), ("adapter", {"llama": {"lora_path": lora, "lora_scale": 0.5}}),
        )
        for at, (field, options) in enumerate(others):
            with self.subTest(field=field, options=options):
                store = self.folder / f"kv-{at}"  # a copy: this run stores what it computes
                shutil.copytree(self.store, store)
                missed = self.run_host("where", store=store, **options)
                self.assertEqual(missed["answers"][0]["restored"], 0)
                self.assertIn(f"({field})", missed["explain"])

    def test_a_windowed_model_without_its_cells_is_computed_and_says_so(self):
        options = {"model": "windowed", "llama": {"swa_full": False, "flash_attn": True}}
        plain = self.run_host("where", store="-", **options)
        stored = self.run_host("where", **options)
        self.assertEqual(stored["answers"][0]["text"], plain["answers"][0]["text"])
        self.assertIn("swa_full=True", stored["warnings"][0])

    def test_without_its_key_a_sealed_store_gives_nothing(self):
        key = self.folder / "key"
        key.write_bytes(bytes(range(1, 33)))
        key.chmod(0o600)
        sealed = {"cache": {"key_file": str(key)}}
        self.run_host("where", **sealed)
        self.assertGreater(self.run_host("when", **sealed)["answers"][0]["restored"], 1000)
        self.assertIn("SealedSpaceError", self.run_host("when", status=1))


class Remote(Case):
    def test_another_host_loads_what_this_one_has_computed(self):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        arguments = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(self.folder)]
        server = subprocess.Popen(arguments, stdout=subprocess.DEVNULL)
        self.addCleanup(lambda: (server.kill(), server.wait()))
        fleet = {"cache": {"remote": f"redis://127.0.0.1:{port}"}}
        live = self.run_host("where", "when", store=self.folder / "live")
        self.run_host("where", store=self.folder / "first", **fleet)
        second = self.run_host("when", store=self.folder / "second", **fleet)
        self.assertGreater(second["answers"][0]["restored"], 1000)
        # Not the logits: a remote has whole pages, so that fewer tokens are restored, and the rest is another batch.
        self.assertEqual(second["answers"][0]["restored"] % 64, 0)
        self.assertEqual(second["answers"][0]["text"], live["answers"][1]["text"])
        self.assertEqual(second["warnings"], [])


class FullDisk(Case):
    def test_costs_a_warning_in_the_words_of_the_store_and_no_reply(self):
        plain = self.run_host("where", "when", "who", store="-")
        full = self.run_host("where", "when", "who", full_disk=True)
        self.assertEqual(
            [answer["text"] for answer in full["answers"]], [answer["text"] for answer in plain["answers"]])
        said = [text for text in full["warnings"] if "could not write everything" in text]
        self.assertEqual(len(said), 1, full["warnings"])
        self.assertIn("is full", said[0])


if __name__ == "__main__":
    unittest.main()
