"""Memory of the caller: what is taken, what is refused, and that nothing is written before it was checked."""

from __future__ import annotations

import ctypes
import mmap
from array import array
from typing import Any, List, Tuple

import ml_dtypes
import numpy
import pytest

from prefixstore import (
    InvalidArgumentError, InvalidPagesError, InvalidTokensError, PackedRows, Plane, Rows, Space, Store,
)
from support import ROW, kv, prompt, room, space_of

TOKENS = prompt(32)


@pytest.fixture
def full(store: Store, space: Space) -> Space:
    """The space with 32 tokens in it."""
    space.insert(TOKENS, kv(TOKENS))
    store.flush()
    return space


class Tensor:
    """The methods of a PyTorch tensor that the package asks, over memory of numpy."""

    def __init__(self, memory: Any, device: str = "cpu") -> None:
        self.memory, self.shape = memory, memory.shape
        self.device = type("Device", (), {"type": device, "__str__": lambda self: device})()

    def data_ptr(self) -> int:
        return int(self.memory.ctypes.data)

    def element_size(self) -> int:
        return int(self.memory.itemsize)

    def stride(self) -> Tuple[int, ...]:
        return tuple(stride // self.memory.itemsize for stride in self.memory.strides)


@pytest.mark.parametrize("make", [
    lambda: bytearray(32 * ROW),
    lambda: memoryview(bytearray(40 * ROW))[ROW:],
    lambda: array("d", bytes(32 * ROW)),
    lambda: mmap.mmap(-1, 32 * ROW),
    # Arrays of ctypes have no strides.
    lambda: (ctypes.c_char * (32 * ROW))(),
    lambda: (ctypes.c_uint16 * (ROW // 2) * 32)(),
    lambda: numpy.zeros(32 * ROW, dtype=numpy.uint8),
    lambda: numpy.zeros((32, 2, 16), dtype=numpy.float16),
    lambda: numpy.zeros((2, 16, 32), dtype=numpy.uint16),
    # A type that numpy itself does not know, and for which it offers no buffer with a format.
    lambda: numpy.zeros((32, 2, 16), dtype=ml_dtypes.bfloat16),
    lambda: numpy.zeros((32, 100), dtype=numpy.uint8)[:, 20:20 + ROW],
    lambda: numpy.zeros((64, ROW), dtype=numpy.int8)[::2],
    lambda: numpy.zeros((32, 2), dtype="V64")[:, :1],
    lambda: numpy.zeros((32, 2, 1, ROW), dtype=numpy.uint8)[:, 1],
    lambda: numpy.zeros(32, dtype="V64"),
    lambda: Tensor(numpy.zeros((32, 3, ROW), dtype=numpy.uint8)[:, 1]),
])
def test_a_load_fills_any_memory_of_whole_rows(full: Space, make: Any) -> None:
    into = [make() for _ in range(4)]
    with full.match(TOKENS) as match:
        assert match.load(into) == 32
    for got, right in zip(into, kv(TOKENS)):
        got = got.memory if isinstance(got, Tensor) else got
        got = numpy.frombuffer(got, dtype=numpy.uint8) if isinstance(got, mmap.mmap) else got
        assert numpy.ascontiguousarray(got).tobytes()[: len(right)] == right


def test_a_deadline_that_does_not_pass_changes_nothing(full: Space) -> None:
    into = [bytearray(32 * ROW) for _ in range(4)]
    with full.match(TOKENS, within=600) as match:
        assert match.tokens == 32
        assert match.load(into, within=600) == 32
    assert [bytes(plane) for plane in into] == kv(TOKENS)


@pytest.mark.parametrize("row_bytes, make", [
    (4, lambda: numpy.zeros((32, 2, 1), dtype=numpy.float32)[:, 0]),
    (1, lambda: numpy.zeros((32, 3), dtype=numpy.uint8)[:, :1]),
])
def test_a_row_of_one_number_may_have_a_dimension_of_its_own(store: Store, row_bytes: int, make: Any) -> None:
    planes = [Plane(0, row_bytes)]
    small = space_of(store, planes=planes)
    rows = make()
    rows[:, 0] = range(32)
    small.insert(TOKENS, [rows])
    store.flush()
    into = make()
    with small.match(TOKENS) as match:
        assert match.load([into]) == 32
    assert into[:, 0].tolist() == list(range(32))


def loads(space: Space, into: Any) -> None:
    with space.match(TOKENS) as match:
        match.load(into)


@pytest.mark.parametrize("make, words", [
    (lambda: bytes(32 * ROW), "read-only"),
    (lambda: memoryview(bytes(32 * ROW)), "read-only"),
    (lambda: numpy.broadcast_to(numpy.zeros(ROW, dtype=numpy.uint8), (32, ROW)), "read-only"),
    (lambda: bytearray(31 * ROW), "do not fit in 31 rows"),
    (lambda: bytearray(32 * ROW + 1), "no whole rows"),
    (lambda: bytearray(), "do not fit in 0 rows"),
    (lambda: numpy.zeros((32, ROW - 1), dtype=numpy.uint8), "no dimensions make a row"),
    (lambda: numpy.zeros((32, ROW), dtype=numpy.uint16), "no dimensions make a row"),
    (lambda: numpy.zeros((ROW, 32), dtype=numpy.uint8).T, "gaps in it"),
    (lambda: numpy.zeros((32, 2 * ROW), dtype=numpy.uint8)[:, ::2], "gaps in it"),
    (lambda: numpy.zeros((32, ROW), dtype=numpy.uint8)[::-1], "run backwards"),
    (lambda: numpy.zeros((2, 33, ROW), dtype=numpy.uint8)[:, ::2], "more than one distance"),
    (lambda: numpy.lib.stride_tricks.as_strided(numpy.zeros(ROW, dtype=numpy.uint8), (32, ROW), (0, 1)), "overlap"),
    (lambda: Tensor(numpy.zeros((32, ROW), dtype=numpy.uint8), "cuda:0"), "device cuda:0"),
])
def test_memory_that_does_not_fit_is_refused_before_anything_is_written(full: Space, make: Any, words: str) -> None:
    into: List[Any] = room(32)
    into[3] = make()
    with pytest.raises(InvalidPagesError, match=words):
        loads(full, into)
    assert not any(map(any, into[:3]))


@pytest.mark.parametrize("into, words", [
    ([1, 2, 3, 4], "has no buffer"),
    ("four", "has no buffer"),
    (7, "a list of one buffer per plane"),
    (bytearray(4), "has no buffer"),
    ([[0] * 32] * 4, "has no buffer"),
])
def test_what_is_no_memory_is_a_type_error(full: Space, into: Any, words: str) -> None:
    with pytest.raises(TypeError, match=words):
        loads(full, into)


@pytest.mark.parametrize("into, words", [
    (room(32)[:3], "3 buffers for 4 planes"),
    (room(32) + room(32), "8 buffers for 4 planes"),
    ([None] * 4, "Every buffer is None"),
    (Rows(room(32), first=1), "from row 1 on do not fit"),
    (Rows(room(32), index=range(31)), "31 rows for 32 tokens"),
    (Rows(room(32), index=range(1, 33)), "row 32"),
    (PackedRows(bytearray(4 * 32 * ROW), [0, 0, 0], 32), "3 offsets for 4 planes"),
    (PackedRows(bytearray(4 * 32 * ROW), [0, 0, 0, 0], 31), "do not fit in 31 rows"),
    (PackedRows(bytearray(4 * 32 * ROW), [0, 0, 0, 0], 32, first=1), "from row 1 on do not fit"),
    (PackedRows(bytearray(4 * 32 * ROW), [0, 0, 0, 96 * ROW + 1], 32), "plane 3 from byte 6145 on do not fit"),
    (PackedRows(bytearray(4 * 32 * ROW), [0, -1, 0, 0], 32), "plane 1 from byte -1 on do not fit"),
    (PackedRows(bytes(4 * 32 * ROW), [0, 0, 0, 0], 32), "read-only"),
    (PackedRows(bytearray(4 * 32 * ROW), [None] * 4, 32), "no plane has an address"),
])
def test_a_wrong_count_is_refused(full: Space, into: Any, words: str) -> None:
    with pytest.raises(InvalidPagesError, match=words):
        loads(full, into)


@pytest.mark.parametrize("first", [-1, 2**32])
def test_a_row_number_outside_its_range_is_refused(full: Space, first: int) -> None:
    with pytest.raises(InvalidArgumentError, match="first"):
        loads(full, Rows(room(32), first=first))


def test_rows_to_store_need_every_plane(space: Space) -> None:
    with pytest.raises(InvalidPagesError, match="None"):
        space.insert(TOKENS, [None, *kv(TOKENS)[1:]])
    with pytest.raises(InvalidPagesError, match="The offset of plane 0 is None"):
        space.insert(TOKENS, PackedRows(bytearray(4 * 32 * ROW), [None, 0, 0, 0], 32))


def test_read_only_memory_can_be_stored(store: Store, space: Space) -> None:
    space.insert(TOKENS, [bytes(plane) for plane in kv(TOKENS)])
    store.flush()
    with space.match(TOKENS) as match:
        assert match.tokens == 32


def test_memory_is_free_again_after_the_call(full: Space) -> None:
    into = room(32)
    loads(full, into)
    for plane in into:
        plane.append(0)
    # After a call that failed, too.
    with pytest.raises(InvalidPagesError):
        loads(full, [into[0], into[1], into[2], bytes(32 * ROW)])
    into[0].append(0)


@pytest.mark.parametrize("tokens, error, words", [
    ([-1], InvalidTokensError, "-1"),
    ([2**31], InvalidTokensError, "32 bits"),
    (numpy.array([2**31]), InvalidTokensError, "32 bits"),
    ([0.5], TypeError, "whole numbers"),
    (["a"], TypeError, "whole numbers"),
    ("text", TypeError, "not str"),
    (b"text", TypeError, "not bytes"),
    (7, TypeError, "whole numbers"),
    (None, TypeError, "whole numbers"),
    (numpy.zeros((2, 2), dtype=numpy.int32), TypeError, "flat"),
    (numpy.array([0.5]), TypeError, "whole numbers"),
])
def test_what_is_no_token_id_is_refused(space: Space, tokens: Any, error: Any, words: str) -> None:
    with pytest.raises(error, match=words):
        space.match(tokens)


def test_an_empty_prompt_is_refused(space: Space) -> None:
    with pytest.raises(InvalidTokensError):
        space.match([])


def test_more_rows_than_tokens_are_left_alone(full: Space) -> None:
    into = room(40)
    loads(full, into)
    assert not any(into[0][32 * ROW :]) and any(into[0])
