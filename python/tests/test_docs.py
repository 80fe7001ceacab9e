"""The examples of docs/python.md run as they are printed."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any, Dict, List

import pytest

import prefixstore
from support import IDENTITY, open_store

PAGE = Path(__file__).parents[2] / "docs/python.md"
EXAMPLES = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(), re.S | re.M)


class Engine:
    """What the first example takes for granted: a prefill that fills the cache."""

    def __init__(self, cache: List[bytearray]) -> None:
        self.cache, self.first = cache, -1

    def prefill(self, prompt: List[int], first: int) -> None:
        self.first = first
        for plane in self.cache:
            plane[first * 2048 :] = b"".join(bytes([token]) * 2048 for token in prompt[first:])


def test_the_token_level_in_ten_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("model.safetensors").write_bytes(b"weights")
    prompt = list(range(100))
    for first in (0, 99):
        cache = [bytearray(100 * 2048) for _ in range(64)]
        engine = Engine(cache)
        exec(EXAMPLES[0], {"prompt": prompt, "cache": cache, "engine": engine})
        assert engine.first == first
        assert cache[63] == b"".join(bytes([token]) * 2048 for token in prompt)


def test_the_block_level_reports_through_asyncio(tmp_path: Path) -> None:
    names: Dict[str, Any] = {
        "identity": IDENTITY, "block_1": b"1" * 64, "block_2": b"2" * 64, "memory": bytearray(64),
    }
    exec(EXAMPLES[1], names)

    async def twice(store: prefixstore.Store) -> List[bytes]:
        # The second queue gets the descriptor of the first.
        runs = [await asyncio.wait_for(names["serve"](store), 60) for _ in range(2)]
        return [each.results for run in runs for each in run]

    with open_store(tmp_path / "kv") as store:
        assert asyncio.run(twice(store)) == [b"\1\1", b"\0"] * 2


def test_every_example_is_python() -> None:
    assert len(EXAMPLES) == 3
    for example in EXAMPLES:
        compile(example, str(PAGE), "exec")
