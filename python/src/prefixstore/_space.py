"""The pages of one identity and layout: finding prefixes, storing them, and what is kept with them."""

from __future__ import annotations

import ctypes
from datetime import datetime
from typing import TYPE_CHECKING, Any, Dict, Optional, Tuple, Union

from ._buffers import Buffer, piece
from ._checks import INT63, milliseconds, nanoseconds, number, text
from ._errors import InvalidArgumentError
from ._handle import Handle
from ._identity import Plane
from ._library import check, json_of, library
from ._match import Match
from ._rows import PackedRows, Planes, Rows
from ._sequence import Sequence as OpenSequence
from ._tokens import Tokens, token_ids

if TYPE_CHECKING:
    from ._store import Store


class Space(Handle):
    """The pages of one identity and layout. Made by `Store.space`. Thread-safe.

    Its matches and sequences stay good when it is closed.
    """

    _name = "space"

    def __init__(self, number: int, store: Store, planes: Tuple[Plane, ...], page_tokens: int) -> None:
        super().__init__(number, library.pfx_space_close, owner=store)
        self._store = store
        #: The planes of a page.
        self.planes = planes
        #: Tokens of a page.
        self.page_tokens = page_tokens

    def match(self, tokens: Tokens, *, within: Optional[float] = None) -> Match:
        """Finds the longest stored prefix of `tokens`, to the token, and counts as a use of its pages.

        The match has `tokens` 0 when nothing is stored. Its pages in RAM stay there until it is closed.

        The look on disk takes `within` seconds at most; with None, as long as it takes. When the time is up, the match
        is what RAM has. The look goes on without this caller, so that the next one finds the index in memory.

        Raises `InvalidTokensError`.
        """
        space = self._use()
        limit = milliseconds(within, "within")
        handle = ctypes.c_void_p()
        with token_ids(tokens) as (ids, count):
            if limit is None:
                found = check(library.pfx_match_prefix(space, ids, count, ctypes.byref(handle)))
            else:
                found = check(library.pfx_match_prefix_within(space, ids, count, limit, ctypes.byref(handle)))
        return Match(handle.value, self._store, self.planes, found)

    def sequence(self, after: Optional[Match] = None, loaded: int = 0) -> OpenSequence:
        """Begins to write a sequence, behind the whole pages of the first `loaded` tokens of the match `after`.

        Without a match it begins at its first token. `Sequence.tokens` says where to go on: a multiple of the page
        size. The match may be closed afterwards.

        Raises `InvalidPagesError` for a match of another space, or `loaded` beyond it.
        """
        space = self._use()
        loaded = number(loaded, "loaded", INT63)
        match = None if after is None else after._handle()
        if match is None and loaded:
            raise InvalidArgumentError(f"loaded is {loaded}, and no tokens were matched. Give the match, or 0.")
        handle = ctypes.c_void_p()
        check(library.pfx_seq_begin(space, match, loaded, ctypes.byref(handle)))
        return OpenSequence(handle.value or 0, self._store, self.planes)

    def insert(
        self, tokens: Tokens, rows: Union[Rows, PackedRows, Planes], *, after: Optional[Match] = None, loaded: int = 0
    ) -> int:
        """Stores a whole sequence, its last, partial page too, in one call.

        `rows` has the rows of all `tokens`, those that were loaded as well. `after` and `loaded` are as for `sequence`:
        pages that were loaded are not looked at again.

        Returns how many pages were new to the store.
        """
        rows = rows if isinstance(rows, (Rows, PackedRows)) else Rows(rows)
        with self.sequence(after, loaded) as sequence:
            begin = sequence.tokens
            if begin > len(tokens):
                raise InvalidArgumentError(f"There are {len(tokens)} tokens, and {loaded} were loaded. Give them all.")
            new = sequence.append(tokens[begin:], rows.behind(begin))
            return new + (sequence.store_tail() if sequence._is_divisible else 0)

    def record_prefill(self, tokens: int, seconds: float) -> None:
        """Tells the store how long the engine took to compute `tokens` tokens, so that it knows what is worth loading."""
        space = self._use()
        check(library.pfx_record_prefill(space, number(tokens, "tokens", INT63), nanoseconds(seconds, "seconds")))

    def explain(self, tokens: Tokens) -> Dict[str, Any]:
        """What is stored of `tokens`, in which tier, what loading takes, and in which fields other spaces differ.

        For people and logs: it reads the descriptions of all spaces.
        """
        space = self._use()
        with token_ids(tokens) as (ids, count):
            return dict(json_of(library.pfx_explain, space, ids, count))

    def pin(self, tokens: Tokens) -> None:
        """Keeps every page of a prefix on disk whatever the quota asks, restarts included, until `unpin`.

        Raises `NoSuchPageError` when a page is not on disk: call `Store.flush` before.
        """
        self._on_prefix(library.pfx_pin, tokens)

    def unpin(self, tokens: Tokens) -> None:
        """Takes one pin off; as many are needed as there were pins. Raises `NoSuchPageError`."""
        self._on_prefix(library.pfx_unpin, tokens)

    def expire(self, tokens: Tokens, when: Union[datetime, float, None]) -> None:
        """From `when` on, the last page of a prefix and all behind it are a miss; None takes the date off.

        `when` is a datetime with a time zone, or seconds since 1970. Raises `NoSuchPageError`, as `pin`.
        """
        self._on_prefix(library.pfx_expire, tokens, 0 if when is None else _unix_milliseconds(when))

    def set_name(self, name: str, tokens: Tokens) -> None:
        """Gives a prefix a name of 1 to 64 bytes for people and tools, in place of an older one of that name.

        A name keeps nothing: pin the prefix for that. Raises `NoSuchPageError`, as `pin`; `InvalidNameError`.
        """
        space = self._use()
        with token_ids(tokens) as (ids, count):
            check(library.pfx_name_set(space, text(name, "name"), ids, count))

    def put_side_state(self, tokens: Tokens, name: str, state: Buffer) -> None:
        """Stores a named blob with a prefix: a recurrent state, a window, the last logits. It is synced on return.

        The prefix must be on disk: call `Store.flush` before. `name` has 1 to 64 bytes, `state` at most 1 GiB.

        Raises `NoSuchPageError`, `InvalidSideStateError`.
        """
        space = self._use()
        with token_ids(tokens) as (ids, count), piece(state, "state", writable=False) as memory:
            check(
                library.pfx_side_put(space, ids, count, text(name, "name"), memory.address or None, memory.nbytes))

    def side_state(self, tokens: Tokens, name: str) -> Optional[bytearray]:
        """The blob of that name; None when there is none, or when it is damaged."""
        space = self._use()
        size = ctypes.c_size_t(1 << 16)
        with token_ids(tokens) as (ids, count):
            while True:
                room = size.value
                state = bytearray(room)
                with piece(state, "state", writable=True) as memory:
                    found = library.pfx_side_get(
                        space, ids, count, text(name, "name"), memory.address or None, room, ctypes.byref(size))
                if check(found) == 0:
                    return None
                if size.value <= room:
                    del state[size.value :]
                    return state

    def _on_prefix(self, function: Any, tokens: Tokens, *more: Any) -> None:
        space = self._use()
        with token_ids(tokens) as (ids, count):
            check(function(space, ids, count, *more))


def _unix_milliseconds(when: Union[datetime, float]) -> int:
    if isinstance(when, datetime):
        if when.tzinfo is None:
            raise InvalidArgumentError("The date has no time zone. Give one, such as datetime.timezone.utc.")
        when = when.timestamp()
    if isinstance(when, (str, bytes)) or not hasattr(when, "__float__"):
        raise TypeError(f"when is a datetime or a number of seconds, not {type(when).__name__}.")
    # In C, 0 takes the date off.
    if not 0 < float(when) < 1e12:
        raise InvalidArgumentError(f"when is {when} s. Give seconds since 1970, more than 0.")
    return max(1, int(float(when) * 1000))
