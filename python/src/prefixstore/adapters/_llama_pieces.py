"""Tokens on their way from a store into a llama.cpp context, piece by piece."""

from __future__ import annotations

from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import Dict, Generator, List, NamedTuple, Optional, Tuple

import numpy as np

from .. import Match
from ._llama_shape import HEAD, MAGIC, Frame, Shape


class Cut(NamedTuple):
    """Tokens `start` to `stop`; windowed layers get cells if `with_windows`."""

    start: int
    stop: int
    with_windows: bool = True


class _Slot:
    """Memory for one piece after the other."""

    def __init__(self) -> None:
        self._blob = np.empty(0, np.uint8)
        self._frame: Optional[Frame] = None

    def blob(self, frame: Frame, start: int) -> np.ndarray:
        """A blob of the frame for positions from `start` on. Most pieces have the frame of the one before."""
        size = HEAD.size + frame.size
        if self._frame is not frame:
            if len(self._blob) < size:
                self._blob = np.empty(size, np.uint8)
            self._blob[:HEAD.size] = np.frombuffer(HEAD.pack(MAGIC, 0), np.uint8)
            frame.begin(self._blob[HEAD.size:])
            self._frame = frame
        frame.number(self._blob[HEAD.size:], start)
        return self._blob[:size]


class Pieces:
    """Loads pieces of a match by another thread, while the caller puts one into its context."""

    def __init__(self, shape: Shape) -> None:
        self._shape = shape
        self._frames: Dict[Tuple[int, bool], Frame] = {}
        # One piece is in the caller's hands, one is being loaded, and the next one waits, so that the other thread is
        # never idle.
        self._slots = (_Slot(), _Slot(), _Slot())

    def load(self, match: Match, cuts: List[Cut]) -> Generator[Tuple[np.ndarray, int], None, None]:
        """Per piece its blob, good until the next one is asked for, and how many of its tokens came."""
        if len(cuts) == 1:
            yield self._load(match, cuts[0], 0)
            return
        with ThreadPoolExecutor(1) as other:
            ahead = deque(other.submit(self._load, match, cut, number) for number, cut in enumerate(cuts[:2]))
            for number in range(2, len(cuts) + 2):
                piece = ahead.popleft().result()
                if number < len(cuts):
                    ahead.append(other.submit(self._load, match, cuts[number], number))
                yield piece

    def _load(self, match: Match, cut: Cut, number: int) -> Tuple[np.ndarray, int]:
        form = cut.stop - cut.start, cut.with_windows
        if form not in self._frames:
            self._frames[form] = Frame(self._shape, *form)
        frame = self._frames[form]
        blob = self._slots[number % len(self._slots)].blob(frame, cut.start)
        return blob, frame.load(match, blob[HEAD.size:], cut.start)
