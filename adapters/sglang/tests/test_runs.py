"""Small blocks that are stored together are found one by one, with their own bytes, whatever was put in which order."""

import hashlib
import random

import pytest

import prefixstore
from prefixstore import Element, Identity, Plane
from prefixstore.adapters._block_runs import BlockRuns
from prefixstore.adapters._block_store import BlockStore, Context
from prefixstore.testing import damage

SIZE = 4096
WEIGHTS = hashlib.sha256(b"weights").digest()


def keys_of(*words):
    """The names of the blocks of a prompt: each is a digest of all words so far, as SGLang's are."""
    names, so_far = [], hashlib.sha256()
    for word in words:
        so_far.update(repr(word).encode())
        names.append(so_far.hexdigest().encode())
    return names


def bytes_of(key):
    return hashlib.shake_128(key).digest(SIZE)


class Prompts:
    """Blocks in runs, whose bytes follow from their names. A new one is what a new process is."""

    def __init__(self, folder):
        self._store = prefixstore.open(folder)
        context = Context(Identity(WEIGHTS, WEIGHTS, "", "tests"), [Plane(0, 2)], 1)
        self.blocks = BlockStore(self._store, context, Element.BF16)
        self.runs = BlockRuns(self.blocks, SIZE)

    def put(self, keys, runs=None):
        assert all((runs or self.runs).put(keys, [[bytes_of(key)[:1024], bytes_of(key)[1024:]] for key in keys]))

    def get(self, keys):
        """How many of the first blocks come back, each with its own bytes; the memory of the others is not counted."""
        memory = [[bytearray(1024), bytearray(SIZE - 1024)] for _ in keys]
        came = self.runs.get(keys, memory)
        for key, result, parts in zip(keys, came, memory):
            assert not result or b"".join(parts) == bytes_of(key)
        count = came.index(False) if False in came else len(came)
        assert not any(came[count:])
        return count

    def found(self, keys):
        count = self.runs.leading(keys)
        assert self.get(keys) == count
        return count

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self._store.close()


PROMPT = keys_of(*range(150))
BRANCH = keys_of(*range(70), *"another question")


def test_a_prompt_takes_few_records_and_a_new_process_finds_every_block(tmp_path):
    with Prompts(tmp_path / "kv") as prompts:
        prompts.put(PROMPT)
        prompts.runs.flush()
        assert prompts.found(PROMPT) == 150
    with Prompts(tmp_path / "kv") as prompts:
        assert prompts.found(PROMPT) == 150
        assert prompts.found(PROMPT[:67]) == 67
        assert prompts.found(BRANCH) == 70
        assert prompts.found(keys_of("something else")) == 0
    # Three runs, and their lists.
    assert damage(tmp_path / "kv") == 6


def test_a_branch_inside_a_run_is_stored_behind_what_it_shares(tmp_path):
    with Prompts(tmp_path / "kv") as prompts:
        prompts.put(PROMPT)
        prompts.runs.flush()
    with Prompts(tmp_path / "kv") as prompts:
        prompts.put(BRANCH)
        prompts.runs.flush()
    with Prompts(tmp_path / "kv") as prompts:
        assert prompts.found(BRANCH) == len(BRANCH)
        assert prompts.found(PROMPT) == 150
    # The branch has added a run with its list, and no block twice.
    assert damage(tmp_path / "kv") == 8


def test_an_engine_asks_for_the_rest_of_a_prompt(tmp_path):
    with Prompts(tmp_path / "kv") as prompts:
        prompts.put(PROMPT)
        prompts.runs.flush()
        assert prompts.found(PROMPT[30:]) == 120
    with Prompts(tmp_path / "kv") as prompts:
        assert prompts.found(PROMPT[:30]) == 30
        assert prompts.found(PROMPT[30:]) == 120
    with Prompts(tmp_path / "kv") as prompts:
        # Nothing says where these blocks are; the next engine computes them and stores them again.
        assert prompts.found(PROMPT[30:]) == 0
        prompts.put(PROMPT[30:])
        prompts.runs.flush()
        assert prompts.found(PROMPT[30:]) == 120


