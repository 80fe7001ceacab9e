"""What is kept with a prefix: pins, dates, names, side states; and what the store says of itself."""

from __future__ import annotations

import hashlib
import time
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

import prefixstore
from prefixstore import (
    InvalidArgumentError, InvalidNameError, InvalidSideStateError, NoSuchNameError, NoSuchPageError, Plane,
    QuotaFullError, Space, Store,
)
from support import IDENTITY, MIB, kv, load, open_store, prompt, space_of

TOKENS = prompt(32)


@pytest.fixture
def full(store: Store, space: Space) -> Space:
    space.insert(TOKENS, kv(TOKENS))
    store.flush()
    return space


def test_a_pinned_prefix_stays_whatever_the_quota_asks(folder: Path) -> None:
    planes = [Plane(0, 4096)]
    with open_store(folder, quota=4 * MIB, codec="raw") as store:
        space = space_of(store, planes=planes)
        pinned = prompt(64, seed=99)
        space.insert(pinned, kv(pinned, planes))
        store.flush()
        space.pin(pinned)
        for seed in range(40):
            tokens = prompt(64, seed=seed)
            space.insert(tokens, kv(tokens, planes))
        store.flush()
        assert load(space, pinned, planes) == 64
        assert load(space, prompt(64, seed=0), planes) == 0
        space.unpin(pinned)
        for seed in range(40, 80):
            tokens = prompt(64, seed=seed)
            space.insert(tokens, kv(tokens, planes))
        store.flush()
        assert load(space, pinned, planes) == 0


def test_a_flush_says_that_pins_leave_no_room(folder: Path) -> None:
    planes = [Plane(0, 4096)]
    with open_store(folder, quota=4 * MIB, codec="raw") as store:
        space = space_of(store, planes=planes)
        pinned = []
        with pytest.raises(QuotaFullError, match="pages are pinned"):
            for seed in range(100):
                pinned.append(prompt(64, seed=seed))
                space.insert(pinned[-1], kv(pinned[-1], planes))
                store.flush()
                space.pin(pinned[-1])
        assert 8 < len(pinned) < 100
        store.flush()
        for tokens in pinned[:-1]:
            space.unpin(tokens)
        space.insert(pinned[-1], kv(pinned[-1], planes))
        store.flush()
        assert load(space, pinned[-1], planes) == 64


def test_an_expired_prefix_is_a_miss_and_comes_back_without_its_date(full: Space) -> None:
    full.expire(TOKENS, datetime.now(timezone.utc) + timedelta(hours=1))
    assert load(full, TOKENS) == 32
    full.expire(TOKENS, time.time() - 60)
    assert load(full, TOKENS) == 16
    full.expire(TOKENS, None)
    assert load(full, TOKENS) == 32


@pytest.mark.parametrize("when, error", [(0, InvalidArgumentError), (-5.0, InvalidArgumentError), ("now", TypeError),
                                         (datetime(2030, 1, 1), InvalidArgumentError), (1e300, InvalidArgumentError)])
def test_what_is_no_date_is_refused(full: Space, when: Any, error: Any) -> None:
    with pytest.raises(error):
        full.expire(TOKENS, when)


def test_prefixes_have_names(store: Store, full: Space) -> None:
    assert store.names() == []
    full.set_name("system prompt", TOKENS)
    (name,) = store.names()
    assert (name["name"], name["is_stored"]) == ("system prompt", True)
    assert len(name["hash"]) == len(name["space"]) == 64
    store.remove_name("system prompt")
    assert store.names() == []
    with pytest.raises(NoSuchNameError):
        store.remove_name("system prompt")


@pytest.mark.parametrize("name, error", [("", InvalidNameError), ("x" * 65, InvalidNameError), ("a\nb", InvalidNameError),
                                         ("a\0b", InvalidArgumentError), (b"x", TypeError)])
def test_what_is_no_name_is_refused(full: Space, name: Any, error: Any) -> None:
    with pytest.raises(error):
        full.set_name(name, TOKENS)


