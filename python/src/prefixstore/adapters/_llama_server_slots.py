"""Restores and stores the slots of a llama-server: the longest stored prefix before a completion, what is new after."""

from __future__ import annotations

import itertools
import queue
import sys
import threading
import time
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Set

import numpy as np

from .. import Space
from . import _slot_file as slot_file
from ._adapter_store import AdapterStore
from ._llama_identity import identity, positions, sentence
from ._llama_server_process import CommandLine, Server, ServerError
from ._llama_shape import Shape, UnknownMemoryError

#: Slot files that may wait to be stored. One more completion is not stored.
_WAITING_FILES = 4
_PAGE_TOKENS = 64
#: Seconds without work after which the disk has had time for what was stored.
_PAUSE = 2
#: Seconds that the end of the program waits for requests that still have a slot.
_PATIENCE = 10


_said: Set[str] = set()


def say(text: str) -> None:
    """Tells the operator; the same text only once."""
    if text not in _said:
        _said.add(text)
        print(f"prefixstore: {text}", file=sys.stderr, flush=True)


def _common(one: np.ndarray, other: np.ndarray) -> int:
    count = min(len(one), len(other))
    differing = np.nonzero(one[:count] != other[:count])[0]
    return int(differing[0]) if len(differing) else count


class _Slot:
    """What this program knows of a slot. `tokens` are those that it held when a request last ended."""

    def __init__(self, number: int) -> None:
        self.number, self.tokens, self.last_use = number, np.empty(0, np.int32), 0.0
        self.is_busy = self.is_saving = False
        #: Requests that have had it.
        self.uses = 0


class Lease:
    """A slot that one request has to itself."""

    def __init__(self, slot: _Slot, tokens: np.ndarray, stored: int, restored: int) -> None:
        self.slot, self.tokens = slot, tokens
        #: Tokens of the prompt that were stored before it ran, and that were put into its slot.
        self.stored, self.restored = stored, restored

    @property
    def number(self) -> int:
        return self.slot.number


