"""A sequence that is written as it grows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Tuple, Union

from ._handle import Handle
from ._identity import Element, Plane, element_of
from ._library import check, library
from ._rows import PackedRows, Planes, Rows, held
from ._tokens import Tokens, token_ids

if TYPE_CHECKING:
    from ._store import Store


class Sequence(Handle):
    """A cursor that stores a sequence of tokens. Made by `Space.sequence`.

    Thread-safe; its calls wait for each other. Whole pages are stored as they fill. The sequence keeps a copy of the
    rest, which `close` forgets: call `store_tail` at the end of a prompt or reply.
    """

    _name = "sequence"

    def __init__(self, number: int, store: Store, planes: Tuple[Plane, ...]) -> None:
        super().__init__(number, library.pfx_seq_end, owner=store)
        self._planes = planes

    @property
    def tokens(self) -> int:
        """Tokens of the sequence so far: those that it began behind, and those appended."""
        return check(library.pfx_seq_tokens(self._use()))

    @property
    def _is_divisible(self) -> bool:
        return all(element_of(plane.element) != Element.OPAQUE for plane in self._planes)

    def append(self, tokens: Tokens, rows: Union[Rows, PackedRows, Planes]) -> int:
        """Appends tokens and their rows, in order. The memory of the rows is copied and may be used again at once.

        Returns how many pages were new to the store; a page that is stored already costs one look-up.

        Raises `InvalidTokensError`, `InvalidPagesError`; nothing was appended then.
        """
        sequence = self._use()
        with token_ids(tokens) as (ids, count), held(rows, self._planes, count, writable=False) as given:
            return check(library.pfx_seq_append(sequence, ids, count, given))

    def store_tail(self) -> int:
        """Stores the last, partial page too, and goes on behind it. Do it once, at the end of a prompt or reply.

        Returns how many pages were new: 0 or 1. Raises `InvalidPagesError` for a space with opaque planes.
        """
        return check(library.pfx_seq_store_tail(self._use()))
