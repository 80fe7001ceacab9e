"""The memory of submitted jobs: what the library may write to stays where it is, whenever Ctrl-C comes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, List, Optional, Sequence, Tuple

from ._buffers import Memory

# Every table whose queue may be open in the library. A queue whose `close` was interrupted is never given back. Its
# memory must outlive it then.
_in_use: Dict[int, Jobs] = {}


@dataclass(frozen=True)
class Kept:
    """What one job writes to, and reads from."""

    results: Any
    memories: List[Memory]

    def release(self) -> None:
        """Lets go of the memory of the caller. Doing it twice does no harm."""
        for memory in self.memories:
            memory.release()


class Jobs:
    """The jobs of one queue that were not reported. Calls must not overlap, but for `let_go`."""

    def __init__(self) -> None:
        # What the library answered, before it was looked at.
        self._answered: List[Tuple[int, Kept]] = []
        self._accepted: Dict[int, Kept] = {}
        _in_use[id(self)] = self

    def submit(self, function: Any, arguments: Sequence[Any], kept: Kept) -> int:
        """Calls the library, and returns what it answered: the job's number, or the code of an error."""
        # Python hears signals between its own instructions only. This line calls the library and notes the answer in
        # one instruction: an exception of a signal handler comes before the call, or when the memory is safe.
        self._answered.extend(zip(map(function, *([each] for each in arguments)), [kept]))
        answer = self._answered[-1][0]
        self._sort()
        return answer

    def take(self, job: int) -> Optional[Kept]:
        """Takes out a job that has ended."""
        self._sort()
        return self._accepted.pop(job, None)

    def let_go(self) -> None:
        """Lets go of all memory, once the library has the queue back."""
        for _, kept in self._answered:
            kept.release()
        for kept in list(self._accepted.values()):
            kept.release()
        self._answered.clear()
        self._accepted.clear()
        _in_use.pop(id(self), None)

    def _sort(self) -> None:
        # An answer is taken off last, so that the next call does again what was interrupted.
        for answer, kept in self._answered:
            if answer > 0:
                self._accepted[answer] = kept
            else:
                kept.release()
        self._answered.clear()
