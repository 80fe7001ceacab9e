"""Slot files of llama-server, which are session files of llama.cpp: header, token ids, a body as in `_llama_shape`.

llama-server aborts when a slot file is shorter than it says, so a file is made in its full length before a byte of it
is written, and it is named to the server only when it is complete.
"""

from __future__ import annotations

import mmap
import os
import struct
from pathlib import Path
from typing import Any, Optional, Tuple

import numpy as np

from ._llama_shape import Frame, Shape, UnknownMemoryError

# LLAMA_STATE_SEQ_MAGIC ('ggsq'), LLAMA_STATE_SEQ_VERSION, and how many words of tokens follow.
_HEADER = struct.Struct("<III")
_MAGIC, _VERSION = 0x67677371, 3
# A list of words that begins with this number is a serialised prompt: its own version, tokens, media.
_SERIALISED, _SERIALISED_VERSION = -1, 1


def _tokens_of(words: np.ndarray) -> np.ndarray:
    """Token ids of the list of words. Raises `UnknownMemoryError` when the prompt has more in it than text."""
    if not len(words) or words[0] != _SERIALISED:
        return words
    if len(words) < 4 or words[1] != _SERIALISED_VERSION or words[2] < 0 or words[2] > len(words) - 4:
        raise UnknownMemoryError("llama-server writes the tokens of a slot in a form that this version does not know.")
    count = int(words[2])
    tokens, media = words[3:3 + count], words[3 + count]
    if media != 0 or (tokens < 0).any():
        raise UnknownMemoryError("The prompt has images or sound in it, which token ids do not name.")
    return tokens


def read(path: Path) -> Tuple[np.ndarray, np.ndarray]:
    """The token ids of a slot file, and its body. Raises `UnknownMemoryError` for what is no such file."""
    content = np.fromfile(path, np.uint8)
    if len(content) < _HEADER.size:
        raise UnknownMemoryError(f"{path.name} is no slot file.")
    magic, version, count = _HEADER.unpack(content[:_HEADER.size].tobytes())
    begin = _HEADER.size + 4 * count
    if magic != _MAGIC or version != _VERSION or begin > len(content):
        raise UnknownMemoryError(f"llama-server writes slot files of version {version}; this program knows {_VERSION}.")
    return _tokens_of(content[_HEADER.size:begin].view(np.int32)), content[begin:]


def write(path: Path, shape: Shape, match: Any, tokens: np.ndarray, count: int) -> int:
    """Writes the first `count` tokens of a match as a slot file. Returns how many the file holds: fewer when a page was
    evicted or damaged meanwhile. For 0 there is no file. Raises OSError when there is no room for it."""
    while count > 0:
        begin = _HEADER.size + 4 * count
        frame = Frame(shape, count)
        size = begin + frame.size
        loaded: Optional[int] = None
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            # Room first: a full memory file system would end this process while it writes to the map.
            os.posix_fallocate(descriptor, 0, size)
            # Not closed by hand: when the load fails, the traceback still refers to its memory.
            content = np.frombuffer(mmap.mmap(descriptor, size), np.uint8)
            content[:_HEADER.size] = np.frombuffer(_HEADER.pack(_MAGIC, _VERSION, count), np.uint8)
            content[_HEADER.size:begin] = tokens[:count].astype(np.int32).view(np.uint8)
            frame.begin(content[begin:])
            loaded = frame.begin_load(match, content[begin:], 0, is_first=True)()
            del content
        finally:
            os.close(descriptor)
            if loaded != count:
                path.unlink()
        if loaded == count:
            return count
        count = loaded or 0
    return 0
