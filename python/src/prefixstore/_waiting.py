"""Calls that wait for the disk, in slices: while a call is in C, Python hears no Ctrl-C."""

from __future__ import annotations

from typing import Callable, Optional

from ._checks import milliseconds
from ._errors import TimedOutError
from ._handle import Handle
from ._library import check

_SLICE = 200  # milliseconds


def wait(function: Callable[[int, int], int], handle: Handle, timeout: Optional[float]) -> None:
    """Calls a function that waits, again and again, so that Ctrl-C is heard in between."""
    left = milliseconds(timeout, "timeout")
    while True:
        now = _SLICE if left is None else min(left, _SLICE)
        try:
            check(function(handle._use(), now))
            return
        except TimedOutError:
            if left is not None:
                left -= now
                if left <= 0:
                    raise TimedOutError(
                        f"The work did not end within {timeout} s. It goes on, and nothing is lost. Call again."
                    ) from None
