"""The pages of an ExLlama cache: their names, their rows, and storing them as they become complete."""

from __future__ import annotations

import hashlib
from typing import Any, Iterator, List, Optional, Tuple

import numpy as np
import torch

from .. import Sequence, Space
from ._exllama_identity import PAGE

#: Ids from here on stand for parts of images, and are numbered anew in every process.
FIRST_OF_IMAGES = 1_000_000_000
# Memory through which pages pass, in bytes; one page more than none is always taken.
_STAGED_BYTES = 64 << 20


def name_of(previous: Optional[bytes], tokens: torch.Tensor) -> bytes:
    """The engine's own name of a page: a hash over the name of the page before and 256 token ids."""
    digest = hashlib.blake2b(previous or b"", digest_size=16)
    digest.update(tokens.numpy().tobytes())
    return digest.digest()


def names_of(tokens: torch.Tensor, count: int) -> Iterator[Tuple[bytes, torch.Tensor]]:
    """Names and tokens of the first pages, up to the first one that shows an image."""
    name: Optional[bytes] = None
    for at in range(count):
        part = tokens[at * PAGE:(at + 1) * PAGE].contiguous()
        if int(part.max()) >= FIRST_OF_IMAGES:
            return
        name = name_of(name, part)
        yield name, part


class Cache:
    """The engine's cache, by rows of tokens. On a GPU they pass through memory of the host."""

    def __init__(self, views: List[torch.Tensor]) -> None:
        self._views = views
        page_bytes = sum(view.shape[1] for view in views) * PAGE
        self.staged_pages = max(1, _STAGED_BYTES // page_bytes)

    def rows(self, page: Any, first: int, stop: int) -> List[torch.Tensor]:
        """The rows of some tokens of a page."""
        begin = page.page_index * PAGE
        return [view[begin + first:begin + stop].cpu() for view in self._views]

    def memory(self, count: int) -> List[torch.Tensor]:
        """Memory for the rows of `count` tokens."""
        return [
            torch.empty((count, view.shape[1]), dtype=torch.uint8, pin_memory=view.is_cuda) for view in self._views]

    def fill(self, page: Any, memory: List[torch.Tensor], first: int, count: int) -> None:
        """Copies rows from `first` on into the beginning of a page."""
        begin = page.page_index * PAGE
        for view, rows in zip(self._views, memory):
            view[begin:begin + count].copy_(rows[first:first + count])


class Writer:
    """Stores the pages of one sequence of a job, as they become complete."""

    def __init__(self, space: Space, cache: Cache) -> None:
        self._space, self._cache = space, cache
        self._cursor: Optional[Sequence] = None
        self._pages = self._found = 0
        self._name: Optional[bytes] = None
        self._has_ended = False

    def advance(self, sequence: Any, is_last: bool) -> None:
        """Stores what is complete; with `is_last` the last, partial page too. Nothing more after that, or an error."""
        try:
            self._advance(sequence, is_last)
        except BaseException:
            self._has_ended = True
            raise

    def _advance(self, sequence: Any, is_last: bool) -> None:
        whole = min(len(sequence.allocated_pages or []), sequence.kv_position // PAGE)
        if self._has_ended or (whole == self._pages and not is_last):
            return
        tokens = sequence.sequence_ids.torch()[0]
        while self._pages < whole:
            page, part = sequence.allocated_pages[self._pages], tokens[self._pages * PAGE:(self._pages + 1) * PAGE]
            name = name_of(self._name, part.contiguous())
            is_known = int(part.max()) < FIRST_OF_IMAGES and torch.equal(page.sequence[0], part)
            # The engine names a page of a reply when its tokens are final: not yet, if it may take some back.
            if not is_known or page.kv_position != PAGE or page.phash != name:
                self._has_ended = is_last or not is_known
                return
            self._append(tokens, page, PAGE)
            self._name, self._pages = name, self._pages + 1
        if is_last:
            self._store_tail(sequence, tokens)
            self._has_ended = True

    def _store_tail(self, sequence: Any, tokens: torch.Tensor) -> None:
        count = sequence.kv_position - self._pages * PAGE
        if not 0 < count < PAGE or self._pages >= len(sequence.allocated_pages):
            return
        page, part = sequence.allocated_pages[self._pages], tokens[self._pages * PAGE:sequence.kv_position]
        if page.kv_position < count or int(part.max()) >= FIRST_OF_IMAGES:
            return
        if torch.equal(page.sequence[0, :count], part) and self._append(tokens, page, count):
            assert self._cursor is not None
            self._cursor.store_tail()

    def _append(self, tokens: torch.Tensor, page: Any, count: int) -> bool:
        """Appends the first tokens of the next page. False: all of them were found in the store."""
        begin = self._pages * PAGE
        if self._cursor is None:
            known = tokens[:begin + count].numpy().astype(np.int32)
            # What is stored of the prompt behind these tokens was not checked here, and is not needed.
            with self._space.match(known) as match:
                self._found = match.tokens
                self._cursor = self._space.sequence(match, match.tokens)
        if begin + count <= self._found:
            return False
        first = max(0, self._cursor.tokens - begin)
        if first < count:
            part = tokens[begin + first:begin + count].numpy().astype(np.int32)
            self._cursor.append(part, self._cache.rows(page, first, count))
        return True

    def close(self) -> None:
        if self._cursor is not None:
            self._cursor.close()
