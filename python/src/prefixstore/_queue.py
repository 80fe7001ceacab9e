"""Jobs on blocks that nobody waits for."""

from __future__ import annotations

import ctypes
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, List, Optional, Sequence, Tuple, Union

from ._buffers import Buffer, Memory, piece
from ._checks import UINT32, number
from ._errors import InvalidBlockError, PrefixStoreError, error
from ._handle import Handle
from ._jobs import Jobs, Kept
from ._keys import key_list
from ._library import check, library
from ._structs import CompletionStruct, SpanStruct
from ._waiting import wait

if TYPE_CHECKING:
    from ._store import Store

#: The memory of one block: one buffer, or several, one after the other.
Block = Union[Buffer, Sequence[Buffer]]
# Completions taken with one call.
_AT_ONCE = 256


@dataclass(frozen=True)
class Completion:
    """A job that has ended."""

    #: Its number, as `submit_put` and the others returned it.
    job: int
    #: Its keys.
    count: int
    #: Keys that succeeded.
    succeeded: int
    #: Keys that succeeded before the first that did not.
    leading: int
    #: Per key, 1 when it succeeded, and 0 otherwise.
    results: bytes
    #: What ended the job early, or None.
    error: Optional[PrefixStoreError]


class Queue(Handle):
    """A queue of jobs on blocks. Made by `Blocks.queue`. Thread-safe.

    One thread of the library does the puts, another the gets and look-ups, each in the order in which they came. No
    `submit_` call waits for the disk or for another job. The queue holds the buffers of a job where they are until
    `drain` has reported it, or until the queue is closed: a bytearray cannot be resized meanwhile. Write to the memory
    of a put, and read that of a get, only afterwards.

    An exception of a signal handler, such as KeyboardInterrupt, may come out of a `submit_` call whose job was accepted.
    `drain` reports it like any other. A `drain` that is interrupted loses what it took, and no other job.
    """

    _name = "queue"

    def __init__(self, number: int, store: Store) -> None:
        self._jobs = Jobs()
        # A job must be in the table before another thread can drain it.
        self._lock = threading.Lock()
        super().__init__(number, library.pfx_queue_close, owner=store, after=self._jobs.let_go)

    def fileno(self) -> int:
        """A descriptor that is readable while completions wait, for `selectors` and asyncio's `add_reader`.

        `drain` resets it. It belongs to the queue: do not close it, and do not read it.
        """
        return check(library.pfx_queue_fd(self._use()))

    def submit_put(self, keys: Sequence[bytes], blocks: Sequence[Block]) -> int:
        """Stores blocks, one per key. Returns the job's number.

        A key succeeds when its block waits to be written, or when one of its key is stored already. It can be found
        once it is written, and `Store.flush` makes it durable. Every block has the same number of buffers.

        Raises `InvalidBlockError`; `TooManyError` while 4096 jobs wait or were not drained.
        """
        return self._submit(library.pfx_submit_put, keys, blocks, writable=False)

    def submit_get(self, keys: Sequence[bytes], blocks: Sequence[Block]) -> int:
        """Loads blocks into writable memory, one block per key. Returns the job's number.

        A key succeeds when all of its block's bytes are in its memory. A block of another length is a miss.

        Raises as `submit_put`.
        """
        return self._submit(library.pfx_submit_get, keys, blocks, writable=True)

    def submit_exists(self, keys: Sequence[bytes]) -> int:
        """Looks blocks up. Returns the job's number. A key succeeds when its block is stored. Raises `TooManyError`."""
        return self._submit(library.pfx_submit_exists, keys, None, writable=False)

    def drain(self, limit: int = 4096) -> List[Completion]:
        """The jobs that have ended, each once, without waiting; `limit` at most."""
        left = number(limit, "limit", UINT32)
        found: List[Completion] = []
        structs = (CompletionStruct * min(left, _AT_ONCE))()
        size = ctypes.sizeof(CompletionStruct)
        with self._lock_of_process():
            while left > 0:
                room = min(left, len(structs))
                taken = check(library.pfx_drain(self._use(), structs, size, room))
                for at in range(taken):
                    # A job that is not in the table must not keep the others of its batch from being reported.
                    kept = self._jobs.take(structs[at].job)
                    if kept is not None:
                        found.append(_completion(structs[at], kept))
                left -= taken
                if taken < room:
                    break
        return found

    def wait(self, timeout: Optional[float] = None) -> None:
        """Waits until every job submitted so far has ended, for `timeout` seconds at most. `drain` reports them.

        Raises `TimedOutError`; the jobs go on.
        """
        wait(library.pfx_queue_wait, self, timeout)

    def close(self) -> None:
        """Leaves out the jobs that have not begun, waits for those that have, and lets go of all buffers."""
        super().close()

    def _lock_of_process(self) -> Any:
        # In a forked child the lock may be held by a thread that the child does not have.
        self._use()
        return self._lock

    def _submit(self, function: Any, keys: Sequence[bytes], blocks: Optional[Sequence[Block]], writable: bool) -> int:
        structs, count = key_list(keys)
        kept = Kept((ctypes.c_uint8 * count)(), [])
        spans: Tuple[Any, ...] = ()
        try:
            handle = self._use()
            if blocks is not None:
                spans = spans_of(blocks, count, writable, kept.memories)
        except BaseException:
            kept.release()
            raise
        # From here on, only the table knows whether the library has the memory.
        with self._lock_of_process():
            return check(self._jobs.submit(function, (handle, structs, *spans, count, kept.results), kept))


_EARLY = "The job ended early with {code}. Its results say which keys succeeded; submit the others again."


def _code_name(code: int) -> str:
    return str(library.pfx_error_name(code).decode())


def _completion(struct: CompletionStruct, kept: Kept) -> Completion:
    kept.release()
    return Completion(
        job=struct.job, count=struct.count, succeeded=struct.succeeded, leading=struct.leading,
        results=bytes(kept.results),
        error=None if struct.status == 0 else error(struct.status, _EARLY.format(code=_code_name(struct.status))))


def spans_of(blocks: Sequence[Block], count: int, writable: bool, memories: List[Memory]) -> Tuple[Any, int]:
    """The memory of `count` blocks for C, as two arguments of a call; what is held is added to `memories`."""
    if len(blocks) != count:
        raise InvalidBlockError(f"There are {len(blocks)} blocks for {count} keys. Give one per key.")
    # A list or tuple is several buffers. Anything else is one.
    lists = [list(block) if isinstance(block, (list, tuple)) else [block] for block in blocks]
    per_key = len(lists[0]) if lists else 1
    spans = (SpanStruct * (per_key * count))()
    for at, buffers in enumerate(lists):
        if len(buffers) != per_key or not buffers:
            raise InvalidBlockError(
                f"blocks[{at}] has {len(buffers)} buffers, and blocks[0] has {per_key}. Give each block as many.")
        for part, buffer in enumerate(buffers):
            memory = piece(buffer, f"blocks[{at}]", writable)
            memories.append(memory)
            spans[at * per_key + part].bytes = memory.address or None
            spans[at * per_key + part].byte_count = memory.nbytes
    return spans, per_key
