"""The form in which a llama.cpp context writes the keys and values of a sequence.

`llama_state_seq_get_data`, session files and slot files all hold the same body: per group of layers, the positions of
the cells, then the rows of K per layer, then those of V. Models without sliding windows have one group; those with them
a second one, of the windowed layers. Cells come in the order of the cache, which is not that of the positions once a
cell was freed and used again, so every row is found by its position. With flash attention off, V comes transposed.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import Callable, List, NamedTuple, Optional, Sequence, Tuple, Union

import numpy as np

from .. import Element, InvalidLayoutError, Match, PackedRows, Plane

#: Bytes before the body in `llama_state_seq_get_data`: a magic number, and the sequence.
HEAD = struct.Struct("<Ii")
MAGIC = 0xAF143CD8

# ggml's numbers of types.
_ELEMENTS = {
    0: Element.FP32, 1: Element.FP16, 30: Element.BF16, 8: Element.Q8_0, 2: Element.Q4_0, 3: Element.Q4_1,
    6: Element.Q5_0, 7: Element.Q5_1, 20: Element.IQ4_NL,
}
_MAX_GROUPS = 2
_WORDS = {2: np.uint16, 4: np.uint32}


class UnknownMemoryError(InvalidLayoutError):
    """The memory of this model is not one that can be cut into tokens. Run the model without a store."""


class _Misfit(Exception):
    """The bytes are not what was expected."""


class PlaneForm(NamedTuple):
    """K or V of a layer: ggml's number of its type, bytes per token, and bytes of a number if V is transposed or 0."""

    type: int
    row: int
    element: int


@dataclass
class Group:
    """Layers that share cells. Its planes are K and V of a layer, K and V of the next, or K alone."""

    streams: int = 1
    transposed: bool = False
    has_values: bool = True
    window: int = 0
    planes: List[PlaneForm] = field(default_factory=list)


class Cells(NamedTuple):
    """What was read of one group: the position of each cell, and per plane an array of rows, or of strips."""

    positions: np.ndarray
    planes: List[np.ndarray]


class _Reader:
    def __init__(self, body: np.ndarray) -> None:
        self.body, self.at = body, 0

    def bytes(self, count: int) -> np.ndarray:
        if count < 0 or self.at + count > len(self.body):
            raise _Misfit
        self.at += count
        return self.body[self.at - count:self.at]

    def number(self, form: str) -> int:
        return int(struct.unpack("<" + form, self.bytes(struct.calcsize("<" + form)).tobytes())[0])


def _read_positions(reader: _Reader, cells: int) -> np.ndarray:
    # A cell has three words; two in a sequence whose number is not below n_seq_max.
    first = reader.at
    if cells < 1 or len(reader.body) - first < 8 * cells:
        raise _Misfit
    reader.bytes(4)
    words = 2 + reader.number("I")
    reader.at = first
    if words not in (2, 3):
        raise _Misfit
    table = reader.bytes(4 * words * cells).view(np.int32).reshape(cells, words)
    if not (table[:, 1] == words - 2).all():
        raise _Misfit
    return table[:, 0]


def _read_plane(reader: _Reader, cells: int, is_strips: bool) -> Tuple[PlaneForm, np.ndarray]:
    kind = reader.number("i")
    if is_strips:
        element, numbers = reader.number("I"), reader.number("I")
        if element not in _WORDS:
            raise _Misfit
        data = reader.bytes(numbers * element * cells).view(_WORDS[element]).reshape(numbers, cells)
        return PlaneForm(kind, numbers * element, element), data
    row = reader.number("Q")
    return PlaneForm(kind, row, 0), reader.bytes(row * cells).reshape(cells, row)


def _read_group(reader: _Reader, has_values: bool) -> Tuple[Group, Cells]:
    group, found = Group(reader.number("I"), has_values=has_values), Cells(np.empty(0, np.int32), [])
    if group.streams > 4096:
        raise _Misfit
    for _ in range(group.streams):
        cells = reader.number("I")
        if cells == 0:
            continue
        if len(found.positions):
            raise _Misfit  # a sequence is in one stream
        positions = _read_positions(reader, cells)
        group.transposed = reader.number("I") != 0
        layers = reader.number("I")
        keys = [_read_plane(reader, cells, False) for _ in range(layers)]
        values = [_read_plane(reader, cells, group.transposed) for _ in range(layers if has_values else 0)]
        both = [plane for pair in zip(keys, values) for plane in pair] if has_values else keys
        group.planes = [form for form, _ in both]
        found = Cells(positions, [data for _, data in both])
    return group, found


