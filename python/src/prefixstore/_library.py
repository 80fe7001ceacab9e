"""Finds and loads `libprefixstore.so`, and declares its functions.

ctypes releases Python's global lock during every call of the library, so other Python threads go on meanwhile.
"""

from __future__ import annotations

import ctypes
import json
import os
from ctypes import POINTER, c_char_p, c_int, c_int32, c_int64, c_size_t, c_uint8, c_uint32, c_uint64, c_void_p
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Tuple

from ._errors import BY_CODE, LibraryError, error
from ._structs import (
    STRUCTS,
    CompletionStruct,
    IdentityStruct,
    KeyStruct,
    LayoutStruct,
    MatchInfoStruct,
    Options,
    RowsStruct,
    SpanStruct,
)
from ._version import __version__

#: Names another library than the one inside the package, for those who build it themselves.
VARIABLE = "PREFIXSTORE_LIBRARY"

# Handles are numbers, and are passed as `void *`.
_HANDLE, _RESULT = c_void_p, POINTER(c_void_p)
_TOKENS = (POINTER(c_int32), c_size_t)
_TEXT = (c_char_p, c_size_t)
_KEYS = (POINTER(KeyStruct), c_size_t)
_BYTES = POINTER(c_uint8)
_BLOCKS = (POINTER(KeyStruct), POINTER(SpanStruct), c_size_t, c_size_t, _BYTES)

#: Result and arguments of each function of the header, in its order.
FUNCTIONS: Dict[str, Tuple[Any, Tuple[Any, ...]]] = {
    "pfx_last_error": (c_char_p, ()),
    "pfx_error_name": (c_char_p, (c_int,)),
    "pfx_version": (c_char_p, ()),
    "pfx_struct_size": (c_size_t, (c_char_p,)),
    "pfx_open": (c_int, (c_char_p, POINTER(Options), _RESULT)),
    "pfx_set_aside_notice": (c_int64, (_HANDLE, *_TEXT)),
    "pfx_flush": (c_int, (_HANDLE, c_uint64)),
    "pfx_close": (c_int, (_HANDLE,)),
    "pfx_close_within": (c_int, (_HANDLE, c_uint64)),
    "pfx_statistics": (c_int64, (_HANDLE, *_TEXT)),
    "pfx_info": (c_int64, (c_char_p, *_TEXT)),
    "pfx_file_digest": (c_int, (_HANDLE, c_char_p, _BYTES)),
    "pfx_space_open": (c_int, (_HANDLE, POINTER(IdentityStruct), POINTER(LayoutStruct), _RESULT)),
    "pfx_space_close": (c_int, (_HANDLE,)),
    "pfx_match_prefix": (c_int64, (_HANDLE, *_TOKENS, _RESULT)),
    "pfx_match_prefix_within": (c_int64, (_HANDLE, *_TOKENS, c_uint64, _RESULT)),
    "pfx_match_get_info": (c_int, (_HANDLE, POINTER(MatchInfoStruct))),
    "pfx_load": (c_int64, (_HANDLE, c_size_t, c_size_t, POINTER(RowsStruct))),
    "pfx_load_within": (c_int64, (_HANDLE, c_size_t, c_size_t, c_uint64, POINTER(RowsStruct))),
    "pfx_load_begin": (c_int, (_HANDLE, c_size_t, c_size_t, POINTER(RowsStruct), _RESULT)),
    "pfx_load_end": (c_int64, (_HANDLE,)),
    "pfx_match_end": (c_int, (_HANDLE,)),
    "pfx_seq_begin": (c_int64, (_HANDLE, _HANDLE, c_size_t, _RESULT)),
    "pfx_seq_append": (c_int64, (_HANDLE, *_TOKENS, POINTER(RowsStruct))),
    "pfx_seq_store_tail": (c_int64, (_HANDLE,)),
    "pfx_seq_tokens": (c_int64, (_HANDLE,)),
    "pfx_seq_end": (c_int, (_HANDLE,)),
    "pfx_record_prefill": (c_int, (_HANDLE, c_uint64, c_uint64)),
    "pfx_explain": (c_int64, (_HANDLE, *_TOKENS, *_TEXT)),
    "pfx_side_put": (c_int, (_HANDLE, *_TOKENS, c_char_p, c_void_p, c_size_t)),
    "pfx_side_get": (c_int, (_HANDLE, *_TOKENS, c_char_p, c_void_p, c_size_t, POINTER(c_size_t))),
    "pfx_pin": (c_int, (_HANDLE, *_TOKENS)),
    "pfx_unpin": (c_int, (_HANDLE, *_TOKENS)),
    "pfx_expire": (c_int, (_HANDLE, *_TOKENS, c_int64)),
    "pfx_name_set": (c_int, (_HANDLE, c_char_p, *_TOKENS)),
    "pfx_name_remove": (c_int, (_HANDLE, c_char_p)),
    "pfx_names": (c_int64, (_HANDLE, *_TEXT)),
    "pfx_blocks_open": (c_int, (_HANDLE, POINTER(IdentityStruct), c_uint32, _RESULT)),
    "pfx_blocks_close": (c_int, (_HANDLE,)),
    "pfx_blocks_leading": (c_int64, (_HANDLE, *_KEYS)),
    "pfx_blocks_get": (c_int64, (_HANDLE, *_BLOCKS)),
    "pfx_blocks_touch": (c_int, (_HANDLE, *_KEYS)),
    "pfx_blocks_remove": (c_int64, (_HANDLE, *_KEYS)),
    "pfx_queue_open": (c_int, (_HANDLE, _RESULT)),
    "pfx_queue_fd": (c_int, (_HANDLE,)),
    "pfx_submit_put": (c_int64, (_HANDLE, *_BLOCKS)),
    "pfx_submit_get": (c_int64, (_HANDLE, *_BLOCKS)),
    "pfx_submit_exists": (c_int64, (_HANDLE, POINTER(KeyStruct), c_size_t, _BYTES)),
    "pfx_drain": (c_int64, (_HANDLE, POINTER(CompletionStruct), c_size_t, c_size_t)),
    "pfx_queue_wait": (c_int, (_HANDLE, c_uint64)),
    "pfx_queue_close": (c_int, (_HANDLE,)),
}