@pytest.mark.parametrize("call", [
    lambda space, tokens: space.pin(tokens), lambda space, tokens: space.unpin(tokens),
    lambda space, tokens: space.expire(tokens, 1e9), lambda space, tokens: space.set_name("x", tokens),
    lambda space, tokens: space.put_side_state(tokens, "x", b"x"),
])
def test_what_is_not_on_disk_cannot_be_kept(full: Space, call: Any) -> None:
    with pytest.raises(NoSuchPageError, match="No page"):
        call(full, prompt(32, seed=5))


@pytest.mark.parametrize("size", [0, 1, 1 << 16, (1 << 16) + 1, 3 * MIB])
def test_a_side_state_comes_back_whatever_its_size(full: Space, size: int) -> None:
    state = hashlib.shake_128(b"state").digest(size)
    assert full.side_state(TOKENS, "state") is None
    full.put_side_state(TOKENS, "state", state)
    assert bytes(full.side_state(TOKENS, "state") or b"") == state
    assert full.side_state(TOKENS, "another") is None
    assert full.side_state(TOKENS[:16], "state") is None


def test_a_side_state_needs_a_name_and_memory_in_one_piece(full: Space) -> None:
    with pytest.raises(InvalidSideStateError):
        full.put_side_state(TOKENS, "", b"x")
    with pytest.raises(TypeError, match="no buffer"):
        full.put_side_state(TOKENS, "x", "text")  # type: ignore[arg-type]
    with pytest.raises(prefixstore.InvalidPagesError, match="gaps"):
        full.put_side_state(TOKENS, "x", memoryview(bytes(10))[::2])


def test_the_store_explains_a_miss(store: Store, full: Space) -> None:
    other = space_of(store, replace(IDENTITY, engine="another"))
    found = other.explain(TOKENS)
    assert (found["requested_tokens"], found["found_tokens"]) == (32, {"hot": 0, "cold": 0})
    (space,) = found["other_spaces"]
    assert space["model"] == "a model" and space["differs_in"] == ["engine"]
    assert full.explain(TOKENS)["found_tokens"]["cold"] == 32


def test_an_explanation_is_complete_however_long_it_is(store: Store, full: Space) -> None:
    for number in range(9):
        space_of(store, replace(IDENTITY, engine=f"engine {number}", label=f"{number}" * 4000))
    models = [space["model"] for space in full.explain(TOKENS)["other_spaces"]]
    assert sorted(models) == [f"{number}" * 4000 for number in range(9)]


def test_the_store_counts_what_it_does(store: Store, full: Space) -> None:
    load(full, TOKENS)
    load(full, prompt(8, seed=7))
    found = store.statistics()
    assert (found["matches"], found["requested_tokens"], found["loaded_tokens"]["cold"]) == (2, 40, 32)
    assert (found["inserted_pages"], found["spilled_pages"], found["damaged_pages"]) == (2, 2, 0)


def test_the_digest_of_a_file_is_its_sha256(store: Store, tmp_path: Path) -> None:
    file = tmp_path / "weights"
    file.write_bytes(bytes(range(256)) * 1000)
    right = hashlib.sha256(file.read_bytes()).digest()
    assert store.file_digest(file) == store.file_digest(str(file)) == prefixstore.file_digest(file) == right
    file.write_bytes(b"other weights")
    assert store.file_digest(file) == hashlib.sha256(b"other weights").digest()
    with pytest.raises(prefixstore.PrefixStoreError):
        store.file_digest(tmp_path / "none")


def test_closing_may_take_a_limited_time(folder: Path) -> None:
    with open_store(folder) as store:
        space_of(store).insert(TOKENS, kv(TOKENS))
        for wrong in (-1, "1"):
            with pytest.raises((TypeError, prefixstore.InvalidArgumentError)):
                store.close(timeout=wrong)  # type: ignore[arg-type]
        store.close(timeout=60)
        assert store.closed
        store.close(timeout=1)
    with open_store(folder) as store:
        assert load(space_of(store), TOKENS) == 32


def test_a_flush_may_wait_for_a_limited_time(store: Store, space: Space) -> None:
    space.insert(TOKENS, kv(TOKENS))
    store.flush(timeout=60)
    store.flush(timeout=0.5)
    assert load(space, TOKENS) == 32