class Shape:
    """What all bodies of a context have in common. Made by `learn`."""

    def __init__(self, groups: List[Group]) -> None:
        self.groups = groups

    @classmethod
    def learn(cls, body: np.ndarray, window: int = 0) -> Shape:
        """Learns it from the body of a sequence with one token or more. `window`: that of the model, or 0.

        Nothing in a body tells how many groups there are, and whether V exists: the one reading that ends with the body
        is right. Raises `UnknownMemoryError`.
        """
        for has_values in (True, False):
            reader = _Reader(body)
            groups: List[Group] = []
            try:
                while reader.at < len(body) and len(groups) < _MAX_GROUPS:
                    group, cells = _read_group(reader, has_values)
                    groups.append(group)
                    if not len(cells.positions):
                        raise _Misfit
            except (_Misfit, ValueError):
                continue
            if reader.at == len(body) and any(group.planes for group in groups):
                if len(groups) > 1:
                    if window < 1:
                        raise UnknownMemoryError("The model has two kinds of layers, and none has a window.")
                    groups[1].window = window
                return cls(groups)
        raise UnknownMemoryError(
            "The memory of this model cannot be cut into tokens (recurrent, hybrid, or with positions of several "
            "numbers), or has a form that this version does not know. Run the model without a store.")

    @property
    def flash_attention(self) -> bool:
        """Whether V has a row per token, as with flash attention."""
        return not self.groups[0].transposed

    @property
    def window(self) -> int:
        """Tokens that windowed layers look back at; 0 when there are none."""
        return max(group.window for group in self.groups)

    @property
    def forms(self) -> List[PlaneForm]:
        return [form for group in self.groups for form in group.planes]

    @property
    def token_bytes(self) -> int:
        return sum(form.row for form in self.forms)

    def planes(self) -> List[Plane]:
        """The planes as a store wants them."""
        planes: List[Plane] = []
        layer = 0
        for group in self.groups:
            step = 2 if group.has_values else 1
            for at, form in enumerate(group.planes):
                element = _ELEMENTS.get(form.type, Element.BYTES)
                planes.append(Plane(layer + at // step, form.row, element, group.window))
            layer += len(group.planes) // step
        return planes

    def read(self, body: np.ndarray) -> List[Cells]:
        """The cells of each group. Raises `UnknownMemoryError` when the body has another form than the first one."""
        reader, found = _Reader(body), []
        try:
            for known in self.groups:
                group, cells = _read_group(reader, known.has_values)
                if len(cells.positions) and (group.planes != known.planes or group.transposed != known.transposed):
                    raise _Misfit
                if group.streams != known.streams:
                    raise _Misfit
                found.append(cells)
        except (_Misfit, ValueError):
            reader.at = -1
        if reader.at != len(body):
            raise UnknownMemoryError("The context writes its state in another form than before.")
        return found

    def gather(self, cells: Sequence[Cells], start: int, stop: int) -> List[np.ndarray]:
        """Per plane, the rows of positions `start` to `stop`, or as far as every group has them. Copies none that are
        in order."""
        wheres = []
        for group in cells:
            where = np.full(stop - start, -1, np.int64)
            inside = np.nonzero((group.positions >= start) & (group.positions < stop))[0]
            where[group.positions[inside] - start] = inside
            missing = np.nonzero(where < 0)[0]
            stop = start + (int(missing[0]) if len(missing) else len(where))
            wheres.append(where)
        rows: List[np.ndarray] = []
        for group, where, known in zip(cells, wheres, self.groups):
            where = where[:stop - start]
            in_order = len(where) > 0 and where[-1] - where[0] == len(where) - 1 and bool((np.diff(where) == 1).all())
            pick = slice(int(where[0]), int(where[-1]) + 1) if in_order else where
            for form, data in zip(known.planes, group.planes if len(where) else [np.empty((0, 0))] * len(known.planes)):
                if not len(where):
                    rows.append(np.empty((0, form.row), np.uint8))
                elif form.element:
                    rows.append(np.ascontiguousarray(data[:, pick].T).view(np.uint8))
                else:
                    rows.append(data[pick])
        return rows


class Frame:
    """Everything but rows and positions of a body with `count` positions: the same for every such body of a shape, so
    that it is written once into memory that is used for one body after the other."""

    def __init__(self, shape: Shape, count: int, with_windows: bool = True) -> None:
        self.shape, self.count = shape, count
        #: Where the rows, or strips, of each plane begin; None for windowed layers if they get no cells.
        self.offsets: List[Optional[int]] = []
        self._tables: List[int] = []
        self._words: List[Tuple[int, bytes]] = []
        #: Bytes of the body.
        self.size = 0
        for group in shape.groups:
            self._add(group, count if group.window == 0 or with_windows else 0)

    def _add(self, group: Group, cells: int) -> None:
        self._put("II", group.streams, cells)  # the first stream stands for whichever the sequence is in
        found: List[Optional[int]] = [None] * len(group.planes)
        if cells:
            self._tables.append(self.size)
            self.size += 12 * cells
            step = 2 if group.has_values else 1
            self._put("II", group.transposed, len(group.planes) // step)
            for side in range(step):
                for index in range(side, len(group.planes), step):
                    form = group.planes[index]
                    if form.element:
                        self._put("iII", form.type, form.element, form.row // form.element)
                    else:
                        self._put("iQ", form.type, form.row)
                    found[index] = self.size
                    self.size += form.row * cells
        self.offsets += found
        self._put("I" * (group.streams - 1), *[0] * (group.streams - 1))

    def _put(self, form: str, *numbers: int) -> None:
        self._words.append((self.size, struct.pack("<" + form, *numbers)))
        self.size += len(self._words[-1][1])

    def begin(self, body: np.ndarray) -> None:
        """Writes it into a body, with positions from 0 on."""
        view = body.data  # a slice of an array of numpy takes ten times as long
        for at, words in self._words:
            view[at:at + len(words)] = words
        for table in self._tables_of(body):
            table[:, 0], table[:, 1:] = np.arange(self.count), (1, 0)

    def positions(self, body: np.ndarray) -> List[np.ndarray]:
        """Where the positions are in a body, per group with cells."""
        return [table[:, 0] for table in self._tables_of(body)]

    def _tables_of(self, body: np.ndarray) -> List[np.ndarray]:
        """Per group with cells, three words for each: its position, and the one sequence that has it."""
        return [body[at:at + 12 * self.count].view(np.int32).reshape(self.count, 3) for at in self._tables]

    def rows(self, body: np.ndarray) -> PackedRows:
        """Where the rows are in a body. Keeps its memory where it is."""
        return PackedRows(body, self.offsets, self.count)

    def begin_load(
        self, match: Match, body: np.ndarray, start: int, rows: Optional[PackedRows] = None, *, is_first: bool = False
    ) -> Callable[[], int]:
        """Begins to load tokens of a match, from `start` on, into a body that was begun. What it returns waits for the
        end, and says how many came. `rows`: those of the body, if they are at hand. `is_first`: that does the load: the
        thread that waits has nothing else to do."""

        def begin(into: Union[PackedRows, Sequence[Optional[np.ndarray]]]) -> Callable[[], int]:
            if is_first:
                return lambda: match.load(into, start, start + self.count)
            return match.begin_load(into, start, start + self.count).wait

        forms = self.shape.forms
        strips = [index for index, form in enumerate(forms) if form.element and self.offsets[index] is not None]
        if not strips:
            return begin(rows or self.rows(body))
        places: List[Optional[np.ndarray]] = [
            None if offset is None else body[offset:offset + form.row * self.count]
            for offset, form in zip(self.offsets, forms)]
        targets = list(places)
        for index in strips:
            targets[index] = np.empty(forms[index].row * self.count, np.uint8)
        wait = begin(targets)

        def finish() -> int:
            loaded = wait()
            for index in strips if loaded == self.count else ():
                word, row = _WORDS[forms[index].element], forms[index].row // forms[index].element
                place, came = places[index], targets[index]
                assert place is not None and came is not None
                place.view(word).reshape(row, self.count)[:] = came.view(word).reshape(self.count, row).T
            return loaded

        return finish
