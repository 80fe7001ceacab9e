"""Keys of blocks, as C takes them."""

from __future__ import annotations

import ctypes
from typing import Any, Sequence, Tuple

from ._errors import InvalidBlockError
from ._structs import KeyStruct


def key_list(keys: Sequence[bytes]) -> Tuple[Any, int]:
    """Keys for C, as two arguments of a call. The array keeps their bytes."""
    if isinstance(keys, (str, bytes, bytearray)):
        raise TypeError(f"keys is a list of bytes, not {type(keys).__name__}.")
    kept = list(keys)
    structs = (KeyStruct * len(kept))()
    for at, key in enumerate(kept):
        if not isinstance(key, bytes):
            raise TypeError(f"keys[{at}] is bytes, not {type(key).__name__}.")
        if not 1 <= len(key) <= 511:
            raise InvalidBlockError(f"keys[{at}] has {len(key)} bytes. Give 1 to 511.")
        structs[at].bytes = ctypes.cast(ctypes.c_char_p(key), ctypes.c_void_p)
        structs[at].byte_count = len(key)
    # What an address points to must live as long as the array.
    setattr(structs, "_kept", kept)
    return structs, len(kept)
