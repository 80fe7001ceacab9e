"""Jobs that nobody waits for, with an end that may come later than the store's: a thread per lane, and one eventfd."""

from __future__ import annotations

import os
import queue
import threading
from typing import Callable, List, Optional, Tuple

#: The end of a job: its number, whether it succeeded as a whole, what went wrong, and whether each key succeeded.
Completion = Tuple[int, bool, str, List[bool]]
#: Does a job and says which keys succeeded.
Work = Callable[[], List[bool]]

_CLOSED = "The store was closed before the job began."


class Jobs:
    """Jobs of several lanes, whose completions are collected. Thread-safe; no call waits for a job but `close`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last = 0
        self._closed = False
        self._done: queue.SimpleQueue[Completion] = queue.SimpleQueue()
        #: Readable while completions wait. It is closed by `close`.
        self.event = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)

    def submit(self, lane: Lane, count: int, work: Work, needs_all: bool) -> int:
        """Adds a job of `count` keys, and returns its number.

        `needs_all`: the job fails as a whole when one of its keys does.
        """
        with self._lock:
            self._last += 1
            if self._closed:
                self._done.put((self._last, False, _CLOSED, [False] * count))
            else:
                lane.add(_Job(self._last, count, work, needs_all, self._end))
            return self._last

    def drain(self) -> List[Completion]:
        """The jobs that have ended, each once."""
        with self._lock:
            if not self._closed:
                try:
                    os.eventfd_read(self.event)
                except BlockingIOError:
                    pass
        found: List[Completion] = []
        while True:
            try:
                found.append(self._done.get_nowait())
            except queue.Empty:
                return found

    def close(self) -> bool:
        """Accepts no more jobs. False when that was so before. The lanes are closed by their owner, before `free`."""
        with self._lock:
            was_open, self._closed = not self._closed, True
            return was_open

    def free(self) -> None:
        """Closes the descriptor, once no lane works any more."""
        os.close(self.event)

    def _end(self, job: _Job, results: List[bool], problem: str) -> None:
        succeeded = not problem and (all(results) or not job.needs_all)
        self._done.put((job.number, succeeded, problem, results))
        with self._lock:
            if not self._closed:
                os.eventfd_write(self.event, 1)


class _Job:
    def __init__(
        self, number: int, count: int, work: Work, needs_all: bool, end: Callable[[_Job, List[bool], str], None],
    ) -> None:
        self.number, self.count, self.work, self.needs_all = number, count, work, needs_all
        self._end = end

    def run(self) -> Tuple[List[bool], str]:
        try:
            return self.work(), ""
        except Exception as problem:  # An engine must not end because its cache is in trouble.
            return [False] * self.count, str(problem) or type(problem).__name__

    def end(self, results: List[bool], problem: str) -> None:
        self._end(self, results, problem)


class Lane:
    """A thread that does jobs in their order, all that wait at a time, and then `settle` before it reports them."""

    def __init__(self, name: str, settle: Optional[Callable[[], None]] = None) -> None:
        self._waiting: queue.SimpleQueue[Optional[_Job]] = queue.SimpleQueue()
        self._settle = settle
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def add(self, job: _Job) -> None:
        """Adds a job."""
        self._waiting.put(job)

    def close(self) -> None:
        """Ends what has begun; the rest fails."""
        self._closing.set()
        self._waiting.put(None)
        self._thread.join()

    def _run(self) -> None:
        while True:
            jobs = self._take()
            if jobs is None:
                return
            ended = [(job, *(([False] * job.count, _CLOSED) if self._closing.is_set() else job.run())) for job in jobs]
            problem = self._settled() if any(any(results) for _, results, _ in ended) else ""
            for job, results, its_own in ended:
                job.end([False] * job.count if problem else results, its_own or problem)

    def _take(self) -> Optional[List[_Job]]:
        """All jobs that wait, one at least; None when the lane was closed and no job waits."""
        jobs, first = [], self._waiting.get()
        while first is not None:
            jobs.append(first)
            if self._waiting.empty():
                return jobs
            first = self._waiting.get()
        if jobs:
            self._waiting.put(None)
            return jobs
        return None

    def _settled(self) -> str:
        try:
            if self._settle is not None:
                self._settle()
            return ""
        except Exception as problem:
            return str(problem) or type(problem).__name__
