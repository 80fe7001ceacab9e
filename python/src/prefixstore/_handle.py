"""What every open object has: a handle of the library that is given back once, by `close`, `with`, the garbage
collector or the end of the interpreter, whichever comes first, and never by a forked child."""

from __future__ import annotations

import os
import warnings
import weakref
from types import TracebackType
from typing import Any, Callable, List, Optional, Type, TypeVar

from ._errors import ClosedError, ForkedError, InvalidHandleError
from ._library import check, library

Self = TypeVar("Self", bound="Handle")


_INVALID_HANDLE = InvalidHandleError.code


def _give_back(
    give_back: Callable[[int], int], number: int, process: int, answers: List[int], of_owner: Optional[List[int]],
    after: Callable[[], None],
) -> None:
    if os.getpid() == process:
        # One instruction, which no signal interrupts: there is an answer if, and only if, the library was called.
        answers.extend(map(give_back, [number]))
        # Another thread is closing the owner. Until that ends, the library may use what `after` would let go.
        if answers[0] == _INVALID_HANDLE and of_owner is not None and not of_owner:
            return
    after()


def _give_back_unasked(name: str, *arguments: Any) -> None:
    # Nobody called `close`, and so nobody can catch an error; what was lost is said all the same.
    answers: List[int] = arguments[3]
    _give_back(*arguments)
    if any(answer < 0 and answer != _INVALID_HANDLE for answer in answers):
        problem = library.pfx_last_error().decode("utf-8", "replace")
        warnings.warn(f"A {name} that nobody closed could not write everything: {problem}", RuntimeWarning, stacklevel=2)


def _nothing() -> None:
    pass


class Handle:
    """An open object. Thread-safe, as the library is."""

    #: What the object is called in messages.
    _name = "object"

    def __init__(
        self, number: int, give_back: Callable[[int], int], owner: Optional[Handle] = None,
        after: Callable[[], None] = _nothing,
    ) -> None:
        # `after` is called once the library has the handle back. It must not keep the object alive.
        self._number = number
        self._process = os.getpid()
        self._owner = owner
        # What the library said when it got the handle back.
        self._answers: List[int] = []
        # Runs before modules are taken apart at the end of the interpreter, which `__del__` does not.
        self._finalizer = weakref.finalize(
            self, _give_back_unasked, self._name, give_back, number, self._process, self._answers,
            None if owner is None else owner._answers, after)

    @property
    def closed(self) -> bool:
        """Whether the object, or the store that it came from, was closed."""
        return not self._finalizer.alive or (self._owner is not None and self._owner.closed)

    def close(self) -> None:
        """Gives the object back. Closing twice does no harm, and neither does closing in a forked child."""
        self._close()

    def _close(self, give_back: Optional[Callable[[int], int]] = None) -> None:
        """As `close`, by another function of the library."""
        pending = self._finalizer.detach()
        if pending is None:
            return
        _, _, (_, usual, *arguments), _ = pending
        _give_back(give_back or usual, *arguments)
        for answer in self._answers:
            # A store takes all its objects with it when it is closed.
            if answer != _INVALID_HANDLE or self._owner is None:
                check(answer)

    def _use(self) -> int:
        """The handle, for a call."""
        if self._process != os.getpid():
            raise ForkedError(
                f"This {self._name} was opened before a fork. Open the store in the child process; start workers of "
                'multiprocessing with the method "spawn".')
        if self.closed:
            whole = self if not self._finalizer.alive else self._owner
            assert whole is not None
            raise ClosedError(f"The {whole._name} was closed. Use it as long as it is open.")
        return self._number

    def __enter__(self: Self) -> Self:
        self._use()
        return self

    def __exit__(
        self, kind: Optional[Type[BaseException]], value: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        self.close()

    def __reduce__(self) -> Any:
        raise TypeError(f"A {self._name} cannot be pickled or copied. Open the store in the other process.")
