"""What was found of a prompt, and loading it."""

from __future__ import annotations

import ctypes
import os
import threading
import weakref
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Dict, List, Optional, Tuple, Union

from ._checks import INT63, milliseconds, number
from ._errors import ForkedError, InvalidPagesError, error
from ._handle import Handle
from ._identity import Plane
from ._library import check, library
from ._rows import PackedRows, Planes, Rows, held
from ._structs import MatchInfoStruct, sized

if TYPE_CHECKING:
    from ._store import Store

#: Of a load: its handle, the process that began it, what the library answered and the error of that, a lock, and the
#: memory that it writes.
_Belongings = Tuple[ctypes.c_void_p, int, List[Any], Any, ExitStack]


@dataclass(frozen=True)
class MatchInfo:
    """What is known of a match."""

    #: Tokens found.
    tokens: int
    #: Of these, in this process's RAM.
    hot_tokens: int
    #: Of these, on disk only.
    cold_tokens: int
    #: About what loading all of them takes, in seconds.
    load_seconds: float
    #: How many had best be loaded: all, those of this host, those in RAM, or none; see `Space.record_prefill`.
    worth_tokens: int
    #: Of `tokens`, on the remote only.
    remote_tokens: int


class Match(Handle):
    """The longest stored prefix of a prompt. Made by `Space.match`. Thread-safe.

    Close it soon, best with `with`: its pages in RAM cannot be evicted meanwhile.
    """

    _name = "match"

    def __init__(self, number: Optional[int], store: Store, planes: Tuple[Plane, ...], tokens: int) -> None:
        # Nothing found is no handle in C, and giving that back does nothing.
        super().__init__(number or 0, library.pfx_match_end, owner=store)
        self._planes = planes
        #: Tokens found; 0 for none.
        self.tokens = tokens

    def __repr__(self) -> str:
        return f"<prefixstore.Match of {self.tokens} tokens{', closed' if self.closed else ''}>"

    def info(self) -> MatchInfo:
        """In which tier the tokens are, and what loading them takes."""
        match = self._use()
        if not match:
            return MatchInfo(0, 0, 0, 0.0, 0, 0)
        info = sized(MatchInfoStruct)
        check(library.pfx_match_get_info(match, ctypes.byref(info)))
        return MatchInfo(
            info.tokens, info.hot_tokens, info.cold_tokens, info.load_ns / 1e9, info.worth_tokens, info.remote_tokens)

    def load(
        self,
        into: Union[Rows, PackedRows, Planes],
        start: int = 0,
        stop: Optional[int] = None,
        *,
        within: Optional[float] = None,
    ) -> int:
        """Copies the rows of tokens `start` to `stop`, which is not included, into the caller's memory.

        `into` is one writable buffer per plane, `Rows` or `PackedRows`; the first row is for token `start`. `stop` None, or beyond
        the match, stands for its end. An engine that needs logits leaves out the last token of a prompt.

        Returns how many tokens were delivered, from `start` on. Fewer than asked for means that a page was evicted or
        damaged meanwhile: rows of later tokens hold nothing of use then. Memory must not be read or written by others
        during the call. A space with opaque planes gives whole pages only.

        The disk is waited for `within` seconds at most; with None, as long as it takes. When the time is up, what was
        delivered until then is the result. The reading goes on, so that the next call finds the bytes in memory.

        Raises `InvalidPagesError` when the memory does not fit; nothing was written then.
        """
        match = self._use()
        limit = milliseconds(within, "within")
        start, stop = self._range(start, stop)
        with held(into, self._planes, stop - start, writable=True) as rows:
            if not match:
                return 0
            if limit is None:
                return check(library.pfx_load(match, start, stop, rows))
            return check(library.pfx_load_within(match, start, stop, limit, rows))

    def begin_load(
        self, into: Union[Rows, PackedRows, Planes], start: int = 0, stop: Optional[int] = None,
    ) -> Loading:
        """As `load`, on a thread of the library, and returns at once: the engine takes one piece of a prompt into its own
        memory while the next one is being loaded, and Python's lock is not passed to and fro.

        Loads of a match are done one after the other, in the order in which they were begun. Their memory is held where
        it is, and must be left alone, until `Loading.wait` has returned.
        """
        loading = Loading(self)
        loading._begin(into, *self._range(start, stop))
        return loading

    def _range(self, start: int, stop: Optional[int]) -> Tuple[int, int]:
        start = number(start, "start", INT63)
        stop = self.tokens if stop is None else min(number(stop, "stop", INT63), self.tokens)
        if start > stop:
            raise InvalidPagesError(f"start is {start}, behind the end of the {stop} tokens to load. Begin before it.")
        return start, stop

    def _handle(self) -> Optional[int]:
        return self._use() or None


#: What belongs to loads that are not over, by the place of their handle. A load whose end is cut off, by a signal whose
#: handler raises while the garbage collector works, keeps its memory here for ever: it must not be freed.
_unended: Dict[int, _Belongings] = {}


def _end(belongings: _Belongings) -> None:
    """Waits for a load, and lets go of its memory. A signal whose handler raises may come at any place: nothing is lost,
    and the next call goes on from there."""
    handle, process, answers, lock, memory = belongings
    with lock:
        if os.getpid() != process:
            return
        if not answers:
            # One instruction, which no signal interrupts: there is an answer if, and only if, the load is over.
            answers.extend(map(library.pfx_load_end, [handle]))
        if answers[0] < 0 and len(answers) == 1:
            answers.append(error(answers[0], library.pfx_last_error().decode("utf-8", "replace")))
        memory.close()
        _unended.pop(id(handle), None)


class Loading:
    """A load that goes on behind the caller's back. Made by `Match.begin_load`. Thread-safe.

    One that nobody waits for is waited for when it is no longer used, and at the end of the interpreter. It keeps its
    match open, unless that is closed by hand.
    """

    def __init__(self, match: Match) -> None:
        self._match = match
        # The library writes the handle before it returns from the call that begins the load. A signal's handler may
        # wait for the load that it has interrupted a wait for, hence a lock for one thread again and again.
        self._belongings: _Belongings = (ctypes.c_void_p(), os.getpid(), [], threading.RLock(), ExitStack())
        # Before the load begins, so that no signal can come between.
        weakref.finalize(self, _end, self._belongings)

    def __repr__(self) -> str:
        return f"<prefixstore.Loading{', over' if self._belongings[2] else ''}>"

    def _begin(self, into: Union[Rows, PackedRows, Planes], start: int, stop: int) -> None:
        match = self._match._use()
        handle, memory = self._belongings[0], self._belongings[4]
        rows = memory.enter_context(held(into, self._match._planes, stop - start, writable=True))
        if match:
            _unended[id(handle)] = self._belongings
            check(library.pfx_load_begin(match, start, stop, rows, ctypes.byref(handle)))

    def wait(self) -> int:
        """Waits for the end. Returns how many tokens were delivered, as `Match.load` does; 0 if the match or the store
        was closed before. Waiting again gives the same number, or raises the same error."""
        _end(self._belongings)
        answers = self._belongings[2]
        if not answers:
            raise ForkedError("This load was begun before a fork. Open the store in the child process.")
        if answers[0] < 0:
            raise answers[1]
        return int(answers[0])

    def __reduce__(self) -> Any:
        raise TypeError("A load cannot be pickled or copied.")
