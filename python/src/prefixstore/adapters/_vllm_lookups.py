"""Look-ups that vLLM repeats until they are answered: asked of the store once, and together."""

from __future__ import annotations

from typing import Dict, List, Optional, Sequence


class Lookups:
    """What each request was told of each key. One thread.

    A request hears the same answer until it ends, or until a load shows that the answer was wrong. The next request asks
    again, so that it finds what another engine has stored meanwhile.
    """

    def __init__(self) -> None:
        # Per request and key: None while nobody knows.
        self._told: Dict[str, Dict[bytes, Optional[bool]]] = {}
        # Per key that was asked for, the requests that wait; in the order of asking.
        self._waiting: Dict[bytes, List[str]] = {}
        self._new: List[bytes] = []

    def ask(self, key: bytes, request: str) -> Optional[bool]:
        """Whether a block is stored; None: not known yet, ask again."""
        told = self._told.setdefault(request, {})
        if key not in told:
            told[key] = None
            if key not in self._waiting:
                self._new.append(key)
            self._waiting.setdefault(key, []).append(request)
        return told[key]

    def take_new(self) -> List[bytes]:
        """The keys that were not passed on yet. `answer` must follow for each."""
        new, self._new = self._new, []
        return new

    def answer(self, keys: Sequence[bytes], results: bytes) -> None:
        """Tells the requests that wait. `results`: a byte per key, not 0 when its block is stored."""
        for key, result in zip(keys, results):
            for request in self._waiting.pop(key, ()):
                told = self._told.get(request)
                if told is not None and told.get(key, False) is None:
                    told[key] = bool(result)

    def take_back(self, keys: Sequence[bytes]) -> None:
        """The blocks could not be loaded: without this, a request would try for ever."""
        for told in self._told.values():
            for key in keys:
                if key in told:
                    told[key] = False

    def forget(self, request: str) -> None:
        """The request has ended."""
        self._told.pop(request, None)
