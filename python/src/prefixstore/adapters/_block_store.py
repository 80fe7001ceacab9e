"""The blocks of one context, for engines that name their KV by hashes: calls that wait, and a sentence about a miss."""

from __future__ import annotations

import hashlib
import threading
from dataclasses import dataclass, replace
from typing import Any, Callable, Dict, List, Sequence

from .. import Element, Identity, Plane, Queue, Store
from .._identity import element_of
from .._queue import Block

# Marks the spaces that say in which fields two contexts differ: a space of blocks has no layout of its own.
_MARK = " (context)"
# Of a page of the token level; blocks have no such limit.
_MOST_TOKENS = 4096


@dataclass(frozen=True)
class Context:
    """What must be equal for two engines to share blocks.

    `identity`: model, engine and tenant. `planes`: what a block has per token. `page_tokens`: tokens of a block.
    """

    identity: Identity
    planes: Sequence[Plane]
    page_tokens: int

    def of_blocks(self) -> Identity:
        """The identity of the blocks, which has planes and tokens in its engine."""
        planes = [(plane.layer, plane.row_bytes, int(element_of(plane.element)), plane.window) for plane in self.planes]
        layout = hashlib.sha256(repr((planes, self.page_tokens)).encode()).hexdigest()
        return replace(self.identity, engine=f"{self.identity.engine}; pages {layout[:32]}")


class BlockStore:
    """Blocks of one context. Thread-safe; gets do not wait for puts.

    A call waits until the library has done its job. It raises the errors of the store.
    """

    def __init__(self, store: Store, context: Context, element: Element) -> None:
        self._store = store
        self._blocks = store.blocks(context.of_blocks(), element)
        label = (context.identity.label or "") + _MARK
        tokens = min(context.page_tokens, _MOST_TOKENS)
        self._space = store.space(replace(context.identity, label=label), context.planes, tokens)
        self._puts, self._gets, self._looks = (_Calls(self._blocks.queue()) for _ in range(3))

    def put(self, keys: Sequence[bytes], blocks: Sequence[Block]) -> List[bool]:
        """Copies blocks into the queue for the disk. True: it waits there, or a block of its key is stored already."""
        return self._puts.call(lambda queue: queue.submit_put(keys, blocks), len(keys))

    def get(self, keys: Sequence[bytes], blocks: Sequence[Block]) -> List[bool]:
        """Loads blocks. True: all bytes of the block are in its memory."""
        return self._gets.call(lambda queue: queue.submit_get(keys, blocks), len(keys))

    def exists(self, keys: Sequence[bytes]) -> List[bool]:
        """Which blocks are stored; one that waits for the disk is not."""
        return self._looks.call(lambda queue: queue.submit_exists(keys), len(keys))

    def leading(self, keys: Sequence[bytes]) -> int:
        """How many of the first keys are stored."""
        return self._blocks.leading(keys)

    def touch(self, keys: Sequence[bytes]) -> None:
        """Counts as a use of the blocks that are stored."""
        self._blocks.touch(keys)

    def remove(self, keys: Sequence[bytes]) -> List[bool]:
        """Removes blocks, also those that wait for the disk. True: it is not stored any more."""
        self._store.flush()
        self._blocks.remove(keys)
        return [True] * len(keys)

    def flush(self) -> None:
        """Waits until all that was put is on disk. Raises what kept a block from being written."""
        self._store.flush()

    def differences(self) -> List[str]:
        """The fields in which the nearest other context of the folder differs; none when there is no other."""
        found: Dict[str, Any] = self._space.explain([0])
        others: List[List[str]] = [
            other["differs_in"] for other in found["other_spaces"] if other["model"].endswith(_MARK)]
        return min(others, key=lambda fields: len(fields)) if others else []

    def statistics(self) -> Dict[str, Any]:
        """What this process has done with the store."""
        return self._store.statistics()


class _Calls:
    """One queue, on which one job is at work at a time."""

    def __init__(self, queue: Queue) -> None:
        self._queue = queue
        self._lock = threading.Lock()

    def call(self, submit: Callable[[Queue], int], count: int) -> List[bool]:
        if count == 0:
            return []
        with self._lock:
            job = submit(self._queue)
            self._queue.wait()
            # A job of a call that was interrupted may be reported too.
            ended = [completion for completion in self._queue.drain() if completion.job == job]
        for completion in ended:
            if completion.error is not None:
                raise completion.error
            return [result == 1 for result in completion.results]
        return [False] * count


#: What the fields are called in which two contexts differ.
FIELDS = {
    "weights": "the weights or the configuration", "tokenizer": "the tokenizer",
    "layout": "the dtype or shape of K and V", "positions": "the position settings", "adapter": "the adapters (LoRA)",
    "salt": "the salt", "shard": "the rank or the number of ranks", "engine format": "the version of this adapter",
}


def sentence(differences: Sequence[str], fields: Dict[str, str]) -> str:
    """What is different, for people. `fields` has the names that an engine's people use for the rest."""
    if not differences:
        return "The folder has no other context."
    known = {**FIELDS, **fields}
    named = [f"{known.get(name, name)} ({name})" for name in differences]
    return "The nearest other context in the folder differs in " + ", ".join(named) + "."
