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
from typing import Any, Callable, Dict, List, Optional, Sequence, Set, Tuple

from .._queue import Block
from ._block_store import BlockStore

# Bytes of a run, and its blocks. The length of a list follows from them: whoever changes them changes its name too.
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


@dataclass(frozen=True)
class _Part:
    """Some blocks of a run, from its block `first` on: those of a call from its block `at` on."""

    run: _Run
    first: int
    at: int
    count: int

    @property
    def end(self) -> int:
        return self.at + self.count

    @property
    def all(self) -> slice:
        return slice(self.at, self.end)


class BlockRuns:
    """The blocks of a `BlockStore`, all of `block_bytes`, in runs. Thread-safe.

    A name is any bytes and a SHA-256 in hexadecimal. Blocks of another name are stored alone.
    """

    def __init__(self, blocks: BlockStore, block_bytes: int) -> None:
        self._blocks, self._block_bytes = blocks, block_bytes
        self._most = max(1, min(_MOST, _LARGE // block_bytes))
        self._places: OrderedDict[bytes, Tuple[_Run, int]] = OrderedDict()
        self._lock = threading.Lock()

    def put(self, keys: Sequence[bytes], blocks: Sequence[Block]) -> List[bool]:
        """As `BlockStore.put`."""
        results = [False] * len(keys)
        asked: Set[bytes] = set()
        whole: List[_Part] = []
        alone: List[int] = []
        at = 0
        while at < len(keys):
            part = self._find(keys, at, asked)
            if part is None:
                part = _new(keys[at : at + self._most], at)
            if len(part.run.members) == 1:
                alone += [at]
            elif part.count == len(part.run.members):
                # Also when it is stored, so that a run that was evicted or damaged comes back.
                whole.append(part)
            elif self._blocks.leading([part.run.stored_as, part.run.listed_as]) == 2:
                results[part.all] = [True] * part.count
            else:
                alone += range(at, part.end)
            at = part.end
        for part, is_put in zip(whole, self._put_runs(whole, blocks)):
            results[part.all] = [is_put] * part.count
        for at, is_put in zip(alone, self._blocks.put([keys[at] for at in alone], [blocks[at] for at in alone])):
            results[at] = is_put
        return results

    def get(self, keys: Sequence[bytes], blocks: Sequence[Block]) -> List[bool]:
        """As `BlockStore.get`, and no block behind the first that is missing."""
        count = self._follow(
            keys, lambda parts: self._load(parts, blocks), lambda at: _leading(self._blocks.get(keys[at:], blocks[at:])))
        return [place < count for place in range(len(keys))]

    def leading(self, keys: Sequence[bytes]) -> int:
        """As `BlockStore.leading`."""
        return self._follow(
            keys, lambda parts: self._blocks.leading([part.run.stored_as for part in parts]),
            lambda at: self._blocks.leading(keys[at:]))

    def exists(self, keys: Sequence[bytes]) -> List[bool]:
        """As `BlockStore.exists`."""
        return [self.leading([key]) == 1 for key in keys]

    def flush(self) -> None:
        """As `BlockStore.flush`."""
        self._blocks.flush()

    def differences(self) -> List[str]:
        """As `BlockStore.differences`."""
        return self._blocks.differences()

    # Where a block is.

    def _follow(
        self, keys: Sequence[bytes], in_runs: Callable[[Sequence[_Part]], int], alone: Callable[[int], int],
    ) -> int:
        """How many of the first blocks there are. `in_runs` says of how many of the first parts that holds, and `alone`
        of how many of the first blocks from a place on."""
        asked: Set[bytes] = set()
        at = 0
        while at < len(keys):
            parts: List[_Part] = []
            part = self._find(keys, at, asked)
            while part is not None:
                parts.append(part)
                part = self._find(keys, part.end, asked) if part.end < len(keys) else None
            good = in_runs(parts) if parts else 0
            at = parts[good - 1].end if good else at
            if good < len(parts) and self._is_another(keys[at], parts[good].run):
                continue
            count = alone(at) if at < len(keys) else 0
            if count == 0:
                break
            at += count
        return at

    def _find(self, keys: Sequence[bytes], at: int, asked: Set[bytes]) -> Optional[_Part]:
        """The part of a run that begins with a block. `asked`: the blocks that begin no run."""
        place = self._place(keys[at])
        if place is None and keys[at] not in asked:
            # What was put together begins as often; to ask for all at once costs as much as to ask for one.
            candidates = [key for key in keys[at :: self._most] if key not in asked and self._place(key) is None]
            for run in self._read(candidates):
                self._remember(run)
            asked.update(candidates)
            place = self._place(keys[at])
        if place is None:
            return None
        run, first = place
        count = 1
        while (at + count < len(keys) and first + count < len(run.members)
               and run.members[first + count] == keys[at + count]):
            count += 1
        return _Part(run, first, at, count)

    def _place(self, key: bytes) -> Optional[Tuple[_Run, int]]:
        with self._lock:
            place = self._places.get(key)
            if place is not None:
                self._places.move_to_end(key)
            return place

    def _read(self, keys: Sequence[bytes]) -> List[_Run]:
        """The runs that begin with these blocks, by their lists in the store."""
        named = [key for key in keys if _is_named(key)]
        lists = [bytearray(self._most * _DIGEST) for _ in named]
        runs: List[_Run] = []
        for key, memory, result in zip(named, lists, self._blocks.get([b"run " + key for key in named], lists)):
            digests = [memory[at : at + _DIGEST] for at in range(0, len(memory), _DIGEST)] if result else []
            members = [key[:-_HEX] + digest.hex().encode() for digest in digests if any(digest)]
            if members[:1] == [key]:
                runs.append(_run(members))
        return runs

    def _remember(self, run: _Run) -> None:
        with self._lock:
            for at, member in enumerate(run.members):
                self._places[member] = run, at
                self._places.move_to_end(member)
            while len(self._places) > _REMEMBERED:
                self._places.popitem(last=False)

    def _is_another(self, key: bytes, run: _Run) -> bool:
        """Whether the store has another run that begins with a block, since the one that was remembered is gone."""
        others = [other for other in self._read([key]) if other != run]
        for other in others:
            self._remember(other)
        return bool(others)

    # Runs as a whole.

    def _put_runs(self, parts: Sequence[_Part], blocks: Sequence[Block]) -> List[bool]:
        """Puts whole runs, and then their lists."""
        pieces = [[piece for block in blocks[part.all] for piece in _pieces(block)] for part in parts]
        names = [part.run.stored_as for part in parts]
        put = _by_length(pieces, lambda chosen: self._blocks.put(
            [names[at] for at in chosen], [pieces[at] for at in chosen]))
        digests = [b"".join(bytes.fromhex(key[-_HEX:].decode()) for key in part.run.members) for part in parts]
        listed = self._blocks.put(
            [part.run.listed_as for part in parts], [each.ljust(self._most * _DIGEST, b"\0") for each in digests])
        results = [all(pair) for pair in zip(put, listed)]
        for part, is_put in zip(parts, results):
            if is_put:
                self._remember(part.run)
        return results

    def _load(self, parts: Sequence[_Part], blocks: Sequence[Block]) -> int:
        """Loads parts of runs; the rest of each run is loaded beside. How many of the first parts came."""
        memory: List[List[Any]] = []
        for part in parts:
            before = bytearray(part.first * self._block_bytes)
            after = bytearray((len(part.run.members) - part.first - part.count) * self._block_bytes)
            wanted = [piece for block in blocks[part.all] for piece in _pieces(block)]
            memory.append([*([before] if before else []), *wanted, *([after] if after else [])])
        # The lists are as young as the bytes: otherwise they would be evicted before them.
        self._blocks.touch([part.run.listed_as for part in parts])
        return _leading(_by_length(memory, lambda chosen: self._blocks.get(
            [parts[at].run.stored_as for at in chosen], [memory[at] for at in chosen])))


def _by_length(lists: Sequence[Sequence[Any]], call: Callable[[Sequence[int]], List[bool]]) -> List[bool]:
    """Calls with the places of all lists of one length, since the blocks of a call must have equally many pieces."""
    results = [False] * len(lists)
    places: Dict[int, List[int]] = {}
    for at, each in enumerate(lists):
        places.setdefault(len(each), []).append(at)
    for chosen in places.values():
        for at, result in zip(chosen, call(chosen)):
            results[at] = result
    return results


def _new(keys: Sequence[bytes], at: int) -> _Part:
    """A new run of blocks, or the first of them alone."""
    if not all(_is_named(key) and key[:-_HEX] == keys[0][:-_HEX] for key in keys):
        keys = keys[:1]
    return _Part(_run(keys), 0, at, len(keys))


def _run(members: Sequence[bytes]) -> _Run:
    head = members[0][:-_HEX]
    digest = hashlib.sha256(b"".join(members)).hexdigest().encode()
    return _Run(tuple(members), b"run " + members[0], b"run bytes " + head + digest)


def _is_named(key: bytes) -> bool:
    """Whether a name ends with a digest other than zero, in small letters as they are read back."""
    digits = key[-_HEX:]
    return len(digits) == _HEX and not digits.strip(b"0123456789abcdef") and digits != b"0" * _HEX


def _leading(results: Sequence[bool]) -> int:
    return results.index(False) if False in results else len(results)


def _pieces(block: Block) -> List[Any]:
    return list(block) if isinstance(block, (list, tuple)) else [block]
