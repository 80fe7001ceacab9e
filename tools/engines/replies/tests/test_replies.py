"""The counting finds what it must, and counts nothing else."""

import subprocess
import sys
import unittest
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from prompts import prompts  # noqa: E402
from splits import Splits  # noqa: E402


class Counting(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        command = [HERE.parents[1] / "equality", "--prompts", "16", "--engines", HERE / "toy.py"]
        cls.run_ = subprocess.run(command, capture_output=True, text=True)
        rows = [line.split("|")[1:] for line in cls.run_.stdout.splitlines() if line.startswith("| toy")]
        cls.rows = {row[1].strip(): [cell.strip() for cell in row[2:7]] for row in rows}

    def differing(self, cache):
        return [int(cell.split()[0]) for cell in self.rows[cache][:4]]

    def test_a_cache_that_is_right_changes_no_reply_and_reuses_everything(self):
        self.assertEqual(self.differing("right"), [0, 0, 0, 0])
        self.assertRegex(self.rows["right"][2], r"^0 of 16; (99|100)%$")
        self.assertEqual(self.rows["right"][4], "no bound")

    def test_one_wrong_state_is_counted_wherever_tokens_are_reused(self):
        self.assertEqual(self.differing("wrong rows")[1:3], [16, 16])
        self.assertNotIn("rounded", self.rows["wrong rows"][2])

    def test_states_of_another_prompt_are_counted(self):
        self.assertGreater(self.differing("another prompt")[0], 0)

    def test_replies_that_only_other_batches_give_are_counted_and_said_to_be_so(self):
        self.assertGreater(self.differing("other batches")[2], 0)
        self.assertIn("rounded", self.rows["other batches"][2])

    def test_an_engine_that_ends_is_a_failed_request(self):
        self.assertIn("failed", " ".join(self.rows["torn files"]))

    def test_the_exit_status_is_about_prefixstore(self):
        # The toy that bears its name is wrong.
        self.assertEqual(self.run_.returncode, 1, self.run_.stderr)


class Batches(unittest.TestCase):
    def test_reused_tokens_are_cut_where_they_were_computed(self):
        splits = Splits()
        splits.served([1, 2, 3, 4], 0, [5, 6, 7])
        self.assertEqual(splits.cuts([1, 2, 3, 4, 5, 6, 9], 6), (4, 5, 6))
        splits.served([1, 2, 8, 8], 2, [5])
        self.assertEqual(splits.cuts([1, 2, 8, 8, 9], 4), (2, 4))
        self.assertEqual(splits.cuts([1, 2, 3, 4], 3), (3,))

    def test_the_last_token_of_a_prompt_is_not_stored_again(self):
        splits = Splits()
        splits.served([1, 2, 3, 4], 0, [5, 6])
        splits.served([1, 2, 3, 4], 3, [5, 6])
        self.assertEqual(splits.cuts([1, 2, 3, 4, 9], 4), (4,))

    def test_tokens_that_were_never_stored_are_anothers(self):
        splits = Splits()
        splits.served([1, 2, 3], 0, [4, 5])
        self.assertIsNone(splits.cuts([1, 2, 9, 9], 3))
        self.assertIsNone(splits.cuts([1, 2, 3, 4, 5, 6], 5))


class Prompts(unittest.TestCase):
    def test_they_share_branch_and_end_inside_pages(self):
        made = prompts(200, 1)
        self.assertEqual(made, prompts(200, 1))
        self.assertNotEqual(made, prompts(200, 2))
        shared = [max((self._shared(one, other) for other in made[:at]), default=0) for at, one in enumerate(made)]
        self.assertGreater(sum(count > 100 for count in shared), 100)
        self.assertGreater(sum(count % 64 != 0 for count in shared if count > 0), 100)

    @staticmethod
    def _shared(one, other):
        return next((at for at, (a, b) in enumerate(zip(one, other)) if a != b), min(len(one), len(other)))


if __name__ == "__main__":
    unittest.main()
