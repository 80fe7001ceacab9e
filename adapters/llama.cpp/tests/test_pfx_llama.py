"""What a program on llama.cpp may rely on when it uses adapters/llama.cpp. Every run is a process of its own."""

import json
import os
import shutil
import signal
import subprocess
import tempfile
import unittest
from pathlib import Path

from prefixstore.testing import damage

HOME = Path(os.environ["LLAMA_TEST_HOME"])
MODELS = HOME / "models"


class Case(unittest.TestCase):
    def setUp(self):
        self.folder = Path(tempfile.mkdtemp(prefix="pfx-llama-"))
        self.addCleanup(shutil.rmtree, self.folder)
        self.store = self.folder / "kv"

    def host(self, action, model="tiny", status=0, environment=None, **settings):
        """Runs the test program; its figures, the logits of the last token, and what it wrote to standard error."""
        logits = self.folder / f"{action}.logits"
        logits.unlink(missing_ok=True)
        arguments = [HOME / "host", action, MODELS / f"{model}.gguf", self.store, logits]
        arguments += [f"{name}={value}" for name, value in settings.items()]
        variables = {**os.environ, **(environment or {})}
        run = subprocess.run(arguments, capture_output=True, text=True, timeout=300, env=variables)
        self.assertEqual(run.returncode, status, run.stdout + run.stderr)
        text, _, why = run.stdout.partition(" why=")
        figures = dict(word.split("=", 1) for word in text.split() if "=" in word)
        figures.update(why=why.strip(), error=run.stderr, text=run.stdout)
        figures["logits"] = logits.read_bytes() if logits.exists() else None
        return figures

    def assert_reused(self, cut=1000, model="tiny", **settings):
        """A new process restores `cut` tokens, with the bytes of the first."""
        # The test program looks at the tokens one by one through another sequence of the same stream.
        looks = settings.get("unified") != 0
        runs = []
        for action in ("live", "restored"):
            rows = {"rows": self.folder / f"{action}.rows"} if looks else {}
            runs.append(self.host(action, model, cut=cut, **rows, **settings))
        self.assertEqual((runs[0]["stored"], runs[1]["restored"]), ("1200", str(cut)))
        if looks:
            rows = [(self.folder / f"{action}.rows").read_bytes() for action in ("live", "restored")]
            self.assertTrue(rows[0] == rows[1], "the engine's state of some token differs")
        return runs

    def assert_same_logits(self, **settings):
        live, restored = self.assert_reused(**settings)
        self.assertTrue(live["logits"] == restored["logits"], "the logits differ")


class Reuse(Case):
    """A restarted process continues as the first one would have: the same bytes per token, the same logits."""

    def test_a_thousand_tokens_are_reused_and_the_logits_are_those_of_a_live_hit(self):
        self.assert_same_logits()

    def test_a_prefix_may_end_inside_a_page(self):
        self.assert_same_logits(cut=997)

    def test_after_a_kill_what_was_flushed_is_there(self):
        killed = self.host("live", status=-signal.SIGABRT, environment={"PFX_TEST_KILL": "1"})
        restored = self.host("restored")
        self.assertEqual(restored["restored"], "1000")
        self.assertTrue(killed["logits"] == restored["logits"])

    def test_every_type_of_k_and_v(self):
        for keys, values in (("bf16", "bf16"), ("q8_0", "q8_0"), ("q4_0", "q4_0"), ("q8_0", "f16"), ("f32", "q5_1")):
            with self.subTest(k=keys, v=values):
                shutil.rmtree(self.store, ignore_errors=True)
                self.assert_same_logits(k=keys, v=values)

    def test_transposed_values_of_a_context_without_flash_attention(self):
        for keys, values in (("f16", "f16"), ("q8_0", "f16"), ("f32", "f32")):
            with self.subTest(k=keys, v=values):
                shutil.rmtree(self.store, ignore_errors=True)
                self.assert_same_logits(flash=0, k=keys, v=values)

    def test_a_sequence_beside_others(self):
        self.assert_same_logits(seqs=4, spare=3, seq=2, beside=200)

    def test_the_only_sequence_of_a_context(self):
        self.assert_same_logits(seqs=1, spare=1)

    def test_without_a_spare_sequence(self):
        for flash in (1, 0):
            with self.subTest(flash=flash):
                shutil.rmtree(self.store, ignore_errors=True)
                self.assert_same_logits(spare=0, flash=flash)

    def test_a_context_with_a_stream_per_sequence(self):
        self.assert_same_logits(unified=0, context=4096, seq=1)

    def test_tokens_that_are_in_the_sequence_are_kept(self):
        for spare in (1, 0):
            with self.subTest(spare=spare):
                shutil.rmtree(self.store, ignore_errors=True)
                self.assert_same_logits(have=256, spare=spare)

    def test_cells_out_of_order_are_stored_by_their_positions(self):
        for flash, spare in ((1, 2), (0, 2), (1, 0)):
            with self.subTest(flash=flash, spare=spare):
                shutil.rmtree(self.store, ignore_errors=True)
                self.assert_reused(shuffled=1, seqs=4, spare=spare, flash=flash)

    def test_prompts_that_part_share_what_they_have_in_common(self):
        self.host("live", seed=1)
        self.host("live", seed=2, other=700)
        restored = self.host("restored", seed=3, other=650)
        self.assertEqual(restored["restored"], "650")


