"""What a program can do wrong: each mistake is an exception that says what to do, and the store works on."""

from __future__ import annotations

import copy
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any, Callable

import pytest

import prefixstore
from prefixstore import (
    AlreadyOpenError, ClosedError, FormatMismatchError, Identity, InvalidArgumentError, InvalidIdentityError,
    InvalidLayoutError, InvalidOptionError, InvalidPagesError, NoSuchPageError, NotAFolderError, NotAStoreError, Plane,
    PrefixStoreError, Space, Store,
)
from support import DIGEST, IDENTITY, PLANES, kv, load, open_store, prompt, room, space_of

TOKENS = prompt(32)


def test_a_folder_is_opened_once_per_process(store: Store, folder: Path) -> None:
    with pytest.raises(AlreadyOpenError, match="Share"):
        open_store(folder)


@pytest.mark.parametrize("name, error", [("no/parent", NotAFolderError), ("full", NotAStoreError)])
def test_a_folder_that_cannot_be_a_store_is_refused(tmp_path: Path, name: str, error: Any) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "letter.txt").write_text("dear reader")
    with pytest.raises(error):
        open_store(tmp_path / name)
    assert (tmp_path / "full" / "letter.txt").read_text() == "dear reader"


@pytest.mark.parametrize("folder, error", [("", InvalidArgumentError), ("a\0b", InvalidArgumentError), (7, TypeError)])
def test_what_is_no_path_is_refused(folder: Any, error: Any) -> None:
    with pytest.raises(error):
        open_store(folder)


@pytest.mark.parametrize("options, error, words", [
    ({"quota": -1}, InvalidArgumentError, "quota is -1"),
    ({"quota": 0}, InvalidArgumentError, "quota is 0"),
    ({"quota": 1}, InvalidOptionError, "quota"),
    ({"quota": 2**64}, InvalidArgumentError, "quota"),
    ({"quota": 1e9}, TypeError, "whole number"),
    ({"quota": "64 MiB"}, TypeError, "whole number"),
    ({"remote": "ftp://bucket/prefix"}, InvalidOptionError, "'ftp'"),
    ({"remote": "redis://user:word@host"}, InvalidOptionError, "REDISCLI_AUTH"),
    ({"remote": "redis://host", "remote_puts": "some"}, InvalidOptionError, "'pinned'"),
    ({"codec": "zip"}, InvalidOptionError, "'auto', 'zstd', 'kbit', 'raw'"),
    ({"codec": None}, InvalidOptionError, "'auto'"),
    ({"write_policy": "sometimes"}, InvalidOptionError, "'write_back'"),
    ({"write_policy": "after_hits"}, InvalidOptionError, "hits"),
    ({"when_queue_full": "panic"}, InvalidOptionError, "'drop'"),
    ({"hot_capacity": -5}, InvalidArgumentError, "hot_capacity"),
    ({"spill_rate": 0}, InvalidArgumentError, "spill_rate"),
])
def test_an_option_out_of_range_is_refused(folder: Path, options: Any, error: Any, words: str) -> None:
    with pytest.raises(error, match=words):
        open_store(folder, **options)
    with open_store(folder):
        pass


@pytest.mark.parametrize("changes, error", [
    ({"weights": bytes(32)}, InvalidIdentityError), ({"weights": b"short"}, InvalidIdentityError),
    ({"weights": "0" * 32}, TypeError), ({"tokenizer": bytes(33)}, InvalidIdentityError),
    ({"adapter": b""}, InvalidIdentityError), ({"salt": b""}, InvalidIdentityError),
    ({"salt": b"short"}, InvalidIdentityError), ({"salt": "a text of 16 bytes or more"}, TypeError),
    ({"engine": None}, TypeError), ({"engine": "a\0b"}, InvalidArgumentError), ({"engine": "\ud800"}, InvalidArgumentError),
    ({"positions": "x" * 5000}, InvalidIdentityError), ({"engine_format": -1}, InvalidArgumentError),
    ({"engine_format": 2**32}, InvalidArgumentError), ({"tensor_rank": 2, "tensor_size": 2}, InvalidIdentityError),
])
def test_an_identity_that_is_none_is_refused(store: Store, changes: Any, error: Any) -> None:
    with pytest.raises(error):
        space_of(store, replace(IDENTITY, **changes))


