"""Two small engines with adapters, one per level, and engines whose adapters have a fault each."""

from __future__ import annotations

import hashlib
from typing import Any, List, Optional, Sequence

import prefixstore
from prefixstore import Identity, Match
from prefixstore.testing import Driver, Served, Setup
from support import MIB, PLANES, ROW, kv, room

BLOCK = 16


def digest(text: Optional[str]) -> Optional[bytes]:
    return None if text is None else hashlib.sha256(text.encode()).digest()


class Engine:
    """Memory for one prompt, and a prefill that fills it with what the model computes."""

    def __init__(self, setup: Setup, identity: Identity, **options: Any) -> None:
        self.setup = setup
        self.identity = identity
        self.store = prefixstore.open(setup.folder, quota=64 * MIB, **options)
        self.space = self.store.space(identity, PLANES, page_tokens=16)
        self.queue = self.store.blocks(identity).queue()

    def compute(self, tokens: Sequence[int], into: List[bytearray], first: int) -> None:
        """Fills the rows from `first` on. Another model or adapter computes other rows."""
        seed = digest(f"{self.setup.model} {self.setup.adapter}") or b""
        whole = kv([int.from_bytes(seed[:3], "little"), *tokens])
        for memory, plane in zip(into, whole):
            memory[first * ROW :] = plane[(first + 1) * ROW :]


def rows_of(memory: List[bytearray], count: int) -> List[bytes]:
    return [b"".join(plane[at * ROW : (at + 1) * ROW] for plane in memory) for at in range(count)]


class TokenDriver(Driver):
    """On the token level."""

    prompt_tokens = 100

    def identity(self, setup: Setup) -> Identity:
        weights, salt = digest(setup.model), digest(setup.tenant)
        assert weights is not None
        return Identity(weights, weights, "none", "tests", adapter=digest(setup.adapter), salt=salt)

    def start(self, setup: Setup) -> Engine:
        return Engine(setup, self.identity(setup))

    def load(self, match: Match, memory: List[bytearray], stop: int) -> int:
        return match.load(memory, stop=stop)

    def prefill(self, engine: Engine, tokens: Sequence[int]) -> Served:
        memory = room(len(tokens))
        with engine.space.match(tokens) as match:
            loaded = self.load(match, memory, len(tokens) - 1)
            engine.compute(tokens, memory, loaded)
            engine.space.insert(tokens, memory, after=match, loaded=loaded)
        return Served(loaded, rows_of(memory, len(tokens)))

    def flush(self, engine: Engine) -> None:
        engine.store.flush()

    def stop(self, engine: Engine) -> None:
        engine.store.close()


class BlockDriver(TokenDriver):
    """On the block level: a key is a hash of all tokens up to the end of its block."""

    granularity = BLOCK

    def prefill(self, engine: Engine, tokens: Sequence[int]) -> Served:
        ends = range(BLOCK, len(tokens) + 1, BLOCK)
        keys = [digest(",".join(map(str, tokens[:end]))) or b"" for end in ends]
        memory = room(len(tokens))
        views = [[memoryview(plane)[(end - BLOCK) * ROW : end * ROW] for plane in memory] for end in ends]
        wanted = [at for at, end in enumerate(ends) if end < len(tokens)]
        engine.queue.submit_get([keys[at] for at in wanted], [views[at] for at in wanted])
        engine.queue.wait()
        (got,) = engine.queue.drain()
        loaded = got.leading * BLOCK
        for block in views:
            for view in block:
                view.release()
        engine.compute(tokens, memory, loaded)
        views = [[memoryview(plane)[(end - BLOCK) * ROW : end * ROW] for plane in memory] for end in ends]
        engine.queue.submit_put(keys[got.leading :], views[got.leading :])
        engine.queue.wait()
        engine.queue.drain()
        return Served(loaded, rows_of(memory, len(tokens)))


class NeverLoads(TokenDriver):
    """Stores, and never looks."""

    def load(self, match: Match, memory: List[bytearray], stop: int) -> int:
        return 0


class LoadsWholePages(TokenDriver):
    """Says that it is exact to the token, and is not."""

    def load(self, match: Match, memory: List[bytearray], stop: int) -> int:
        return match.load(memory, stop=min(stop, match.tokens) // 16 * 16)


class Trusts(TokenDriver):
    """Takes it that everything was delivered which was found."""

    def load(self, match: Match, memory: List[bytearray], stop: int) -> int:
        match.load(memory, stop=stop)
        return min(match.tokens, stop)


class MixesModels(TokenDriver):
    """Leaves the model out of the identity."""

    def identity(self, setup: Setup) -> Identity:
        return super().identity(Setup(setup.folder, "one", setup.adapter, setup.tenant))


class MixesAdapters(TokenDriver):
    """Leaves the adapter out of the identity."""

    def identity(self, setup: Setup) -> Identity:
        return super().identity(Setup(setup.folder, setup.model, None, setup.tenant))


class MixesTenants(TokenDriver):
    """Leaves the salt out of the identity."""

    def identity(self, setup: Setup) -> Identity:
        return super().identity(Setup(setup.folder, setup.model, setup.adapter, None))


class SwapsPlanes(TokenDriver):
    """Loads keys as values."""

    def load(self, match: Match, memory: List[bytearray], stop: int) -> int:
        return match.load([memory[1], memory[0], *memory[2:]], stop=stop)


class NeverFlushes(TokenDriver):
    """Keeps pages in RAM, and says that they are on disk."""

    def start(self, setup: Setup) -> Engine:
        return Engine(setup, self.identity(setup), write_policy="write_back", hot_capacity=16 * MIB)

    def flush(self, engine: Engine) -> None:
        pass


class RemembersPastTheStore(TokenDriver):
    """Says that tokens were reused which the store does not have."""

    def prefill(self, engine: Engine, tokens: Sequence[int]) -> Served:
        served = super().prefill(engine, tokens)
        return Served(max(served.reused, 1), served.rows)
