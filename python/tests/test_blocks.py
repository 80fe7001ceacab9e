"""The block level: blocks under the engine's keys, moved by a queue that nobody waits for."""

from __future__ import annotations

import asyncio
import gc
import hashlib
import selectors
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any, Iterator, List, Tuple

import numpy
import pytest

from prefixstore import Blocks, Completion, InvalidBlockError, InvalidLayoutError, Queue, Store, TimedOutError, TooManyError
from support import IDENTITY, open_store, until

SIZE = 4096


@pytest.fixture
def blocks(store: Store) -> Blocks:
    return store.blocks(IDENTITY, "bf16")


@pytest.fixture
def queue(blocks: Blocks) -> Iterator[Queue]:
    with blocks.queue() as queue:
        yield queue


def block(name: bytes, size: int = SIZE) -> bytes:
    """The bytes of a block, computed from its key."""
    return hashlib.shake_128(name).digest(size)


def done(queue: Queue) -> List[Completion]:
    queue.wait(timeout=60)
    return queue.drain()


def put(store: Store, queue: Queue, *keys: bytes) -> None:
    queue.submit_put(keys, [block(key) for key in keys])
    (completion,) = done(queue)
    assert completion.results == b"\1" * len(keys)
    store.flush()


def get(queue: Queue, *keys: bytes) -> int:
    """How many of the first blocks came back; every byte of those is right."""
    into = [bytearray(SIZE) for _ in keys]
    queue.submit_get(keys, into)
    (completion,) = done(queue)
    for key, memory, came in zip(keys, into, completion.results):
        assert not came or memory == block(key)
    return completion.leading


def test_a_block_comes_back_to_the_byte(store: Store, queue: Queue) -> None:
    put(store, queue, b"one", b"two", b"three")
    assert get(queue, b"one", b"two", b"three") == 3


def test_a_completion_says_which_keys_succeeded(store: Store, queue: Queue) -> None:
    put(store, queue, b"one", b"two")
    job = queue.submit_exists([b"one", b"two", b"none", b"one"])
    assert done(queue) == [Completion(job, 4, 3, 2, b"\1\1\0\1", None)]
    assert queue.drain() == []


def test_the_next_opening_finds_the_blocks(folder: Path) -> None:
    with open_store(folder) as store, store.blocks(IDENTITY).queue() as queue:
        put(store, queue, b"one")
    with open_store(folder) as store, store.blocks(IDENTITY).queue() as queue:
        assert get(queue, b"one") == 1
    with open_store(folder) as store, store.blocks(replace(IDENTITY, salt=b"a tenant's secret")).queue() as queue:
        assert get(queue, b"one") == 0


def test_blocks_are_counted_used_and_removed(store: Store, blocks: Blocks, queue: Queue) -> None:
    put(store, queue, b"one", b"two", b"three")
    assert blocks.leading([b"one", b"two", b"none", b"three"]) == 2
    blocks.touch([b"one", b"none"])
    assert blocks.remove([b"three", b"none"]) == 1
    assert blocks.leading([b"three"]) == 0 and blocks.leading([]) == 0


def test_a_block_may_lie_in_several_pieces(store: Store, queue: Queue) -> None:
    whole = block(b"parts", 300)
    queue.submit_put([b"parts"], [(whole[:100], whole[100:150], whole[150:])])
    assert done(queue)[0].succeeded == 1
    store.flush()
    first, second = bytearray(77), numpy.zeros(223, dtype=numpy.uint8)
    queue.submit_get([b"parts"], [[first, second]])
    assert done(queue)[0].succeeded == 1
    assert bytes(first) + second.tobytes() == whole


def test_a_few_blocks_are_loaded_without_a_queue(store: Store, blocks: Blocks, queue: Queue) -> None:
    put(store, queue, b"a", b"b")
    into = [bytearray(SIZE), bytearray(SIZE), bytearray(SIZE), bytearray(SIZE - 1)]
    assert blocks.get([b"a", b"none", b"b", b"b"], into) == [True, False, True, False]
    assert into[0] == block(b"a") and into[2] == block(b"b")
    into[0].append(0)  # nobody holds the memory any more
    with pytest.raises(InvalidBlockError):
        blocks.get([b"a"], [])
    assert blocks.get([], []) == []


def test_a_block_of_another_length_is_a_miss(store: Store, queue: Queue) -> None:
    put(store, queue, b"one")
    for size in (SIZE - 1, SIZE + 1):
        queue.submit_get([b"one"], [bytearray(size)])
        assert done(queue)[0].results == b"\0"


def test_memory_stays_until_the_job_is_drained(store: Store, queue: Queue) -> None:
    put(store, queue, b"one")
    into = bytearray(SIZE)
    queue.submit_get([b"one"], [into])
    with pytest.raises(BufferError):
        into.append(0)
    queue.wait()
    with pytest.raises(BufferError):
        into.append(0)
    queue.drain()
    into.append(0)


def test_memory_that_nobody_holds_any_more_is_held_by_the_queue(store: Store, queue: Queue) -> None:
    for number in range(200):
        key = b"key %d" % number
        queue.submit_put([key], [bytearray(block(key))])
        gc.collect(0)
    queue.wait()
    assert sum(completion.succeeded for completion in queue.drain()) == 200
    store.flush()
    assert get(queue, *(b"key %d" % number for number in range(200))) == 200