def test_a_salt_is_not_shown() -> None:
    assert "secret" not in repr(replace(IDENTITY, salt=b"a tenant's secret"))


@pytest.mark.parametrize("planes, error", [
    ([], InvalidLayoutError), ([Plane(1, 64)], InvalidLayoutError), ([Plane(0, 63, "bf16")], InvalidLayoutError),
    ([Plane(0, 0)], InvalidArgumentError), ([Plane(-1, 64)], InvalidArgumentError), ([64], TypeError),
    ([Plane(0, 64, "bf17")], InvalidLayoutError), ([Plane(0, 2**32)], InvalidArgumentError),
])
def test_a_layout_that_is_none_is_refused(store: Store, planes: Any, error: Any) -> None:
    with pytest.raises(error):
        space_of(store, planes=planes)


@pytest.mark.parametrize("size", [0, -1, 4097, 2**32 + 64])
def test_a_page_size_out_of_range_is_refused(store: Store, size: int) -> None:
    with pytest.raises(InvalidArgumentError, match="page_tokens"):
        store.space(IDENTITY, PLANES, page_tokens=size)


CALLS: Any = {
    "store.flush": lambda o: o["store"].flush(), "store.statistics": lambda o: o["store"].statistics(),
    "store.names": lambda o: o["store"].names(), "store.space": lambda o: space_of(o["store"]),
    "store.blocks": lambda o: o["store"].blocks(IDENTITY), "space.match": lambda o: o["space"].match(TOKENS),
    "space.insert": lambda o: o["space"].insert(TOKENS, kv(TOKENS)), "space.pin": lambda o: o["space"].pin(TOKENS),
    "space.sequence": lambda o: o["space"].sequence(), "space.explain": lambda o: o["space"].explain(TOKENS),
    "match.load": lambda o: o["match"].load(room(32)), "match.info": lambda o: o["match"].info(),
    "sequence.append": lambda o: o["sequence"].append(TOKENS, kv(TOKENS)),
    "sequence.tokens": lambda o: o["sequence"].tokens, "sequence.store_tail": lambda o: o["sequence"].store_tail(),
    "blocks.leading": lambda o: o["blocks"].leading([b"k"]), "blocks.queue": lambda o: o["blocks"].queue(),
    "queue.fileno": lambda o: o["queue"].fileno(), "queue.drain": lambda o: o["queue"].drain(),
    "queue.submit_exists": lambda o: o["queue"].submit_exists([b"k"]), "queue.wait": lambda o: o["queue"].wait(),
    "match in with": lambda o: o["match"].__enter__(),
}


@pytest.fixture
def objects(store: Store) -> Any:
    space = space_of(store)
    space.insert(TOKENS, kv(TOKENS))
    store.flush()
    blocks = store.blocks(IDENTITY)
    return {
        "store": store, "space": space, "match": space.match(TOKENS), "sequence": space.sequence(), "blocks": blocks,
        "queue": blocks.queue(),
    }


@pytest.mark.parametrize("call", CALLS)
def test_a_closed_object_says_that_it_was_closed(objects: Any, call: str) -> None:
    name = call.split(".")[0].split(" ")[0]
    objects[name].close()
    objects[name].close()
    assert objects[name].closed
    with pytest.raises(ClosedError, match="was closed"):
        CALLS[call](objects)


@pytest.mark.parametrize("call", CALLS)
def test_closing_the_store_closes_everything_that_came_from_it(objects: Any, call: str) -> None:
    objects["store"].close()
    assert all(each.closed for each in objects.values())
    with pytest.raises(ClosedError, match="store was closed"):
        CALLS[call](objects)
    for each in objects.values():
        each.close()


