"""The token level: what was stored comes back, to the token and to the byte, into memory of any shape."""

from __future__ import annotations

from array import array
from dataclasses import replace
from pathlib import Path
from typing import Any, List

import numpy
import pytest

import prefixstore
from prefixstore import InvalidPagesError, Match, PackedRows, Plane, Rows, Space, Store
from support import DIGEST, IDENTITY, MIB, PAGE, PLANES, ROW, kv, load, open_store, prompt, room, space_of


def test_a_prompt_comes_back_to_the_token_and_to_the_byte(store: Store, space: Space) -> None:
    tokens = prompt(100)
    assert space.insert(tokens, kv(tokens)) == 7
    store.flush()
    assert load(space, tokens) == 100
    # It ends inside a page, and it goes on behind what is stored.
    assert load(space, tokens[:37]) == 37
    assert load(space, tokens + prompt(40, seed=3)) == 100


def test_prompts_share_their_beginning_and_no_more(store: Store, space: Space) -> None:
    first = prompt(100)
    second = first[:41] + prompt(59, seed=1)
    space.insert(first, kv(first))
    store.flush()
    assert load(space, second) == 41
    with space.match(second) as match:
        # Two whole pages are shared; the third is another, with the same 9 tokens at its front.
        assert space.insert(second, kv(second), after=match, loaded=41) == 5
    store.flush()
    assert load(space, second) == 100 and load(space, first) == 100


def test_the_next_opening_finds_what_was_flushed(folder: Path) -> None:
    tokens = prompt(64)
    with open_store(folder) as store:
        space_of(store).insert(tokens, kv(tokens))
        store.flush()
    with open_store(folder) as store:
        assert load(space_of(store), tokens) == 64


@pytest.mark.parametrize(
    "other",
    [
        replace(IDENTITY, weights=bytes([1]) * 32), replace(IDENTITY, tokenizer=bytes([1]) * 32),
        replace(IDENTITY, adapter=DIGEST), replace(IDENTITY, positions="rope theta=10000"),
        replace(IDENTITY, engine="another"), replace(IDENTITY, engine_format=2),
        replace(IDENTITY, tensor_size=2), replace(IDENTITY, tensor_size=2, tensor_rank=1),
        replace(IDENTITY, pipeline_size=2), replace(IDENTITY, salt=b"a tenant's secret"),
    ],
)
def test_another_identity_is_a_miss(store: Store, space: Space, other: prefixstore.Identity) -> None:
    tokens = prompt(32)
    space.insert(tokens, kv(tokens))
    store.flush()
    assert load(space_of(store, other), tokens) == 0
    assert load(space, tokens) == 32


def test_a_label_does_not_count(store: Store, space: Space) -> None:
    tokens = prompt(32)
    space.insert(tokens, kv(tokens))
    store.flush()
    assert load(space_of(store, replace(IDENTITY, label="another name")), tokens) == 32


def test_a_sequence_grows_and_keeps_the_rest_of_a_page(store: Store, space: Space) -> None:
    tokens = prompt(50)
    rows = kv(tokens)
    with space.sequence() as sequence:
        assert sequence.tokens == 0
        new = 0
        for at in range(0, 50, 5):
            new += sequence.append(tokens[at : at + 5], Rows(rows, first=at))
        assert (new, sequence.tokens) == (3, 50)
        store.flush()
        assert load(space, tokens) == 48
        assert sequence.store_tail() == 1
    store.flush()
    assert load(space, tokens) == 50


def test_nothing_found_is_a_match_of_no_tokens(space: Space) -> None:
    with space.match(prompt(20)) as match:
        assert match.tokens == 0
        assert match.load(room(20)) == 0
        assert match.info().tokens == 0
        with space.sequence(after=match) as sequence:
            assert sequence.tokens == 0


def test_pieces_of_a_match_are_loaded_behind_the_callers_back(store: Store, space: Space) -> None:
    tokens = prompt(60)
    rows = kv(tokens)
    space.insert(tokens, rows)
    store.flush()
    with space.match(tokens) as match:
        pieces = [room(20) for _ in range(3)]
        loads = [match.begin_load(piece, start=20 * at, stop=20 * at + 20) for at, piece in enumerate(pieces)]
        assert [load.wait() for load in loads] == [20, 20, 20]
        assert [load.wait() for load in loads] == [20, 20, 20]
        for at, piece in enumerate(pieces):
            assert piece[2] == rows[2][20 * at * ROW : 20 * (at + 1) * ROW]


