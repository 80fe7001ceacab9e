"""The body of an HTTP request, read to its end as the request says where that is."""

from __future__ import annotations

import re
from email.message import Message
from io import BufferedIOBase
from typing import List

#: More than llama-server takes, which is 100 MiB in the version that was tested.
_MOST_BYTES = 1 << 30
_LONGEST_LINE = 4096
#: Bytes that are read at once: memory is taken for what has come, not for what was announced.
_PART = 1 << 20
_LENGTH, _CHUNK = re.compile("[0-9]{1,18}"), re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(;.*)?\r?\n", re.DOTALL)


class RefusedError(ValueError):
    """A body that cannot be read to its end. `status`: that of the answer. The connection cannot be used any more."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def read_body(file: BufferedIOBase, headers: Message) -> bytes:
    """The whole body. Raises `RefusedError`."""
    codings = headers.get_all("Transfer-Encoding", [])
    if codings:
        coding = ", ".join(codings)
        if coding.strip().lower() != "chunked":
            raise RefusedError(501, f"The transfer coding {coding!r} is not known. Send the body in chunks or with a length.")
        return _read_chunks(file)
    lengths = {value.strip() for value in headers.get_all("Content-Length", ["0"])}
    length = lengths.pop()
    if lengths or not _LENGTH.fullmatch(length):
        raise RefusedError(400, "Content-Length is no length. Give a number of bytes.")
    return _read(file, int(length), 0)


def _read_chunks(file: BufferedIOBase) -> bytes:
    chunks: List[bytes] = []
    count = 0
    while True:
        head = _CHUNK.fullmatch(file.readline(_LONGEST_LINE))
        if not head:
            raise RefusedError(400, "A chunk of the body does not begin with its length.")
        size = int(head[1], 16)
        if size == 0:
            break
        chunks.append(_read(file, size, count))
        count += size
        if file.readline(_LONGEST_LINE) not in (b"\r\n", b"\n"):
            raise RefusedError(400, "A chunk of the body does not end where its length says.")
    # Fields may follow, up to an empty line.
    for _ in range(100):
        if file.readline(_LONGEST_LINE) in (b"\r\n", b"\n", b""):
            return b"".join(chunks)
    raise RefusedError(400, "Too many fields follow the body.")


def _read(file: BufferedIOBase, count: int, before: int) -> bytes:
    if before + count > _MOST_BYTES:
        raise RefusedError(413, f"The body has more than {_MOST_BYTES} bytes. Send less.")
    parts: List[bytes] = []
    while count > 0:
        part = file.read(min(count, _PART))
        if not part:
            raise RefusedError(400, "The body ends before its length.")
        parts.append(part)
        count -= len(part)
    return b"".join(parts)
