"""Threads: calls run at once, other Python code goes on meanwhile, and nobody waits for ever."""

from __future__ import annotations

import _thread
import sys
import threading
import time
from pathlib import Path
from typing import Any, List

import pytest

from prefixstore import CallerError, Plane, PrefixStoreError, Space, Store, _waiting
from support import PLANES, kv, load, open_store, prompt, room, space_of, until


def test_threads_store_and_load_at_once(store: Store, space: Space) -> None:
    problems: List[BaseException] = []

    def work(number: int) -> None:
        try:
            for at in range(10):
                tokens = prompt(50, seed=100 * number + at)
                space.insert(tokens, kv(tokens))
                store.flush()
                assert load(space, tokens) == 50
                load(space, prompt(50, seed=100 * ((number + 1) % 4) + at))
        except BaseException as problem:
            problems.append(problem)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []
    assert store.statistics()["damaged_pages"] == 0


def test_threads_share_one_match(store: Store, space: Space) -> None:
    tokens = prompt(500)
    rows = kv(tokens)
    space.insert(tokens, rows)
    store.flush()
    right: List[bool] = []
    with space.match(tokens) as match:
        def work() -> None:
            for _ in range(20):
                into = room(500)
                right.append(match.load(into) == 500 and into == rows)

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert right == [True] * 80


def test_other_python_code_runs_during_a_call(folder: Path) -> None:
    planes = [Plane(0, 1 << 16)]
    with open_store(folder) as store:
        space = space_of(store, planes=planes)
        tokens = prompt(256)
        space.insert(tokens, [bytes(256 << 16)])
        store.flush()
        count, ended = [0], threading.Event()

        def other() -> None:
            while not ended.is_set():
                count[0] += 1
                time.sleep(0)

        thread = threading.Thread(target=other)
        # From now on, the other thread runs only while this one gives the lock away by itself.
        before = sys.getswitchinterval()
        sys.setswitchinterval(1000)
        try:
            thread.start()
            with space.match(tokens) as match:
                into = [bytearray(256 << 16)]

                def went_on() -> bool:
                    seen = count[0]
                    match.load(into)
                    return count[0] > seen

                assert any(went_on() for _ in range(1000))
        finally:
            ended.set()
            sys.setswitchinterval(before)
            thread.join()


def test_closing_while_others_work_ends_their_calls_and_nothing_else(folder: Path) -> None:
    store = open_store(folder)
    space = space_of(store)
    tokens = prompt(200)
    space.insert(tokens, kv(tokens))
    store.flush()
    started, errors = threading.Barrier(5), []

    def work() -> None:
        started.wait()
        try:
            while True:
                with space.match(tokens) as match:
                    match.load(room(200, PLANES))
        except PrefixStoreError as problem:
            errors.append(problem)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    started.wait()
    store.close()
    for thread in threads:
        thread.join(60)
    assert len(errors) == 4 and all(isinstance(problem, CallerError) for problem in errors)


def test_a_wait_hears_ctrl_c() -> None:
    class Endless:
        """Something to wait for that never ends."""

        def _use(self) -> int:
            return 0

    def wait(handle: int, milliseconds: int) -> int:
        time.sleep(milliseconds / 1000)
        return -3

    endless: Any = Endless()
    threading.Timer(0.3, _thread.interrupt_main).start()
    with pytest.raises(KeyboardInterrupt):
        _waiting.wait(wait, endless, None)


def test_many_objects_are_opened_and_forgotten(store: Store, space: Space) -> None:
    tokens = prompt(40)
    space.insert(tokens, kv(tokens))
    store.flush()
    for _ in range(3000):
        space.match(tokens)
    with space.match(tokens) as match:
        assert match.tokens == 40
    until(lambda: store.statistics()["matches"] == 3001)