def test_two_that_begin_alike_at_the_same_time_never_get_each_others_bytes(tmp_path):
    with Prompts(tmp_path / "kv") as prompts:
        # Neither sees what the other has put: as two processes.
        prompts.put(PROMPT[:20])
        other = keys_of(*range(10), *"other words")
        prompts.put(other, BlockRuns(prompts.blocks, SIZE))
        prompts.runs.flush()
    with Prompts(tmp_path / "kv") as prompts:
        assert prompts.found(PROMPT[:20]) == 20
        assert prompts.found(other) == 10
        prompts.put(other)
        prompts.runs.flush()
        assert prompts.found(other) == len(other)


def test_a_damaged_run_is_a_miss_and_can_be_stored_again(tmp_path):
    with Prompts(tmp_path / "kv") as prompts:
        prompts.put(PROMPT)
    assert damage(tmp_path / "kv") == 6
    with Prompts(tmp_path / "kv") as prompts:
        assert prompts.get(PROMPT) == 0
        # What a load has met, the next write removes: the lists, and then run after run.
        for _ in range(1 + 3):
            prompts.put(PROMPT)
            prompts.runs.flush()
            prompts.get(PROMPT)
        assert prompts.found(PROMPT) == 150


def test_a_run_that_was_removed_is_a_miss_also_for_who_remembers_it(tmp_path):
    with Prompts(tmp_path / "kv") as prompts:
        prompts.put(PROMPT[:20])
        prompts.runs.flush()
        run = prompts.runs._find(PROMPT, 0, set()).run
        prompts.blocks.remove([run.stored_as])
        assert prompts.found(PROMPT[:20]) == 0
        # Another prompt that begins with it cannot take its list; its blocks are stored one by one.
        prompts.put(BRANCH[:15])
        prompts.runs.flush()
        assert prompts.found(BRANCH[:15]) == 15
        prompts.put(PROMPT[:20])
        prompts.runs.flush()
        assert prompts.found(PROMPT[:20]) == 20


def test_a_part_of_a_run_whose_list_is_gone_is_stored_again_for_other_processes(tmp_path):
    with Prompts(tmp_path / "kv") as prompts:
        prompts.put(PROMPT[:20])
        prompts.runs.flush()
        prompts.blocks.remove([prompts.runs._find(PROMPT, 0, set()).run.listed_as])
        prompts.put(PROMPT[:15])
        prompts.runs.flush()
    with Prompts(tmp_path / "kv") as prompts:
        assert prompts.found(PROMPT[:15]) == 15


@pytest.mark.parametrize("strange", [b"page 1", b"0" * 64, PROMPT[1].upper(), b"\xff" * 64])
def test_blocks_of_other_names_are_stored_alone(tmp_path, strange):
    with Prompts(tmp_path / "kv") as prompts:
        keys = [PROMPT[0], strange, PROMPT[2]]
        prompts.put(keys)
        prompts.runs.flush()
    with Prompts(tmp_path / "kv") as prompts:
        assert prompts.found(keys) == 3
        assert prompts.found(keys[1:]) == 2


def test_whatever_was_put_is_found_in_any_order(tmp_path):
    chance = random.Random(1)
    made = [keys_of(0)]
    prompts = Prompts(tmp_path / "kv")
    words = {0: [0]}
    for number in range(1, 60):
        earlier = words[chance.randrange(number)]
        mine = earlier[:chance.randrange(len(earlier) + 1)] + [(number, at) for at in range(chance.randrange(1, 90))]
        words[number] = mine
        made.append(keys_of(*mine))
        # As an engine: it looks up first, and stores what it has computed, in several calls.
        have = prompts.found(made[-1])
        while have < len(mine):
            end = min(len(mine), have + chance.randrange(1, 128))
            prompts.put(made[-1][have:end])
            have = end
        prompts.runs.flush()
        if chance.random() < 0.3:
            prompts.close()
            prompts = Prompts(tmp_path / "kv")
        for keys in chance.sample(made[1:], min(5, number)):
            cut = chance.randrange(1, len(keys) + 1)
            assert prompts.found(keys[:cut]) == cut
    prompts.close()