def test_memory_of_a_load_stays_until_it_is_over(store: Store, space: Space) -> None:
    tokens = prompt(60)
    space.insert(tokens, kv(tokens))
    store.flush()
    with space.match(tokens) as match:
        into = room(60)
        loading = match.begin_load(into)
        with pytest.raises(BufferError):
            into[0].extend(b"more")
        assert loading.wait() == 60
        into[0].extend(b"more")


def test_a_load_that_nobody_waits_for_ends_before_its_memory_goes(store: Store, space: Space) -> None:
    tokens = prompt(60)
    space.insert(tokens, kv(tokens))
    store.flush()
    for _ in range(50):
        with space.match(tokens) as match:
            match.begin_load(room(60))


def test_the_end_of_a_match_ends_its_loads(store: Store, space: Space) -> None:
    tokens = prompt(60)
    space.insert(tokens, kv(tokens))
    store.flush()
    match = space.match(tokens)
    loads = [match.begin_load(room(60)) for _ in range(20)]
    match.close()
    delivered = [load.wait() for load in loads]
    assert set(delivered) <= {0, 60} and delivered == sorted(delivered, reverse=True)
    with pytest.raises(prefixstore.ClosedError):
        match.begin_load(room(60))


def test_a_load_keeps_its_match_open(store: Store, space: Space) -> None:
    tokens = prompt(60)
    space.insert(tokens, kv(tokens))
    store.flush()
    for _ in range(50):
        assert space.match(tokens).begin_load(room(60)).wait() == 60


def test_the_end_of_the_store_ends_its_loads(folder: Path) -> None:
    tokens = prompt(60)
    with open_store(folder) as store:
        space = space_of(store)
        space.insert(tokens, kv(tokens))
        store.flush()
        match = space.match(tokens)
        loads = [match.begin_load(room(60)) for _ in range(20)]
    delivered = [load.wait() for load in loads]
    assert set(delivered) <= {0, 60} and delivered == sorted(delivered, reverse=True)


def test_a_load_of_nothing_is_over_at_once(space: Space) -> None:
    with space.match(prompt(10)) as match:
        assert match.begin_load(room(10)).wait() == 0


def test_a_load_into_memory_that_does_not_fit_is_refused_when_it_begins(store: Store, space: Space) -> None:
    tokens = prompt(60)
    space.insert(tokens, kv(tokens))
    store.flush()
    with space.match(tokens) as match:
        with pytest.raises(InvalidPagesError):
            match.begin_load(room(59))
        with pytest.raises(InvalidPagesError):
            match.begin_load(room(60), start=61)


def test_a_part_of_a_match_is_loaded(store: Store, space: Space) -> None:
    tokens = prompt(60)
    rows = kv(tokens)
    space.insert(tokens, rows)
    store.flush()
    with space.match(tokens) as match:
        into = room(60)
        assert match.load(into, start=10, stop=25) == 15
        assert into[2][: 15 * ROW] == rows[2][10 * ROW : 25 * ROW]
        assert not any(into[2][15 * ROW :])
        # Some planes alone.
        into = room(60)
        assert match.load([None, into[1], None, None]) == 60
        assert into[1] == rows[1] and not any(into[0])


def test_rows_lie_anywhere(store: Store, space: Space) -> None:
    tokens = prompt(48)
    rows = kv(tokens)
    places = [(17 * at + 5) % 64 for at in range(48)]
    scattered = room(64)
    for plane, into in zip(rows, scattered):
        for token, place in enumerate(places):
            into[place * ROW : (place + 1) * ROW] = plane[token * ROW : (token + 1) * ROW]
    space.insert(tokens, Rows(scattered, index=places))
    store.flush()
    assert load(space, tokens) == 48
    for index in (places, array("I", places), numpy.array(places, dtype=numpy.uint32), numpy.array(places)):
        with space.match(tokens) as match:
            targets = room(64)
            assert match.load(Rows(targets, index=index)) == 48
            assert targets == scattered


def test_planes_lie_in_one_buffer(store: Store, space: Space) -> None:
    tokens = prompt(48)
    rows = kv(tokens)
    # A head of 5 bytes before each plane, as in a blob that an engine writes.
    blob = bytearray()
    offsets: List[int] = []
    for plane in rows:
        offsets.append(len(blob) + 5)
        blob += b"head " + plane
    space.insert(tokens, PackedRows(blob, offsets, 48))
    store.flush()
    assert load(space, tokens) == 48
    with space.match(tokens) as match:
        into = bytearray(blob[:5].join(bytes(len(plane)) for plane in [b"", *rows]))
        assert match.load(PackedRows(into, offsets, 48)) == 48 and into == blob
        # A part, at a later row, and without two of the planes.
        into = bytearray(len(blob))
        assert match.load(PackedRows(into, [None, offsets[1], None, offsets[3]], 48, first=8), 8, 24) == 16
        assert into[offsets[1] + 8 * ROW : offsets[1] + 24 * ROW] == rows[1][8 * ROW : 24 * ROW]
        assert not any(into[: offsets[1] + 8 * ROW]) and not any(into[offsets[2] : offsets[3] + 8 * ROW])


