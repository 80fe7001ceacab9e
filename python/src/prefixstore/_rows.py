"""Where the rows of tokens lie in the caller's memory."""

from __future__ import annotations

import ctypes
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Iterator, List, Optional, Sequence, Tuple, Union

from ._buffers import Buffer, Memory, piece
from ._checks import UINT32, number
from ._errors import InvalidPagesError
from ._identity import Plane
from ._structs import RowsStruct, sized
from ._tokens import row_numbers

#: Memory of rows, one buffer per plane.
Planes = Sequence[Optional[Buffer]]


@dataclass(frozen=True)
class Rows:
    """One buffer per plane, and which of its rows belong to the tokens of a call.

    Row `r` of a buffer is its `r`-th row of `row_bytes` bytes: of flat memory, the bytes from `r * row_bytes` on; of
    an array with several dimensions, the last dimensions make a row and those before count the rows. Rows may have
    gaps between them, as in `cache[layer, 0]` of an array `[layers, 2, rows, heads, dim]`. A row itself has none.

    `planes`: a bytearray, memoryview, array of numpy or CPU tensor per plane of the space; None leaves a plane out of
    a load. `first`: the row of the call's first token; the others follow it. `index`: instead of `first`, the row of
    each token, all different.
    """

    planes: Planes
    first: int = 0
    index: Optional[Any] = None

    def behind(self, count: int) -> Rows:
        """The rows of the tokens after the first `count`."""
        if self.index is None:
            return Rows(self.planes, first=self.first + count)
        return Rows(self.planes, index=self.index[count:])


@dataclass(frozen=True)
class PackedRows:
    """The rows of all planes in one buffer, such as a blob that an engine reads or writes.

    Row 0 of plane `p` begins at byte `offsets[p]` of `buffer`, and `capacity` rows follow each other without gaps; None
    leaves a plane out of a load. `first`: the row of the call's first token. With many layers this costs less time than
    one buffer per plane.
    """

    buffer: Buffer
    offsets: Sequence[Optional[int]]
    capacity: int
    first: int = 0
    # The argument that was made of them last, and of what: an engine loads into the same memory again and again.
    _last: List[Any] = field(default_factory=list, init=False, repr=False, compare=False)

    def behind(self, count: int) -> PackedRows:
        """The rows of the tokens after the first `count`."""
        return replace(self, first=self.first + count)


def _place(memory: Memory, row_bytes: int, name: str) -> Tuple[int, int]:
    """The bytes from one row to the next, and how many rows there are."""
    shape, strides = memory.shape, memory.strides
    if memory.is_contiguous and len(shape) == 1:
        if memory.nbytes % row_bytes:
            raise InvalidPagesError(
                f"{name} has {memory.nbytes} bytes, which are no whole rows of {row_bytes} bytes. Give whole rows.")
        return row_bytes, memory.nbytes // row_bytes
    # The last dimensions are a row.
    size, axis = memory.itemsize, len(shape)
    while axis > 0 and size < row_bytes:
        axis -= 1
        if shape[axis] > 1 and strides[axis] != size:
            raise InvalidPagesError(f"A row of {name} has gaps in it. Give memory whose rows are in one piece.")
        size *= shape[axis]
    if size != row_bytes or axis == 0:
        raise InvalidPagesError(
            f"{name} has the shape {shape} of {memory.itemsize} bytes each, in which no dimensions make a row of "
            f"{row_bytes} bytes. Give an array of rows, or flat memory.")
    # A dimension of 1 beside them belongs to the row: its stride says nothing.
    while axis > 1 and shape[axis - 1] == 1:
        axis -= 1
    # Those before count the rows.
    stride, rows = strides[axis - 1], shape[axis - 1]
    for outer in range(axis - 2, -1, -1):
        if shape[outer] > 1 and strides[outer] != stride * rows:
            raise InvalidPagesError(f"The rows of {name} have more than one distance. Give them one by one, or flat.")
        rows *= shape[outer]
    if rows <= 1:
        return max(stride, row_bytes), rows
    if stride < row_bytes:
        raise InvalidPagesError(f"The rows of {name} overlap or run backwards. Give rows that follow each other.")
    return stride, rows


