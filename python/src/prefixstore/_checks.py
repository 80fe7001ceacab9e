"""Checks of arguments before they reach C, where a number that is too large would silently become another one."""

from __future__ import annotations

import math
import operator
from typing import Any, Optional

from ._errors import InvalidArgumentError

UINT32, UINT64, INT63 = 2**32 - 1, 2**64 - 1, 2**63 - 1


def number(value: Any, name: str, highest: int, lowest: int = 0) -> int:
    """A whole number from `lowest` to `highest`."""
    try:
        found = operator.index(value)
    except TypeError:
        raise TypeError(f"{name} is a whole number, not {type(value).__name__}.") from None
    if not lowest <= found <= highest:
        raise InvalidArgumentError(f"{name} is {found}. Give {lowest} to {highest}.")
    return found


def text(value: Any, name: str) -> bytes:
    """A text for C, in UTF-8."""
    if not isinstance(value, str):
        raise TypeError(f"{name} is a str, not {type(value).__name__}.")
    if "\0" in value:
        raise InvalidArgumentError(f"{name} has a NUL character. Leave it out.")
    try:
        return value.encode("utf-8")
    except UnicodeEncodeError:
        raise InvalidArgumentError(f"{name} has half a surrogate pair. Give text that UTF-8 can hold.") from None


def nanoseconds(value: Any, name: str) -> int:
    """A time in seconds, as nanoseconds."""
    return int(_seconds(value, name) * 1e9)


def milliseconds(value: Optional[float], name: str) -> Optional[int]:
    """A time in seconds, as milliseconds, 1 or more; None for no limit."""
    return None if value is None else max(1, math.ceil(_seconds(value, name) * 1e3))


def _seconds(value: Any, name: str) -> float:
    if isinstance(value, (str, bytes)) or not hasattr(value, "__float__"):
        raise TypeError(f"{name} is a number of seconds, not {type(value).__name__}.")
    seconds = float(value)
    if not 0 <= seconds <= 1e9:
        raise InvalidArgumentError(f"{name} is {seconds} s. Give 0 to 1e9.")
    return seconds
