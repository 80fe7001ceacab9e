"""Processes: restarts, several at once, kills, forks, spawned workers, and the end of the interpreter."""

from __future__ import annotations

import multiprocessing
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from prefixstore import ForkedError, Store
from support import IDENTITY, kv, line_of, load, open_store, prompt, room, run, space_of, start

INSERT = """
folder, seed = sys.argv[1], int(sys.argv[2])
store = open_store(folder)
space = space_of(store)
tokens = prompt(100, seed)
space.insert(tokens, kv(tokens))
"""

# A thread that is in the middle of calls, until the store is closed.
BUSY = """
import contextlib, threading
def work():
    with contextlib.suppress(ClosedError):
        while True:
            space.match(tokens)
from prefixstore import ClosedError
threading.Thread(target=work, daemon=True).start()
"""


def test_a_new_process_finds_what_another_has_flushed(folder: Path) -> None:
    run(INSERT + "store.flush(); store.close()", folder, 1)
    with open_store(folder) as store:
        assert load(space_of(store), prompt(100, 1)) == 100


@pytest.mark.parametrize("end", [
    "", "del store, space", "import gc; store = space = None; gc.collect()", "sys.exit()",
    "match = space.match(tokens); sequence = space.sequence(); queue = store.blocks(IDENTITY).queue()",
    "queue = store.blocks(IDENTITY).queue(); memory = bytearray(9); queue.submit_get([b'k'], [memory])",
    "import builtins; builtins.kept = [store, space, space.match(tokens)]",
    BUSY,
    "store.cycle = store; del store",
])
def test_the_end_of_the_interpreter_writes_what_waits_and_says_nothing(folder: Path, end: str) -> None:
    run(INSERT + end, folder, 1)
    with open_store(folder) as store:
        assert load(space_of(store), prompt(100, 1)) == 100


def test_two_processes_work_at_once_and_find_each_others_pages(folder: Path) -> None:
    code = """
folder, own, other = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
with open_store(folder) as store:
    space = space_of(store)
    found = 0
    for number in range(20):
        tokens = prompt(90, own + number)
        space.insert(tokens, kv(tokens))
        found += load(space, prompt(90, other + number))
    store.flush()
    print("flushed", flush=True)
    sys.stdin.readline()
    print(sum(load(space, prompt(90, other + number)) for number in range(20)))
"""
    children = [start(code, folder, 100 * own, 100 * (3 - own), stdin=-1) for own in (1, 2)]
    for child in children:
        assert line_of(child) == "flushed"
    for child in children:
        output, errors = child.communicate("go\n", timeout=60)
        assert (output, errors, child.returncode) == ("1800\n", "", 0)


def test_a_kill_in_the_middle_loses_nothing_that_was_flushed(folder: Path) -> None:
    code = INSERT + """
store.flush()
print("flushed", flush=True)
while True:
    seed += 1
    tokens = prompt(100, seed)
    space.insert(tokens, kv(tokens))
    print(seed, flush=True)
"""
    for round in range(3):
        child = start(code, folder, 1000 * round)
        assert line_of(child) == "flushed"
        for _ in range(20):
            assert line_of(child)
        child.kill()
        child.communicate(timeout=60)
        assert child.returncode == -signal.SIGKILL
    with open_store(folder) as store:
        space = space_of(store)
        for round in range(3):
            assert load(space, prompt(100, 1000 * round)) == 100
            # What was not flushed is right, or absent.
            for seed in range(1, 21):
                load(space, prompt(100, 1000 * round + seed))
        assert store.statistics()["damaged_pages"] == 0


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_multiprocessing_with_fork_says_no(store: Store) -> None:
    context = multiprocessing.get_context("fork")
    answers = context.Queue()

    def work() -> None:
        try:
            store.flush()
        except ForkedError as problem:
            answers.put(str(problem))

    child = context.Process(target=work)
    child.start()
    assert "spawn" in answers.get(timeout=60)
    child.join(60)
    assert child.exitcode == 0


def in_child(body: Any) -> int:
    """Forks, and answers the child's exit status: 0 when `body` returns true."""
    child = os.fork()
    if child == 0:
        status = 9
        try:
            status = 0 if body() else 1
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_child_cannot_use_what_its_parent_opened_and_disturbs_nothing(store: Store, folder: Path) -> None:
    space = space_of(store)
    tokens = prompt(64)
    space.insert(tokens, kv(tokens))
    store.flush()
    match, sequence, queue = space.match(tokens), space.sequence(), store.blocks(IDENTITY).queue()
    calls = [
        store.flush, store.statistics, lambda: space.match(tokens), lambda: match.load(room(64)),
        lambda: sequence.tokens, queue.drain, queue.fileno, lambda: queue.submit_exists([b"k"]),
    ]

    def refused(call: Any) -> bool:
        with pytest.raises(ForkedError, match="spawn"):
            call()
        return True

    for call in calls:
        assert in_child(lambda: refused(call)) == 0

    def closes_all() -> bool:
        for each in (queue, sequence, match, space, store):
            each.close()
        return True

    assert in_child(closes_all) == 0
    # The child may open the folder itself.
    def opens() -> bool:
        with open_store(folder) as own:
            return load(space_of(own), tokens) == 64

    assert in_child(opens) == 0
    assert match.load(room(64)) == 64 and load(space, tokens) == 64
    assert sequence.append(tokens, kv(tokens)) == 0


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_fork_in_the_middle_of_a_call_leaves_no_child_waiting(store: Store) -> None:
    queue = store.blocks(IDENTITY).queue()

    def refused() -> bool:
        signal.alarm(30)
        with pytest.raises(ForkedError):
            queue.drain()
        queue.close()
        return True

    # Whoever submits or drains at the moment of the fork holds this lock, and does not exist in the child.
    with queue._lock:
        assert in_child(refused) == 0


def test_a_child_that_ends_as_usual_leaves_the_parents_store_alone(folder: Path) -> None:
    # In the child, everything that runs at the end of an interpreter runs.
    output = run(INSERT + """
import os, warnings
warnings.simplefilter("ignore")
match = space.match(tokens)
with store:
    child = os.fork()
    if child == 0:
        sys.exit(7)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    store.flush()
    print(load(space, tokens))
""", folder, 1)
    assert output.split() == ["7", "100"]


def spawned(folder: str, seed: int) -> int:
    with open_store(folder) as store:
        space = space_of(store)
        found = load(space, prompt(80, seed))
        tokens = prompt(80, seed + 1)
        space.insert(tokens, kv(tokens))
        return found


def test_spawned_workers_share_the_store(folder: Path, store: Store) -> None:
    tokens = prompt(80, 5)
    space_of(store).insert(tokens, kv(tokens))
    store.flush()
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        # Each worker opens the folder by itself, once per task.
        assert pool.starmap(spawned, [(str(folder), 5), (str(folder), 5)], chunksize=1) == [80, 80]
    assert load(space_of(store), prompt(80, 6)) == 80