class Form(Case):
    """The first process of a model decodes a token to see the form of the context's state. The others need not."""

    def test_the_form_is_remembered(self):
        for model, settings in (("tiny", {}), ("tiny", {"flash": 0}), ("windowed", {}), ("tiny", {"spare": 0})):
            with self.subTest(model=model, **settings):
                shutil.rmtree(self.store, ignore_errors=True)
                live, restored = self.assert_reused(model=model, **settings)
                self.assertEqual((live["decoded"], restored["decoded"]), ("1", "0"))

    def test_another_context_has_another_form(self):
        self.host("live")
        self.assertEqual(self.host("live", k="q8_0")["decoded"], "1")

    def test_a_form_that_the_context_does_not_take_is_learned_again(self):
        self.host("live")
        claims = {"k": "q8_0", "claimed_k": "f16"}
        live, restored = self.assert_reused(**claims)
        self.assertEqual((live["decoded"], restored["decoded"]), ("1", "0"))
        self.assertTrue(live["logits"] == restored["logits"])


class Windows(Case):
    """Models with sliding-window layers."""

    def test_any_cut_is_restored_when_all_cells_are_kept(self):
        for cut in (500, 896, 1000):
            with self.subTest(cut=cut):
                shutil.rmtree(self.store, ignore_errors=True)
                self.assert_same_logits(model="windowed", cut=cut)

    def test_stored_as_it_grows_any_cut_is_restored_as_the_engine_restores_its_own_file(self):
        session = self.folder / "session"
        for flash, cut in ((1, 896), (1, 500), (0, 896)):
            with self.subTest(flash=flash, cut=cut):
                shutil.rmtree(self.store, ignore_errors=True)
                settings = {"swa_full": 0, "flash": flash, "cut": cut}
                live = self.host("live", "windowed", grow=1, session=session, **settings)
                self.assertEqual(live["stored"], "1200")
                restored = self.host("restored", "windowed", **settings)
                self.assertEqual(restored["restored"], str(cut))
                own = self.host("session", "windowed", session=session, **settings)
                self.assertEqual(own["restored"], str(cut))
                self.assertTrue(restored["logits"] == own["logits"], "the logits differ")

    def test_what_has_left_the_windows_is_not_stored(self):
        live = self.host("live", "windowed", swa_full=0)
        self.assertEqual(live["stored"], "0")
        self.assertIn("swa_full", live["why"])
        self.assertEqual(self.host("restored", "windowed", swa_full=0)["restored"], "0")

    def test_they_need_a_spare_sequence(self):
        refused = self.host("live", "windowed", spare=0, status=3)
        self.assertEqual(refused["refused"], "PFX_INVALID_LAYOUT")
        self.assertIn("`spare`", refused["error"])


class NoReuse(Case):
    """What must be equal for two engines to share pages. If it is not, a prompt is a miss that names the field."""

    def assert_misses(self, *fields, model="tiny", **settings):
        self.host("live")
        self.assertEqual(self.host("restored", model, **settings)["restored"], "0")
        text = self.host("explain", model, **settings)["text"]
        explained, sentence = text[text.index("{"):].splitlines()
        self.assertEqual([other["differs_in"] for other in json.loads(explained)["other_spaces"]], [list(fields)])
        self.assertRegex(sentence, "^0 of [0-9]+ tokens are stored. What is stored differs in ")
        for field in fields:
            self.assertIn(f"({field})", sentence)

    def test_a_prompt_that_is_stored_says_how_much(self):
        self.host("live")
        sentence = self.host("explain")["text"].splitlines()[-1]
        self.assertRegex(sentence, "^[1-9][0-9]* of [0-9]+ tokens are stored.$")

    def test_another_model_of_the_same_shape(self):
        self.assert_misses("weights", "tokenizer", model="tiny-other")

    def test_another_type_of_keys(self):
        self.assert_misses("layout", k="q8_0")

    def test_another_flash_attention_setting(self):
        self.assert_misses("engine", flash=0)

    def test_an_adapter(self):
        lora = self.folder / "adapter.gguf"
        lora.write_bytes(b"a stand-in: the store looks at its bytes")
        self.assert_misses("adapter", lora=lora)

    def test_another_change_of_the_model(self):
        self.assert_misses("adapter", changes="control vector happy 0.5")

    def test_another_tenant(self):
        self.assert_misses("salt", salt="0123456789abcdef")

    def test_another_rope_base(self):
        self.assert_misses("positions", rope=500000)


class Doubt(Case):
    """When something is in doubt, tokens are computed."""

    def test_a_damaged_store_gives_fewer_tokens_and_the_same_logits(self):
        self.host("live")
        self.assertGreater(damage(self.store), 0)
        restored = self.host("restored")
        self.assertEqual(restored["restored"], "0")
        self.store = self.folder / "another"
        live = self.host("live", cut=restored["restored"])
        self.assertTrue(live["logits"] == restored["logits"])

    def test_a_context_without_room_restores_nothing(self):
        self.host("live")
        full = self.host("restored", context=1024, beside=896, n=300, cut=299, seqs=3, spare=2, status=1)
        self.assertIn("restored=0", full["text"])


if __name__ == "__main__":
    unittest.main()
