"""Small blocks that follow each other, stored together: a record of a few KiB costs as much as one of a hundred.

A run is some consecutive blocks of one prompt, as many as were put together and fit. It is two blocks of the store:

- `run ` and the name of its first block: the list of the blocks in it. Whoever follows a prompt finds a run there.
- `run bytes ` and the digest of that list: the bytes of all of them. So bytes are never read by another list than the
  one that they were stored with, whoever else stores at the same time.

A prompt that leaves another within a run goes on with a run of its own, which begins at the first block that differs.
Every block is still found by its own name, also one in the middle of a run: as long as this process has put, loaded or
looked up an earlier part of the prompt, as an engine must have that asks for the rest.
"""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any, List, Optional, Sequence, Tuple

from .._queue import Block
from ._block_store import BlockStore

# Bytes of a run, and its blocks.
_LARGE, _MOST = 256 << 10, 64
# A name ends with the digest of all tokens so far, in hexadecimal.
_HEX, _DIGEST = 64, 32
# Blocks of which this process remembers where they are.
_REMEMBERED = 1 << 17


@dataclass(frozen=True)
class _Run:
    """Blocks that are stored together, and the names of its two parts."""

    members: Tuple[bytes, ...]
    listed_as: bytes
    stored_as: bytes


class BlockRuns:
    """Has the calls of a `BlockStore`, for blocks that all have `block_bytes`. Thread-safe.

    A name is any bytes and a SHA-256 in hexadecimal. Blocks of another name are stored alone.
    """

    def __init__(self, blocks: BlockStore, block_bytes: int) -> None:
        self._blocks, self._block_bytes = blocks, block_bytes
        self._most = max(1, min(_MOST, _LARGE // block_bytes))
        self._places: OrderedDict[bytes, Tuple[_Run, int]] = OrderedDict()
        self._lock = threading.Lock()

    def put(self, keys: Sequence[bytes], blocks: Sequence[Block]) -> List[bool]:
        """As `BlockStore.put`."""
        results: List[bool] = []
        while len(results) < len(keys):
            at = len(results)
            found = self._find(keys, at)
            if found is None:
                results += self._put_new(keys[at : at + self._most], blocks[at : at + self._most])
                continue
            run, _, count = found
            part = slice(at, at + count)
            if count == len(run.members):
                # Also when it is stored, so that a run that was evicted or damaged comes back.
                results += self._put_run(run, blocks[part])
            elif self._blocks.leading([run.stored_as]):
                results += [True] * count
            else:
                results += self._blocks.put(keys[part], blocks[part])
        return results

    def get(self, keys: Sequence[bytes], blocks: Sequence[Block]) -> List[bool]:
        """As `BlockStore.get`, and no block behind the first that is missing."""
        at = 0
        while at < len(keys):
            found = self._find(keys, at)
            if found is not None:
                run, first, count = found
                if self._load(run, first, blocks[at : at + count]):
                    at += count
                    continue
                if self._is_another(keys[at], run):
                    continue
            alone = _leading(self._blocks.get(keys[at:], blocks[at:]))
            if alone == 0:
                break
            at += alone
        return [place < at for place in range(len(keys))]

    def leading(self, keys: Sequence[bytes]) -> int:
        """As `BlockStore.leading`."""
        at = 0
        while at < len(keys):
            found = self._find(keys, at)
            if found is not None:
                run, _, count = found
                if self._blocks.leading([run.stored_as]):
                    at += count
                    continue
                if self._is_another(keys[at], run):
                    continue
            alone = self._blocks.leading(keys[at:])
            if alone == 0:
                break
            at += alone
        return at

    def exists(self, keys: Sequence[bytes]) -> List[bool]:
        """As `BlockStore.exists`."""
        return [self.leading([key]) == 1 for key in keys]

    def flush(self) -> None:
        """As `BlockStore.flush`."""
        self._blocks.flush()

    def differences(self) -> List[str]:
        """As `BlockStore.differences`."""
        return self._blocks.differences()

    def close(self) -> None:
        """As `BlockStore.close`."""
        self._blocks.close()

    # Where a block is.

    def _find(self, keys: Sequence[bytes], at: int) -> Optional[Tuple[_Run, int, int]]:
        """The run with a block, which place the block has in it, and how many of the blocks from there on are wanted."""
        with self._lock:
            place = self._places.get(keys[at])
            if place is not None:
                self._places.move_to_end(keys[at])
        if place is None:
            run = self._read(keys[at])
            if run is None:
                return None
            self._remember(run)
            place = run, 0
        run, first = place
        count = 1
        while (at + count < len(keys) and first + count < len(run.members)
               and run.members[first + count] == keys[at + count]):
            count += 1
        return run, first, count

    def _read(self, key: bytes) -> Optional[_Run]:
        """The run that begins with a block, by its list in the store."""
        if not _is_named(key):
            return None
        memory = bytearray(self._most * _DIGEST)
        if self._blocks.get([b"run " + key], [memory]) != [True]:
            return None
        head = key[:-_HEX]
        digests = [memory[at : at + _DIGEST] for at in range(0, len(memory), _DIGEST)]
        members = [head + digest.hex().encode() for digest in digests if any(digest)]
        return _run(members) if members[:1] == [key] else None

    def _remember(self, run: _Run) -> None:
        with self._lock:
            for at, member in enumerate(run.members):
                self._places[member] = run, at
                self._places.move_to_end(member)
            while len(self._places) > _REMEMBERED:
                self._places.popitem(last=False)

    def _is_another(self, key: bytes, run: _Run) -> bool:
        """Whether the store has another run that begins with a block, since the one that was remembered is gone."""
        other = self._read(key)
        if other is None or other == run:
            return False
        self._remember(other)
        return True

    # Runs as a whole.

    def _put_new(self, keys: Sequence[bytes], blocks: Sequence[Block]) -> List[bool]:
        if len(keys) < 2 or not all(_is_named(key) and key[:-_HEX] == keys[0][:-_HEX] for key in keys):
            return self._blocks.put(keys, blocks)
        run = _run(keys)
        results = self._put_run(run, blocks)
        if all(results):
            self._remember(run)
        return results

    def _put_run(self, run: _Run, blocks: Sequence[Block]) -> List[bool]:
        digests = b"".join(bytes.fromhex(member[-_HEX:].decode()) for member in run.members)
        names = digests.ljust(self._most * _DIGEST, b"\0")
        pieces = [piece for block in blocks for piece in _pieces(block)]
        is_put = self._blocks.put([run.stored_as], [pieces]) + self._blocks.put([run.listed_as], [names])
        return [all(is_put)] * len(run.members)

    def _load(self, run: _Run, first: int, blocks: Sequence[Block]) -> bool:
        """Loads blocks from a place of a run on. The others of the run are loaded beside."""
        before = bytearray(first * self._block_bytes)
        after = bytearray((len(run.members) - first - len(blocks)) * self._block_bytes)
        pieces: List[Any] = [piece for block in blocks for piece in _pieces(block)]
        whole = [*([before] if before else []), *pieces, *([after] if after else [])]
        # The list is as young as the bytes: otherwise it would be evicted before them.
        self._blocks.touch([run.listed_as])
        return self._blocks.get([run.stored_as], [whole]) == [True]


def _run(members: Sequence[bytes]) -> _Run:
    head = members[0][:-_HEX]
    digest = hashlib.sha256(b"".join(members)).hexdigest().encode()
    return _Run(tuple(members), b"run " + members[0], b"run bytes " + head + digest)


def _is_named(key: bytes) -> bool:
    """Whether a name ends with a digest other than zero, in small letters as they are read back."""
    digits = key[-_HEX:]
    return len(digits) == _HEX and all(digit in b"0123456789abcdef" for digit in digits) and any(d != 48 for d in digits)


def _leading(results: Sequence[bool]) -> int:
    return results.index(False) if False in results else len(results)


def _pieces(block: Block) -> List[Any]:
    return list(block) if isinstance(block, (list, tuple)) else [block]