def cache_with_gaps(rows: List[bytearray], count: int) -> Any:
    """One array for all planes, `[rows, planes, numbers]`: the rows of a plane have gaps between them."""
    cache = numpy.zeros((count, len(rows), ROW // 2), dtype=numpy.uint16)
    for at, plane in enumerate(rows):
        cache[:, at] = numpy.frombuffer(plane, dtype=numpy.uint16).reshape(count, -1)
    return cache


def test_arrays_of_numpy_are_read_and_written_with_gaps_between_rows(store: Store, space: Space) -> None:
    tokens = prompt(40)
    rows = kv(tokens)
    cache = cache_with_gaps(rows, 40)
    space.insert(tokens, [cache[:, at] for at in range(4)])
    store.flush()
    assert load(space, tokens) == 40
    into = numpy.zeros((2, 2, 50, 2, 16), dtype=numpy.uint16)
    with space.match(tokens) as match:
        assert match.load([into[layer, kind] for layer in range(2) for kind in range(2)]) == 40
    assert into[1, 0, :40].tobytes() == rows[2] and not into[:, :, 40:].any()
    # Whole pages of an engine: [pages, tokens of a page, heads, dim].
    pages = numpy.zeros((4, 4, 16, 2, 16), dtype=numpy.uint16)
    with space.match(tokens) as match:
        assert match.load(list(pages)) == 40
    assert pages[3].tobytes()[: 40 * ROW] == rows[3]


@pytest.mark.parametrize("as_tokens", [tuple, lambda t: array("i", t), lambda t: numpy.array(t),
                                       lambda t: numpy.array(t, dtype=numpy.int32), lambda t: numpy.array(t)[::1]])
def test_token_ids_come_in_many_forms(store: Store, space: Space, as_tokens: Any) -> None:
    tokens = prompt(33)
    space.insert(as_tokens(tokens), kv(tokens))
    store.flush()
    with space.match(as_tokens(tokens)) as match:
        assert match.tokens == 33


def test_planes_may_differ(store: Store) -> None:
    planes = [Plane(0, 128, "fp16"), Plane(0, 34, "q8_0"), Plane(1, 10)]
    space = space_of(store, planes=planes)
    tokens = prompt(40)
    space.insert(tokens, kv(tokens, planes))
    store.flush()
    assert load(space, tokens, planes) == 40


def test_opaque_pages_move_whole(store: Store) -> None:
    planes = [Plane(0, 64, "opaque")]
    space = space_of(store, planes=planes)
    tokens = prompt(40)
    assert space.insert(tokens, kv(tokens, planes)) == 2
    store.flush()
    assert load(space, tokens, planes) == 32
    with space.match(tokens) as match, pytest.raises(InvalidPagesError, match="whole pages"):
        match.load(room(40, planes), stop=20)


def test_pages_in_ram_are_found_before_they_are_written(folder: Path) -> None:
    with open_store(folder, hot_capacity=4 * MIB, write_policy="write_back") as store:
        space = space_of(store)
        tokens = prompt(32)
        space.insert(tokens, kv(tokens))
        assert load(space, tokens) == 32
        with space.match(tokens) as match:
            assert (match.info().hot_tokens, match.info().cold_tokens) == (32, 0)


def test_the_store_says_what_is_worth_loading(store: Store, space: Space) -> None:
    tokens = prompt(64)
    space.insert(tokens, kv(tokens))
    store.flush()
    space.record_prefill(64, 10.0)
    load(space, tokens)
    with space.match(tokens) as match:
        info = match.info()
    assert (info.tokens, info.cold_tokens, info.worth_tokens) == (64, 64, 64)
    assert 0 < info.load_seconds < 10


def test_a_match_of_another_space_is_refused(store: Store, space: Space) -> None:
    tokens = prompt(32)
    space.insert(tokens, kv(tokens))
    store.flush()
    with space.match(tokens) as match, pytest.raises(InvalidPagesError, match="another space"):
        space_of(store, replace(IDENTITY, engine="another")).sequence(after=match, loaded=32)


def test_a_page_has_as_many_tokens_as_were_asked_for(store: Store) -> None:
    space = store.space(IDENTITY, PLANES)
    assert (space.page_tokens, PAGE) == (64, 16)
    tokens = prompt(100)
    assert space.insert(tokens, kv(tokens)) == 2
    assert isinstance(space.match(tokens), Match)