class Slots:
    """All slots of a server, and the store. Thread-safe.

    A completion is never delayed by an error of the store, and never fails because of one: it runs as it came. After
    `step_aside` nothing is restored or stored any more.
    """

    def __init__(
        self, server: Server, command: CommandLine, kept: AdapterStore, folder: Path, salt: Optional[bytes] = None,
    ) -> None:
        self._server, self._kept, self._store, self._folder = server, kept, kept.store, folder
        self._changed = threading.Condition()
        self._slots: List[_Slot] = []
        self._files = itertools.count()
        self._work: "queue.Queue[Optional[Callable[[], None]]]" = queue.Queue(_WAITING_FILES)
        self._writer = threading.Thread(target=self._write, name="prefixstore-slots", daemon=True)
        self._space: Optional[Space] = None
        # What the store said of the last prompt of which nothing was stored.
        self._last_miss: Optional[str] = None
        self.why_aside: Optional[str] = None
        self.counts: Dict[str, int] = {"requests": 0, "restored_requests": 0, "restored_tokens": 0, "stored_tokens": 0}
        try:
            why = command.beyond()
            if why is not None:
                raise UnknownMemoryError(f"{why}.")
            self._learn(command, salt)
        except (UnknownMemoryError, ServerError, OSError, KeyError) as problem:
            self.step_aside(str(problem))
        self._writer.start()

    def step_aside(self, why: str) -> None:
        """From now on every request passes through. Says so once."""
        with self._changed:
            if self.why_aside is not None:
                return
            self.why_aside = why
            self._changed.notify_all()
        say(f"steps aside, and passes every request through: {why}")

    def begin(self, tokens: np.ndarray, wanted: Optional[int] = None) -> Optional[Lease]:
        """Takes a slot for a prompt, and restores into it what is stored. Waits while no slot is free, as the server
        would. None: the request had better pass through. Give the lease back with `end`."""
        slot = self._acquire(tokens, wanted)
        if slot is None or self._space is None:
            return None
        lease = Lease(slot, tokens, 0, 0)
        try:
            with self._space.match(tokens) as match:
                lease.stored = match.tokens
                if match.tokens == 0 and len(tokens) >= _PAGE_TOKENS:
                    self._note_miss(self._space, tokens)
                # The server must compute the last token. Less than a page is not worth the way.
                count = min(match.tokens, len(tokens) - 1)
                if count - _common(slot.tokens, tokens) >= _PAGE_TOKENS:
                    lease.restored = self._restore(slot, match, tokens, count)
        except Exception as problem:  # the prompt is computed
            say(f"a prompt was not restored: {problem}")
        with self._changed:
            self.counts["requests"] += 1
            self.counts["restored_requests"] += lease.restored > 0
            self.counts["restored_tokens"] += lease.restored
        return lease

    def end(self, lease: Lease, was_answered: bool) -> None:
        """Stores what is new in the slot, if the server has answered, and gives the slot back."""
        slot = lease.slot
        slot.is_saving = was_answered
        try:
            slot.tokens = lease.tokens if was_answered else np.empty(0, np.int32)
            if was_answered and self.why_aside is None and len(lease.tokens) - lease.stored >= _PAGE_TOKENS:
                self._save(slot)
        except Exception as problem:  # the reply has been given
            say(f"a slot was not stored: {problem}")
        with self._changed:
            slot.is_busy, slot.is_saving, slot.last_use = False, False, time.monotonic()
            self._changed.notify_all()

    def statistics(self) -> Dict[str, Any]:
        """Counts of requests and tokens; why it steps aside, or None; and what was said of the last prompt of which
        nothing was stored, or None."""
        with self._changed:
            return {**self.counts, "steps_aside": self.why_aside, "last_miss": self._last_miss}

    def flush(self) -> None:
        """Waits until the requests that have begun are answered, and what they have given is on disk. Raises the errors
        of the store, and TimeoutError if the program ends meanwhile."""
        with self._changed:
            busy = [(slot, slot.uses) for slot in self._slots if slot.is_busy]
            self._changed.wait_for(lambda: not any(slot.is_busy and slot.uses == uses for slot, uses in busy))
        written = threading.Event()
        self._work.put(written.set)
        while not written.wait(_PATIENCE):
            if not self._writer.is_alive():
                raise TimeoutError("The program ends.")
        self._store.flush()

    def settle(self) -> None:
        """Waits until what was answered is saved, but not longer than `_PATIENCE`. Call it before the server ends."""
        with self._changed:
            self._changed.wait_for(lambda: not any(slot.is_saving for slot in self._slots), _PATIENCE)

    def close(self) -> None:
        """Takes no more requests, waits for those that have a slot, and stores what waits. Call it when the server has
        ended. The store stays open."""
        with self._changed:
            self.why_aside = self.why_aside or "it ends."
            self._changed.notify_all()
            self._changed.wait_for(lambda: not any(slot.is_busy for slot in self._slots), _PATIENCE)
        self._work.put(None)
        self._writer.join()

    # Inside.

    def _learn(self, command: CommandLine, salt: Optional[bytes]) -> None:
        """Lets the server compute one token, and looks at its slot."""
        properties = self._server.ask("GET", "/props")
        if properties.get("role") == "router" or not properties.get("model_path"):
            raise UnknownMemoryError("the server serves several models; start one of this program per model.")
        self._server.ask("POST", "/completion", {"prompt": [1], "n_predict": 1, "id_slot": 0, "cache_prompt": True})
        path = self._folder / "first"
        self._server.slot(0, "save", path.name)
        tokens, body = slot_file.read(path)
        path.unlink()
        self._server.slot(0, "erase")
        shape = Shape.learn(body, window=1)
        if len(shape.groups) > 1:
            raise UnknownMemoryError("slot files hold no more than the last window of a model with sliding windows.")
        # The server's own defaults of RoPE stand for those of the model.
        name = identity(
            self._store, properties["model_path"], shape.flash_attention, positions() + command.positions(),
            changes=command.changes(self._store.file_digest), salt=salt)
        self._shape = shape
        self._space = self._store.space(name, shape.planes(), _PAGE_TOKENS)
        self._slots = [_Slot(number) for number in range(int(properties["total_slots"]))]

    def _acquire(self, tokens: np.ndarray, wanted: Optional[int]) -> Optional[_Slot]:
        with self._changed:
            while self.why_aside is None:
                free = [slot for slot in self._slots if not slot.is_busy and wanted in (None, slot.number)]
                if free:
                    # The slot that has most of the prompt; among equals, the one that was not used for longest.
                    slot = max(free, key=lambda slot: (_common(slot.tokens, tokens), -slot.last_use))
                    slot.is_busy = True
                    slot.uses += 1
                    return slot
                if wanted is not None and wanted >= len(self._slots):
                    return None
                self._changed.wait()
        return None

    def _note_miss(self, space: Space, tokens: np.ndarray) -> None:
        """Keeps in what a prompt of which nothing is stored differs from what is stored, and says it of the first."""
        said = sentence(space.explain(tokens))
        with self._changed:
            is_first, self._last_miss = self._last_miss is None, said
        if is_first and "differs in" in said:
            say(said)

    def _path(self) -> Path:
        return self._folder / f"slot-{next(self._files)}"

    def _restore(self, slot: _Slot, match: Any, tokens: np.ndarray, count: int) -> int:
        path = self._path()
        count = slot_file.write(path, self._shape, match, tokens, count)
        if count == 0:
            return 0
        try:
            slot.tokens = np.empty(0, np.int32)
            self._server.slot(slot.number, "restore", path.name)
            slot.tokens = tokens[:count]
        finally:
            path.unlink()
        return count

    def _save(self, slot: _Slot) -> None:
        if self._work.full():
            return
        path = self._path()
        try:
            self._server.slot(slot.number, "save", path.name)
            if self.why_aside is not None:
                # The server may have saved the slot after a request with adapters of its own had it.
                return path.unlink(missing_ok=True)
            self._work.put_nowait(lambda: self._insert(path))
        except Exception as problem:
            path.unlink(missing_ok=True)
            if not isinstance(problem, queue.Full):
                raise

    def _insert(self, path: Path) -> None:
        """Stores what a slot file holds."""
        try:
            tokens, body = slot_file.read(path)
        finally:
            path.unlink()
        rows = self._shape.gather(self._shape.read(body), 0, len(tokens))
        # The last token of a reply has no keys and values yet.
        tokens = tokens[:len(rows[0])]
        assert self._space is not None
        with self._space.match(tokens) as match:
            if match.tokens < len(tokens):
                self._space.insert(tokens, rows, after=match, loaded=match.tokens)
                with self._changed:
                    self.counts["stored_tokens"] += len(tokens) - match.tokens

    def _write(self) -> None:
        pause: Optional[float] = None
        while True:
            try:
                work = self._work.get(timeout=pause)
            except queue.Empty:
                self._kept.look_for_losses()
                pause = None
                continue
            if work is None:
                return
            self._kept.look_for_losses()
            pause = _PAUSE  # what is stored is on its way to the disk
            try:
                work()
            except UnknownMemoryError as problem:
                say(f"a slot was not stored: {problem}")
            except Exception as problem:
                say(f"a slot was not stored: {problem}")
