"""Exceptions of signal handlers, which come anywhere: the library never writes to memory that was let go."""

from __future__ import annotations

import signal
import threading
import time
from pathlib import Path
from typing import Iterator, List

import pytest

from prefixstore import Element, Plane, Queue, Space, Store
from prefixstore._buffers import Memory
from support import IDENTITY, open_store, prompt

# Python prints, and forgets, an exception that comes out of a handler while an object is being collected.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

KEYS = [b"key %d" % at for at in range(3)]
SIZE = 4096
PREFIX = prompt(512)
ROW_BYTES = 8192
PREFIX_BYTES = len(PREFIX) * ROW_BYTES


@pytest.fixture
def alarm() -> Iterator[None]:
    """SIGALRM raises KeyboardInterrupt, as Ctrl-C does."""
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    yield
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


def stored(store: Store) -> Queue:
    """A queue of blocks, with three stored that have no byte of zero."""
    queue = store.blocks(IDENTITY).queue()
    queue.submit_put(KEYS, [b"\xaa" * SIZE for _ in KEYS])
    queue.wait()
    store.flush()
    assert [each.succeeded for each in queue.drain()] == [3]
    return queue


def stored_prefix(store: Store) -> Space:
    """A space with `PREFIX` stored, of which no byte is zero."""
    space = store.space(IDENTITY, [Plane(layer=0, row_bytes=ROW_BYTES, element=Element.BYTES)], page_tokens=64)
    space.insert(PREFIX, [b"\xaa" * PREFIX_BYTES])
    store.flush()
    return space


def submit_until_interrupted(queue: Queue, delay: float) -> List[bytearray]:
    """Submits gets until a signal comes after `delay` seconds. All memory that was given."""
    given: List[bytearray] = []
    try:
        signal.setitimer(signal.ITIMER_REAL, delay)
        while len(given) < 3000:
            memories = [bytearray(SIZE) for _ in KEYS]
            given += memories
            queue.submit_get(KEYS, memories)
        # Not reached by a signal that came in time.
        signal.setitimer(signal.ITIMER_REAL, 0)
    except KeyboardInterrupt:
        pass
    return given


def is_held(memory: bytearray) -> bool:
    try:
        memory.append(0)
    except BufferError:
        return True
    return False


def test_a_job_that_was_accepted_keeps_its_memory_and_is_reported(store: Store, alarm: None) -> None:
    queue = stored(store)
    jobs = []
    for turn in range(400):
        given = submit_until_interrupted(queue, 0.0003 + turn % 80 * 1e-5)
        queue.wait()
        # What was let go before it was drained was never given to the library.
        assert not any(any(memory) for memory in given if not is_held(memory))
        completions = queue.drain()
        assert all(each.results == b"\1\1\1" for each in completions)
        jobs += [each.job for each in completions]
        # One signal may keep one object from being collected.
        assert sum(map(is_held, given)) <= 1
    # Every job is reported once, also those whose numbers the caller never heard.
    assert jobs == list(range(jobs[0], jobs[0] + len(jobs)))
    assert len(jobs) > 400


def test_a_drain_after_an_interrupted_one_goes_on(store: Store, alarm: None) -> None:
    queue = stored(store)
    interrupted = 0
    for turn in range(300):
        for _ in range(50):
            queue.submit_get(KEYS, [bytearray(SIZE) for _ in KEYS])
        queue.wait()
        try:
            signal.setitimer(signal.ITIMER_REAL, 1e-5 + turn % 60 * 1e-5)
            queue.drain()
            signal.setitimer(signal.ITIMER_REAL, 0)
        except KeyboardInterrupt:
            interrupted += 1
        queue.drain()
        assert queue.drain() == []
        job = queue.submit_exists(KEYS)
        queue.wait()
        assert [each.job for each in queue.drain()] == [job]
    assert interrupted > 0


def test_an_interrupted_close_never_lets_go_of_memory_in_use(folder: Path, alarm: None) -> None:
    for turn in range(100):
        with open_store(folder) as store:
            queue = stored(store)
            given = [bytearray(SIZE) for _ in range(600)]
            for at in range(0, 600, 3):
                queue.submit_get(KEYS, given[at : at + 3])
            try:
                signal.setitimer(signal.ITIMER_REAL, 2e-6 + turn % 50 * 1e-6)
                queue.close()
                signal.setitimer(signal.ITIMER_REAL, 0)
            except KeyboardInterrupt:
                pass
            let_go = [memory for memory in given if not is_held(memory)]
            seen = [bytes(memory) for memory in let_go]
        assert [bytes(memory) for memory in let_go] == seen


def test_memory_that_was_interrupted_before_its_first_line_can_be_forgotten() -> None:
    Memory.__new__(Memory).__del__()


def test_memory_of_a_load_is_not_let_go_while_it_is_written(folder: Path, alarm: None) -> None:
    """A signal may cut off the beginning of a load, and any wait for its end."""
    is_armed = False

    def interrupt(*_: object) -> None:
        if is_armed:
            raise KeyboardInterrupt

    signal.signal(signal.SIGALRM, interrupt)
    with open_store(folder) as store:
        memory = bytearray(PREFIX_BYTES)
        with stored_prefix(store).match(PREFIX) as match:
            for turn in range(300):
                loading = None
                try:
                    is_armed = True
                    signal.setitimer(signal.ITIMER_REAL, 1e-6 + turn % 100 * 5e-6)
                    loading = match.begin_load([memory])
                    loading.wait()
                    time.sleep(0.001)
                    is_armed = False
                except KeyboardInterrupt:
                    is_armed = False
                if loading is None:
                    # Whatever became of the load, its memory is held if it goes on.
                    ended = not is_held(memory)
                else:
                    assert loading.wait() == len(PREFIX) and loading.wait() == len(PREFIX)
                    ended = True
                if ended:
                    memory[:] = bytes(len(memory))
                    time.sleep(0.001)
                    assert not any(memory[::4096])
                # Another one, since it may be held, or have grown in the test for that.
                memory = bytearray(PREFIX_BYTES)


def test_all_who_wait_for_a_load_wait_until_it_is_over(folder: Path) -> None:
    with open_store(folder) as store:
        space = stored_prefix(store)
        for turn in range(20):
            match, memories = space.match(PREFIX), [bytearray(PREFIX_BYTES) for _ in range(4)]
            loads = [match.begin_load([memory]) for memory in memories]
            others = [threading.Thread(target=load.wait) for load in loads]
            others.append(threading.Thread(target=match.close if turn % 2 else store.flush))
            for other in others:
                other.start()
            for load, memory in zip(loads, memories):
                assert load.wait() in ((0, len(PREFIX)) if turn % 2 else (len(PREFIX),))
                memory.extend(b"moved")
            for other in others:
                other.join()