def _packed(rows: PackedRows, planes: Sequence[Plane], memory: Memory, count: int, writable: bool) -> Any:
    """The argument of a call on rows in one buffer."""
    offsets = rows.offsets
    if len(offsets) != len(planes):
        raise InvalidPagesError(f"There are {len(offsets)} offsets for {len(planes)} planes. Give one per plane.")
    capacity, first = number(rows.capacity, "capacity", UINT32), number(rows.first, "first", UINT32)
    if first + count > capacity:
        raise InvalidPagesError(
            f"{count} tokens from row {first} on do not fit in {capacity} rows. Give a larger buffer.")
    made_of = memory.address, memory.nbytes, tuple(offsets), capacity, first, tuple(planes), writable
    if rows._last and rows._last[0] == made_of:
        return rows._last[1]
    addresses = (ctypes.c_void_p * len(planes))()
    for at, (offset, plane) in enumerate(zip(offsets, planes)):
        if offset is None:
            if not writable:
                raise InvalidPagesError(f"The offset of plane {at} is None. Give rows of every plane to store.")
            continue
        if offset < 0 or offset + capacity * plane.row_bytes > memory.nbytes:
            raise InvalidPagesError(
                f"{capacity} rows of plane {at} from byte {offset} on do not fit in {memory.nbytes} bytes. Give a larger "
                "buffer.")
        addresses[at] = memory.address + offset
    made = sized(RowsStruct, planes=addresses, plane_count=len(planes), capacity=capacity, first=first)
    rows._last[:] = [made_of, made]
    return made


@contextmanager
def held(
    rows: Union[Rows, PackedRows, Planes], planes: Sequence[Plane], count: int, writable: bool,
) -> Iterator[Any]:
    """The argument of a call on the rows of `count` tokens, while their memory is held where it is."""
    if isinstance(rows, PackedRows):
        with piece(rows.buffer, "The buffer", writable) as memory:
            yield ctypes.byref(_packed(rows, planes, memory, count, writable))
        return
    rows = rows if isinstance(rows, Rows) else Rows(rows)
    try:
        buffers = list(rows.planes)
    except TypeError:
        raise TypeError(f"Rows are a list of one buffer per plane, not {type(rows.planes).__name__}.") from None
    if len(buffers) != len(planes):
        raise InvalidPagesError(f"There are {len(buffers)} buffers for {len(planes)} planes. Give one per plane.")
    addresses = (ctypes.c_void_p * len(planes))()
    strides = (ctypes.c_size_t * len(planes))()
    capacity = None
    with ExitStack() as stack:
        for at, (buffer, plane) in enumerate(zip(buffers, planes)):
            strides[at] = plane.row_bytes
            if buffer is None:
                if not writable:
                    raise InvalidPagesError(f"The buffer of plane {at} is None. Give rows of every plane to store.")
                continue
            name = f"The buffer of plane {at}"
            memory = stack.enter_context(Memory(buffer, name, writable))
            strides[at], room = _place(memory, plane.row_bytes, name)
            addresses[at] = memory.address
            capacity = room if capacity is None else min(capacity, room)
        if capacity is None:
            raise InvalidPagesError("Every buffer is None. Give the memory of one plane or more.")
        struct = sized(
            RowsStruct, planes=addresses, strides=strides, plane_count=len(planes), capacity=capacity,
            first=number(rows.first, "first", UINT32))
        if rows.index is None:
            if rows.first + count > capacity:
                raise InvalidPagesError(
                    f"{count} tokens from row {rows.first} on do not fit in {capacity} rows. Give larger buffers.")
        else:
            view = row_numbers(rows.index)
            if len(view) < count:
                raise InvalidPagesError(f"The index has {len(view)} rows for {count} tokens. Give one per token.")
            index = stack.enter_context(Memory(view, "index", writable=False))
            struct.index = ctypes.cast(index.address, ctypes.POINTER(ctypes.c_uint32))
            struct.index_count = len(view)
        yield ctypes.byref(struct)
