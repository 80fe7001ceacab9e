"""Tokens on their way from a store into a llama.cpp context, piece by piece."""

from __future__ import annotations

from collections import deque
from itertools import islice
from typing import Callable, Deque, Dict, Generator, List, NamedTuple, Optional, Tuple

import numpy as np

from .. import Match, PackedRows
from ._llama_shape import HEAD, MAGIC, Frame, Shape


class Cut(NamedTuple):
    """Tokens `start` to `stop`; windowed layers get cells if `with_windows`."""

    start: int
    stop: int
    with_windows: bool = True


class _Slot:
    """Memory for one piece after the other."""

    def __init__(self) -> None:
        self._memory = np.empty(0, np.uint8)
        self._frame: Optional[Frame] = None
        self._positions: List[np.ndarray] = []
        #: A blob of the frame, its body, and the rows in that.
        self.blob = self.body = self._memory
        self.rows: Optional[PackedRows] = None

    def take(self, frame: Frame, start: int) -> None:
        """Makes a blob of the frame for positions from `start` on. Most pieces have the frame of the one before."""
        if self._frame is not frame:
            size = HEAD.size + frame.size
            if len(self._memory) < size:
                self._memory = np.empty(size, np.uint8)
            self.blob, self.body = self._memory[:size], self._memory[HEAD.size:size]
            self.blob[:HEAD.size] = np.frombuffer(HEAD.pack(MAGIC, 0), np.uint8)
            frame.begin(self.body)
            self._frame, self.rows, self._positions = frame, frame.rows(self.body), frame.positions(self.body)
        for positions in self._positions:
            positions += start - positions[0]


class Pieces:
    """Loads pieces of a match, one after the other, while the caller puts those before into its context."""

    def __init__(self, shape: Shape) -> None:
        self._shape = shape
        self._frames: Dict[Tuple[int, bool], Frame] = {}
        # One piece is in the caller's hands, one waits, and one is being loaded.
        self._slots = (_Slot(), _Slot(), _Slot())

    def load(self, match: Match, cuts: List[Cut]) -> Generator[Tuple[np.ndarray, int], None, None]:
        """Per piece its blob, good until the next one is asked for, and how many of its tokens came."""
        begun: Deque[Tuple[np.ndarray, Callable[[], int]]] = deque()
        waiting = iter(enumerate(cuts))
        try:
            for _ in cuts:
                for number, cut in islice(waiting, len(self._slots) - len(begun)):
                    begun.append(self._begin(match, cut, number))
                blob, finish = begun.popleft()
                yield blob, finish()
        finally:
            # They write into the slots.
            for _, finish in begun:
                finish()

    def _begin(self, match: Match, cut: Cut, number: int) -> Tuple[np.ndarray, Callable[[], int]]:
        form = cut.stop - cut.start, cut.with_windows
        if form not in self._frames:
            self._frames[form] = Frame(self._shape, *form)
        frame = self._frames[form]
        slot = self._slots[number % len(self._slots)]
        slot.take(frame, cut.start)
        return slot.blob, frame.begin_load(match, slot.body, cut.start, slot.rows, is_first=number == 0)