def test_closing_a_queue_lets_go_of_all_memory(blocks: Blocks) -> None:
    queue = blocks.queue()
    memory = [bytearray(SIZE) for _ in range(500)]
    for number, each in enumerate(memory):
        queue.submit_get([b"key %d" % number], [each])
    queue.close()
    for each in memory:
        each.append(0)


def test_a_queue_that_is_forgotten_lets_go_of_its_memory(blocks: Blocks) -> None:
    queue = blocks.queue()
    memory = bytearray(SIZE)
    queue.submit_get([b"one"], [memory])
    del queue
    gc.collect()
    memory.append(0)


def test_a_refused_job_holds_nothing(queue: Queue) -> None:
    memory = bytearray(SIZE)
    with pytest.raises(InvalidBlockError):
        queue.submit_get([b"one", b""], [memory, memory])
    with pytest.raises(TypeError):
        queue.submit_get([b"one", b"two"], [memory, None])  # type: ignore[list-item]
    memory.append(0)


def test_a_selector_tells_of_completions(store: Store, queue: Queue) -> None:
    with selectors.DefaultSelector() as selector:
        selector.register(queue, selectors.EVENT_READ)
        assert selector.select(timeout=0) == []
        queue.submit_put([b"one"], [block(b"one")])
        assert len(selector.select(timeout=60)) == 1
        assert len(queue.drain()) == 1
        assert selector.select(timeout=0) == []


def test_asyncio_waits_for_completions(store: Store, queue: Queue) -> None:
    put(store, queue, b"one")

    async def load() -> Tuple[int, bytes]:
        loop = asyncio.get_running_loop()
        ended = loop.create_future()
        loop.add_reader(queue.fileno(), lambda: ended.set_result(queue.drain()))
        into = bytearray(SIZE)
        queue.submit_get([b"one"], [into])
        (completion,) = await asyncio.wait_for(ended, 60)
        loop.remove_reader(queue.fileno())
        return completion.succeeded, bytes(into)

    assert asyncio.run(load()) == (1, block(b"one"))


def test_threads_share_a_queue(store: Store, queue: Queue) -> None:
    lock, jobs, ended = threading.Lock(), set(), []

    def work(number: int) -> None:
        for at in range(50):
            key = b"%d %d" % (number, at)
            job = queue.submit_put([key], [block(key)])
            with lock:
                jobs.add(job)
            with_results = queue.drain(limit=3)
            with lock:
                ended.extend(with_results)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    queue.wait(timeout=60)
    ended += queue.drain()
    assert {completion.job for completion in ended} == jobs and len(ended) == 200
    assert all(completion.results == b"\1" for completion in ended)


def test_too_many_jobs_are_refused_until_some_are_drained(queue: Queue) -> None:
    submitted = 0
    with pytest.raises(TooManyError, match="[Dd]rain"):
        for submitted in range(5000):
            queue.submit_exists([b"one"])
    assert submitted == 4096
    queue.wait()
    assert len(queue.drain(limit=10)) == 10
    queue.submit_exists([b"one"])
    until(lambda: len(queue.drain()) == 0)


@pytest.mark.parametrize("keys, given, error, words", [
    ([b""], [b"x"], InvalidBlockError, "1 to 511"), ([b"k" * 512], [b"x"], InvalidBlockError, "1 to 511"),
    (["key"], [b"x"], TypeError, "is bytes"), (b"key", [b"x"], TypeError, "list of bytes"),
    ([b"k"], [], InvalidBlockError, "0 blocks for 1 keys"), ([b"k"], [[]], InvalidBlockError, "as many"),
    ([b"k", b"l"], [[b"a", b"b"], [b"c"]], InvalidBlockError, "as many"), ([b"k"], ["x"], TypeError, "no buffer"),
])
def test_a_job_that_is_none_is_refused(queue: Queue, keys: Any, given: Any, error: Any, words: str) -> None:
    with pytest.raises(error, match=words):
        queue.submit_put(keys, given)


def test_a_get_needs_memory_that_can_be_written(queue: Queue) -> None:
    with pytest.raises(Exception, match="read-only"):
        queue.submit_get([b"k"], [bytes(SIZE)])


def test_an_element_that_is_none_is_refused(store: Store) -> None:
    with pytest.raises(InvalidLayoutError, match="bf16"):
        store.blocks(IDENTITY, "bf17")


def test_waiting_for_jobs_may_end_early(queue: Queue) -> None:
    queue.wait(timeout=5)
    data = [block(b"large", 1 << 22)] * 8
    with pytest.raises(TimedOutError, match="goes on"):
        for number in range(1000):
            queue.submit_put([b"%d %d" % (number, at) for at in range(8)], data)
            queue.wait(timeout=0)
            queue.drain()


def test_closing_the_store_ends_its_queues(folder: Path) -> None:
    store = open_store(folder)
    queue = store.blocks(IDENTITY).queue()
    memory = [bytearray(SIZE) for _ in range(300)]
    for number, each in enumerate(memory):
        queue.submit_get([b"%d" % number], [each])
    store.close()
    assert queue.closed
    queue.close()
    for each in memory:
        each.append(0)
