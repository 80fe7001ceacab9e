"""What was found of a prompt, and loading it."""

from __future__ import annotations

import ctypes
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Callable, Optional, Tuple, Union

from ._checks import INT63, milliseconds, number
from ._errors import InvalidPagesError
from ._handle import Handle
from ._identity import Plane
from ._library import check, library
from ._rows import PackedRows, Planes, Rows, held
from ._structs import MatchInfoStruct, sized

if TYPE_CHECKING:
    from ._store import Store


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
        match = self._use()
        start, stop = self._range(start, stop)
        handle = ctypes.c_void_p()
        with ExitStack() as stack:
            rows = stack.enter_context(held(into, self._planes, stop - start, writable=True))
            if match:
                check(library.pfx_load_begin(match, start, stop, rows, ctypes.byref(handle)))
            return Loading(handle.value, self._owner, stack.pop_all().close)

    def _range(self, start: int, stop: Optional[int]) -> Tuple[int, int]:
        start = number(start, "start", INT63)
        stop = self.tokens if stop is None else min(number(stop, "stop", INT63), self.tokens)
        if start > stop:
            raise InvalidPagesError(f"start is {start}, behind the end of the {stop} tokens to load. Begin before it.")
        return start, stop

    def _handle(self) -> Optional[int]:
        return self._use() or None


class Loading(Handle):
    """A load that goes on behind the caller's back. Made by `Match.begin_load`. Thread-safe."""

    _name = "load"

    def __init__(self, number: Optional[int], store: Optional[Handle], release: Callable[[], None]) -> None:
        # Nothing to load is no handle in C, and giving that back does nothing.
        super().__init__(number or 0, library.pfx_load_end, owner=store, after=release)

    def wait(self) -> int:
        """Waits for the end. Returns how many tokens were delivered, as `Match.load` does; 0 if the match or the store
        was closed before. Waiting again gives the same number."""
        self.close()
        return max(0, *self._answers, 0)