def test_matches_and_sequences_outlive_their_space(objects: Any) -> None:
    objects["space"].close()
    assert objects["match"].load(room(32)) == 32
    assert objects["sequence"].append(TOKENS[:16], kv(TOKENS[:16])) == 0


def test_a_closed_match_cannot_be_followed(objects: Any) -> None:
    objects["match"].close()
    with pytest.raises(ClosedError):
        objects["space"].sequence(after=objects["match"], loaded=16)


@pytest.mark.parametrize("loaded, error", [(33, InvalidPagesError), (-1, InvalidArgumentError), (None, TypeError)])
def test_a_sequence_cannot_begin_behind_what_was_not_matched(objects: Any, loaded: Any, error: Any) -> None:
    with pytest.raises(error):
        objects["space"].sequence(after=objects["match"], loaded=loaded)
    with pytest.raises(InvalidArgumentError, match="no tokens were matched"):
        objects["space"].sequence(loaded=16)


def test_an_insert_needs_the_loaded_tokens_too(objects: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="all"):
        objects["space"].insert(TOKENS[:8], kv(TOKENS[:8]), after=objects["match"], loaded=32)


@pytest.mark.parametrize("start, stop, error", [(5, 3, InvalidPagesError), (33, None, InvalidPagesError),
                                                (-1, None, InvalidArgumentError), (0, -1, InvalidArgumentError)])
def test_a_range_that_is_none_is_refused(objects: Any, start: int, stop: Any, error: Any) -> None:
    with pytest.raises(error):
        objects["match"].load(room(32), start=start, stop=stop)


@pytest.mark.parametrize("timeout, error", [(-1, InvalidArgumentError), ("1", TypeError), (float("nan"), InvalidArgumentError)])
def test_a_time_that_is_none_is_refused(store: Store, timeout: Any, error: Any) -> None:
    with pytest.raises(error, match="timeout"):
        store.flush(timeout=timeout)


@pytest.mark.parametrize("name", ["store", "space", "match", "sequence", "blocks", "queue"])
@pytest.mark.parametrize("take", [pickle.dumps, copy.copy, copy.deepcopy])
def test_an_open_object_cannot_be_pickled_or_copied(objects: Any, name: str, take: Callable[[Any], Any]) -> None:
    with pytest.raises(TypeError, match="cannot be pickled or copied"):
        take(objects[name])


def test_exceptions_and_identities_travel_between_processes(folder: Path) -> None:
    with pytest.raises(NotAFolderError) as caught:
        open_store(folder / "none")
    again = pickle.loads(pickle.dumps(caught.value))
    assert (type(again), str(again), again.code) == (NotAFolderError, str(caught.value), -201)
    assert pickle.loads(pickle.dumps(IDENTITY)) == IDENTITY


def test_an_exception_says_what_happened_and_what_to_do(store: Store, space: Space) -> None:
    with pytest.raises(NoSuchPageError) as caught:
        space.pin(TOKENS)
    assert caught.value.code == -110 and isinstance(caught.value, (PrefixStoreError, LookupError))
    assert str(caught.value).startswith("No page") and "Flush the store" in str(caught.value)
    assert "`" not in str(caught.value)  # no command of a program that a Python user does not have


def test_a_store_of_another_format_is_refused_with_its_number(folder: Path) -> None:
    open_store(folder).close()
    data = bytearray((folder / "data.mdb").read_bytes())
    at = data.find(b"format")
    assert at > 0
    found = []
    for place in range(at, at + 16):
        changed = bytearray(data)
        changed[place] ^= 0x40
        (folder / "data.mdb").write_bytes(changed)
        try:
            open_store(folder).close()
        except PrefixStoreError as problem:
            found.append(type(problem))
    assert FormatMismatchError in found


def test_the_store_works_after_all_of_this(objects: Any) -> None:
    with pytest.raises(PrefixStoreError):
        objects["match"].load([])
    with pytest.raises(PrefixStoreError):
        objects["space"].match([-1])
    assert load(objects["space"], TOKENS) == 32
    assert prefixstore.Identity is Identity and DIGEST == IDENTITY.weights
