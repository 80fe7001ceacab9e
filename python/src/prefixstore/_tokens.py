"""Token ids, as C takes them."""

from __future__ import annotations

import ctypes
from array import array
from contextlib import contextmanager
from typing import Any, Iterator, Sequence, Tuple, Union

from ._buffers import Memory
from ._errors import InvalidPagesError, InvalidTokensError

#: Token ids: a list or tuple of ints, or an array of numpy; one of int32 is not copied.
Tokens = Union[Sequence[int], Any]


def numbers(values: Any, name: str, code: str, wrong: Any) -> memoryview:
    """Whole numbers of 32 bits, of the type that `array` calls `code`."""
    if isinstance(values, (str, bytes, bytearray)):
        raise TypeError(f"{name} is a sequence of whole numbers, not {type(values).__name__}.")
    try:
        view = memoryview(values)
        if view.format == code and view.itemsize == 4 and view.ndim == 1 and view.c_contiguous:
            return view
    except (TypeError, ValueError, BufferError):
        # No buffer, or one of another type: its numbers are read one by one.
        pass
    if hasattr(values, "tolist"):
        values = values.tolist()
    try:
        return memoryview(array(code, values))
    except OverflowError:
        raise wrong(f"{name} has a number that does not fit in 32 bits. Give 0 to 2**31 - 1.") from None
    except TypeError:
        raise TypeError(f"{name} is a flat sequence of whole numbers; it has others in it.") from None


@contextmanager
def token_ids(tokens: Tokens) -> Iterator[Tuple[Any, int]]:
    """The address and the number of token ids, as two arguments of a call."""
    view = numbers(tokens, "tokens", "i", InvalidTokensError)
    with Memory(view, "tokens", writable=False) as memory:
        yield ctypes.cast(memory.address, ctypes.POINTER(ctypes.c_int32)), len(view)


def row_numbers(index: Any) -> memoryview:
    """An index of rows."""
    return numbers(index, "index", "I", InvalidPagesError)
