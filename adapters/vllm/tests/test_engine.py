"""The whole engine with the tier, on a CPU device. Every engine is a process of its own."""

import shutil
import signal
from pathlib import Path

import pytest
from support import BLOCK, Engine, prompt

from prefixstore.testing._damage import damage

DOCUMENT = prompt(10 * BLOCK + 10)
# What follows it is computed in one batch, also on a live hit: so that the arithmetic is the same.
ASKED = DOCUMENT + prompt(20, seed=9)
SHARED = 10 * BLOCK


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """A store with the document, by an engine that was killed after a flush; and what that engine answered."""
    folder = tmp_path_factory.mktemp("stored") / "kv"
    with Engine(folder) as engine:
        first, live = engine.answer(DOCUMENT, ASKED)
        engine.flush()
        assert engine.kill() == -signal.SIGKILL
    return folder, first, live


@pytest.fixture
def folder(stored, tmp_path):
    """A copy of that store."""
    return shutil.copytree(stored[0], tmp_path / "kv")


def same(answer, other):
    return answer["reply"] == other["reply"] and answer["logprobs"] == other["logprobs"]


def test_a_killed_engine_starts_again_as_if_it_had_gone_on(stored, folder):
    _, first, live = stored
    assert first["reused"] == 0 and live["reused"] == SHARED
    branch = DOCUMENT[:5 * BLOCK + 7] + prompt(300, seed=3)
    with Engine(folder) as engine:
        restored, partly = engine.answer(ASKED, branch)
        assert restored["reused"] == SHARED >= 1000 and same(restored, live)
        assert partly["reused"] == 5 * BLOCK
        # The other way: the branch behind the same five blocks, which the engine has in its own cache now.
        (again,) = engine.answer(DOCUMENT[:5 * BLOCK + 7] + prompt(300, seed=3))
        assert again["reply"] == partly["reply"]
    print(f"{SHARED} of {len(ASKED)} tokens reused; first token after {restored['seconds']:.2f} s")


def test_damaged_records_are_computed(stored, folder):
    _, first, _ = stored
    assert damage(folder) >= SHARED // BLOCK
    with Engine(folder) as engine:
        (answer,) = engine.answer(DOCUMENT)
        assert answer["reused"] == 0 and same(answer, first)


@pytest.mark.parametrize("field, options", [
    ("weights", {"model": "llama-other"}), ("layout", {"engine": {"dtype": "float32"}}),
    ("salt", {"tier": {"salt_file": "salt"}}),
])
def test_what_differs_is_a_miss_and_a_sentence_says_what(folder, tmp_path, monkeypatch, field, options):
    monkeypatch.chdir(tmp_path)
    Path("salt").write_text("a tenant's secret")
    with Engine(folder, **options) as engine:
        (answer,) = engine.answer(DOCUMENT)
        assert answer["reused"] == 0
        (line,) = engine.said("PrefixStore has nothing of a prompt. What is stored differs in")
        assert f"({field})" in line
        print(line)


def test_two_engines_at_once_never_compute_what_the_other_has_stored(tmp_path):
    prompts = [prompt(4 * BLOCK + 50, seed=seed) for seed in range(4)]
    with Engine(tmp_path / "kv") as one, Engine(tmp_path / "kv") as two:
        for tokens, (first, second) in zip(prompts, [(one, two), (two, one)] * 2):
            (computed,) = first.answer(tokens)
            first.flush()
            (loaded,) = second.answer(tokens)
            assert (computed["reused"], loaded["reused"]) == (0, 4 * BLOCK)


def test_a_quota_that_holds_little_changes_no_reply(stored, tmp_path):
    _, first, _ = stored
    with Engine(tmp_path / "kv", tier={"quota": 4 << 20}) as engine:
        others = [prompt(20 * BLOCK, seed=seed) for seed in range(30, 36)]
        answers = engine.answer(*others, DOCUMENT)
        engine.flush()
        assert same(answers[-1], first)


def test_an_engine_in_vllms_own_process_writes_all_when_it_ends(stored, tmp_path):
    _, _, live = stored
    with Engine(tmp_path / "kv", processes=True) as engine:
        engine.answer(DOCUMENT)
        engine.flush()
    with Engine(tmp_path / "kv", processes=True) as engine:
        (restored,) = engine.answer(ASKED)
        assert restored["reused"] == SHARED and same(restored, live)
