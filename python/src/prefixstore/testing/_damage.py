"""Damages the records of a store, as a faulty disk would, and leaves the tree of the file alone."""

from __future__ import annotations

import os
import struct
from pathlib import Path
from typing import Union

# Of LMDB's file format: a page begins with its number, two bytes of padding, its flags, and, on the first page of a
# long value, how many pages the value has.
_HEADER = struct.Struct("<QHHI")
_MAGIC, _LONG_VALUE = 0xBEEFC0DE, 0x04
# From the beginning of a value: inside a record's header, and inside what follows it. Every long value has both.
_PLACES = (20, 600)


def damage(folder: Union[str, "os.PathLike[str]"]) -> int:
    """Flips one bit in every record of the closed store in `folder`, in headers and contents by turns.

    Records of 2 KiB and more are found. Those of smaller pages lie between the nodes of the file's tree, and are left
    alone, since damage to that tree can end the process that reads it.

    Returns how many records were damaged. Raises ValueError when the folder holds no store.
    """
    file = Path(folder) / "data.mdb"
    data = bytearray(file.read_bytes())
    if len(data) < 44 or struct.unpack_from("<I", data, 16)[0] != _MAGIC:
        raise ValueError(f"{file} is no store. Name the folder of one.")
    size = struct.unpack_from("<I", data, 40)[0]
    count, page = 0, 0
    while (page + 1) * size <= len(data):
        number, _, flags, _ = _HEADER.unpack_from(data, page * size)
        if number == page and flags & _LONG_VALUE:
            data[page * size + _HEADER.size + _PLACES[count % len(_PLACES)]] ^= 1
            count += 1
            # One page further, not `pages`: what looks like the first page of a long value may be left from an old one.
        page += 1
    file.write_bytes(data)
    return count
