"""Tokens on their way from a store into a llama.cpp context, piece by piece."""

from __future__ import annotations

import threading
from queue import SimpleQueue
from typing import Dict, Generator, List, NamedTuple, Optional, Tuple, Union

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
            self._frame, self.rows = frame, frame.rows(self.body)
        frame.number(self.body, start)


class Pieces:
    """Loads pieces of a match, one after the other, for the caller to put into its context.

    `ahead`: by another thread, while the caller puts the piece before into its context. That pays for pages that must
    be decoded. Loading raw pages takes little longer than waking the other thread and passing Python's lock to it.
    """

    def __init__(self, shape: Shape, ahead: bool) -> None:
        self._shape, self._is_ahead = shape, ahead
        self._frames: Dict[Tuple[int, bool], Frame] = {}
        # One piece is in the caller's hands, and one is being loaded. A third costs more page faults than it saves.
        self._slots = (_Slot(), _Slot())

    def load(self, match: Match, cuts: List[Cut]) -> Generator[Tuple[np.ndarray, int], None, None]:
        """Per piece its blob, good until the next one is asked for, and how many of its tokens came."""
        if self._is_ahead and len(cuts) > 1:
            yield from self._load_ahead(match, cuts)
            return
        for cut in cuts:
            yield self._load(match, cut, 0)

    def _load_ahead(self, match: Match, cuts: List[Cut]) -> Generator[Tuple[np.ndarray, int], None, None]:
        """The first piece is loaded on the caller's thread, beside the second: the caller would only wait."""
        free: SimpleQueue[bool] = SimpleQueue()
        loaded: SimpleQueue[Union[Tuple[np.ndarray, int], BaseException]] = SimpleQueue()
        is_over = threading.Event()

        def work() -> None:
            try:
                for number, cut in enumerate(cuts[1:], 1):
                    free.get()
                    if is_over.is_set():
                        return
                    loaded.put(self._load(match, cut, number))
            except BaseException as problem:  # it is the caller's
                loaded.put(problem)

        other = threading.Thread(target=work, name="prefixstore-pieces", daemon=True)
        other.start()
        try:
            for _ in self._slots[1:]:
                free.put(True)
            for number in range(len(cuts)):
                piece = loaded.get() if number else self._load(match, cuts[0], 0)
                if isinstance(piece, BaseException):
                    raise piece
                yield piece
                free.put(True)
        finally:
            # It may be writing into a slot.
            is_over.set()
            free.put(True)
            other.join()

    def _load(self, match: Match, cut: Cut, number: int) -> Tuple[np.ndarray, int]:
        form = cut.stop - cut.start, cut.with_windows
        if form not in self._frames:
            self._frames[form] = Frame(self._shape, *form)
        frame = self._frames[form]
        slot = self._slots[number % len(self._slots)]
        slot.take(frame, cut.start)
        return slot.blob, frame.load(match, slot.body, cut.start, slot.rows)
