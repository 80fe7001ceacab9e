"""Blocks of bytes under keys that the engine chooses."""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING, List, Sequence

from ._buffers import Memory
from ._handle import Handle
from ._keys import key_list
from ._library import check, library
from ._queue import Block, Queue, spans_of

if TYPE_CHECKING:
    from ._store import Store


class Blocks(Handle):
    """The blocks of one identity. Made by `Store.blocks`. Thread-safe.

    A key is bytes, 1 to 511 of them; the identity is part of a block's name besides. A block has at most 1 GiB.
    """

    _name = "block space"

    def __init__(self, number: int, store: Store) -> None:
        super().__init__(number, library.pfx_blocks_close, owner=store)
        self._store = store

    def leading(self, keys: Sequence[bytes]) -> int:
        """How many of the first keys are stored: the first that is not ends the count. Counts as no use.

        A block that still waits to be written is not stored.
        """
        return check(library.pfx_blocks_leading(self._use(), *key_list(keys)))

    def get(self, keys: Sequence[bytes], blocks: Sequence[Block]) -> List[bool]:
        """Loads blocks into writable memory, one block per key, and waits for the disk. For a few blocks that somebody
        waits for; a queue is the way for many.

        Returns for each key whether all of its block's bytes are in its memory. A block of another length is a miss.
        Raises as `Queue.submit_get`.
        """
        structs, count = key_list(keys)
        results = (ctypes.c_uint8 * count)()
        memories: List[Memory] = []
        try:
            spans = spans_of(blocks, count, True, memories)
            check(library.pfx_blocks_get(self._use(), structs, *spans, count, results))
        finally:
            for memory in memories:
                memory.release()
        return [result == 1 for result in results]

    def touch(self, keys: Sequence[bytes]) -> None:
        """Counts as a use of the blocks that are stored. Does not wait for the disk."""
        check(library.pfx_blocks_touch(self._use(), *key_list(keys)))

    def remove(self, keys: Sequence[bytes]) -> int:
        """Removes blocks, with what follows them, and waits for the disk. Returns how many were removed.

        A block that still waits to be written is written afterwards: call `Store.flush` before.
        """
        return check(library.pfx_blocks_remove(self._use(), *key_list(keys)))

    def queue(self) -> Queue:
        """Opens a queue of jobs that nobody waits for: the way to put blocks, and to get many."""
        handle = ctypes.c_void_p()
        check(library.pfx_queue_open(self._use(), ctypes.byref(handle)))
        return Queue(handle.value or 0, self._store)