def _path() -> Path:
    named = os.environ.get(VARIABLE)
    path = Path(named) if named else Path(__file__).with_name("libprefixstore.so")
    if not path.is_file():
        raise LibraryError(
            f"{path} is missing. Install the wheel of prefixstore for Linux, or build the library with "
            f"tools/build-c-library and name it in {VARIABLE}.")
    return path


def _numbers(version: str) -> List[int]:
    return [int(part) for part in version.split(".")]


def _load() -> ctypes.CDLL:
    path = _path()
    try:
        found = ctypes.CDLL(os.fspath(path))
        found.pfx_version.restype = c_char_p
        version = found.pfx_version().decode()
    except (OSError, AttributeError) as problem:
        raise LibraryError(f"{path} cannot be used: {problem}. Install the package again.") from problem
    # The header promises that a program runs with any later library of the same major number.
    ours, theirs = _numbers(__version__), _numbers(version)
    if theirs[0] != ours[0] or theirs < ours:
        raise LibraryError(
            f"{path} has version {version}, and this package needs {__version__} or a later {ours[0]}.x. "
            f"Install both at the same version; is {VARIABLE} set?")
    for name, (result, arguments) in FUNCTIONS.items():
        function = getattr(found, name, None)
        if function is not None:
            function.restype, function.argtypes = result, arguments
    lacks = _lacks(found)
    if lacks is not None:
        raise LibraryError(
            f"{path} is an older build of version {version}: it lacks {lacks}. Build it again with "
            f"tools/build-c-library, or install the wheel and leave {VARIABLE} unset.")
    return found


def _lacks(found: ctypes.CDLL) -> Optional[str]:
    """What this package knows and the library does not: a build of the same version may be from before it."""
    for name in FUNCTIONS:
        if not hasattr(found, name):
            return f"the function {name}"
    for name, struct in STRUCTS.items():
        if found.pfx_struct_size(name.encode()) < ctypes.sizeof(struct):
            return f"the newest fields of {name}"
    for code, kind in BY_CODE.items():
        if found.pfx_error_name(code) == b"PFX_UNKNOWN":
            return f"the error {kind.__name__}"
    return None


library = _load()


def check(result: int) -> int:
    """The result of a call of this thread, or the exception that it stands for."""
    if result < 0:
        raise error(result, library.pfx_last_error().decode("utf-8", "replace"))
    return result


def text_of(function: Callable[..., int], *arguments: Any) -> str:
    """What a function writes. The text may grow between two calls."""
    room = 4096
    while True:
        text = ctypes.create_string_buffer(room)
        length = check(function(*arguments, text, room))
        if length < room:
            return text.value.decode("utf-8", "replace")
        room = length + 1024


def json_of(function: Callable[..., int], *arguments: Any) -> Any:
    """What a function writes as JSON."""
    return json.loads(text_of(function, *arguments))
