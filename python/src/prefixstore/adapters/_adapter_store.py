"""The store of an adapter: opened with its key, begun once more after damage, watched for losses, and closed.

All adapters share this, so that all of them say the same in the same cases, each once. Nothing here ends an engine after
it has started.
"""

from __future__ import annotations

import os
import warnings
from typing import Any, Callable, Dict, Optional, Set, TypeVar, Union

from .. import (
    ClosedError, DamagedError, ForkedError, InvalidArgumentError, InvalidKeyError, PrefixStoreError, Store,
    TimedOutError)
from .. import open as open_store

#: The sealing key, 64 hexadecimal digits, where no file is named. The program `pfx` reads it too.
KEY_VARIABLE = "PFX_KEY"
_KEY_BYTES = 32

Made = TypeVar("Made")
Path = Union[str, "os.PathLike[str]"]


def warn(text: str) -> None:
    """Tells people what PrefixStore did, by a warning, for adapters whose engine has no log."""
    # The line of the program that called the adapter.
    warnings.warn(f"PrefixStore {text}", stacklevel=5)


def sealing_key(key_file: Optional[Path]) -> Dict[str, Any]:
    """The options of `prefixstore.open` for the key in a file, or else in `KEY_VARIABLE`; none without a key.

    Raises `InvalidKeyError`, which does not show what the variable holds.
    """
    if key_file:
        return {"key_file": key_file}
    digits = os.environ.get(KEY_VARIABLE)
    if digits is None:
        return {}
    try:
        key = bytes.fromhex(digits)
    except ValueError:
        key = b""
    if len(key) != _KEY_BYTES:
        raise InvalidKeyError(
            f"The variable {KEY_VARIABLE} is not {2 * _KEY_BYTES} hexadecimal digits. Give a key in a file that only "
            "this user can read, or unset the variable.")
    return {"key": key}


class AdapterStore:
    """A store that an adapter has opened, or that its host has opened for it. Thread-safe.

    `place`: a folder, or an open `Store`, which stays open and has a key of its own. `say` tells people what PrefixStore
    did: it gets a sentence without its subject. `key_file`: a file with the key that seals what is stored. `remote`: the
    URL of what hosts share. `options`: as of `prefixstore.open`.

    Raises the errors of `prefixstore.open`.
    """

    def __init__(
        self, place: Any, say: Callable[[str], None], *, key_file: Optional[Path] = None, remote: Optional[str] = None,
        **options: Any,
    ) -> None:
        self._say = say
        self._said: Set[str] = set()
        self._lost = 0
        self._is_own = not isinstance(place, Store)
        for name, value in (("key_file", key_file), ("remote", remote)):
            if value and not self._is_own:
                raise InvalidArgumentError(f"{name} is given with an open Store. Give it to prefixstore.open.")
        self._place, self._key_file, self._options = place, key_file, {"remote": remote, **options}
        #: The open store.
        self.store: Store = self._open() if self._is_own else place

    def _open(self) -> Store:
        store = open_store(self._place, **sealing_key(self._key_file), **self._options)
        notice = store.set_aside_notice
        if notice is not None:
            self._say(f"set a store aside: {notice}")
        return store

    def begin(self, make: Callable[[Store], Made]) -> Made:
        """What `make` makes of the store. When that fails, a store of its own is closed.

        Damage that `make` meets is known to the next opening, which sets the store aside: so it is opened once more.
        """
        try:
            try:
                return make(self.store)
            except DamagedError:
                if not self._is_own:
                    raise
                self._close_quietly()
                self.store = self._open()
                return make(self.store)
        except BaseException:
            if self._is_own:
                self._close_quietly()
            raise

    def look_for_losses(self) -> None:
        """Says it when the disk has not taken everything, or the remote does not work. Pages are written after the call
        that stored them: only the store's counts tell of it. Waits for about a millisecond at most."""
        if self.store.closed:
            return
        try:
            counts = self.store.statistics()
            for fault in counts.get("remote", {}).get("faults", ()):
                if "remote" not in self._said:
                    self._said.add("remote")
                    self._say(f"goes on without its remote, and tries again now and then: {fault}")
            lost = int(counts["dropped_pages"])
            if lost > self._lost:
                problem = self.store._loss()
                if problem is not None:
                    self.say_lost(problem)
                self._lost = lost
        except TimedOutError:
            pass  # the reason comes with a later call
        except (ClosedError, ForkedError):
            pass  # nothing was lost by this process
        except PrefixStoreError as problem:
            self.say_lost(problem)

    def close(self) -> None:
        """Writes what waits, and closes a store of its own. Says what could not be written."""
        if not self._is_own:
            self.look_for_losses()
            return
        try:
            self.store.close()
        except PrefixStoreError as problem:
            self.say_lost(problem)

    def _close_quietly(self) -> None:
        try:
            self.store.close()
        except PrefixStoreError:
            pass  # another error, which says more, is on its way

    def say_lost(self, problem: PrefixStoreError) -> None:
        """One sentence per kind of trouble, however often it comes."""
        kind = type(problem).__name__
        if kind not in self._said:
            self._said.add(kind)
            self._say(f"could not write everything, and the engine goes on: {problem}")
