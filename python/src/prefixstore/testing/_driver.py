"""What an adapter's author writes, so that the suite can drive the adapter's engine."""

from __future__ import annotations

import abc
from dataclasses import dataclass
from typing import Any, Optional, Sequence


@dataclass(frozen=True)
class Setup:
    """What an engine is started with.

    `folder`: of the store. `model`, `adapter`, `tenant`: names; engines of two names, or of None and a name, must not
    share KV. Make weights, an adapter's weights and a salt of them.
    """

    folder: str
    model: str = "one"
    adapter: Optional[str] = None
    tenant: Optional[str] = None


@dataclass(frozen=True)
class Served:
    """What came of a prompt."""

    #: Tokens whose KV came from the store; the rest was computed.
    reused: int
    #: The KV of each token of the prompt, as it lies in the engine's memory afterwards: its rows in all planes, joined.
    rows: Sequence[bytes]


class Driver(abc.ABC):
    """Drives an engine with the adapter that is tested.

    The suite makes a driver without arguments, also in other processes: its class must be importable there.
    """

    #: Tokens that the adapter reuses together: 1 when it is exact to the token, else the size of its blocks.
    granularity: int = 1
    #: Tokens of the suite's prompts: more than a few pages or blocks. Each of these must be 2 KiB or more on disk.
    prompt_tokens: int = 200
    #: Token ids are below this.
    vocabulary: int = 1000

    @abc.abstractmethod
    def start(self, setup: Setup) -> Any:
        """An engine on the store in a folder, with nothing in its own caches."""

    @abc.abstractmethod
    def prefill(self, engine: Any, tokens: Sequence[int]) -> Served:
        """Serves a prompt: loads what is stored of it, computes the rest, and stores that.

        All but the last token may be reused. Nothing that the engine has computed before may be reused past the store.
        """

    @abc.abstractmethod
    def flush(self, engine: Any) -> None:
        """Waits until everything that was computed so far is on disk."""

    @abc.abstractmethod
    def stop(self, engine: Any) -> None:
        """Ends an engine and closes its store. Its folder may be opened again afterwards."""

    def reusable(self, count: int, shared: int) -> int:
        """Of a prompt of `count` tokens whose first `shared` are stored, how many are reused.

        Override it for an engine that leaves out more than whole blocks and the last token of a prompt.
        """
        return min(shared, count - 1) // self.granularity * self.granularity

    def same(self, computed: bytes, again: bytes) -> bool:
        """Whether a row that was computed twice is the same.

        Override it for an engine whose arithmetic differs from run to run. Reused rows are always compared byte by byte.
        """
        return computed == again
