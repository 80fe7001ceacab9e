"""A folder, a store in it, and the space of the tests' model, for each test."""

from __future__ import annotations

from pathlib import Path
from typing import Iterator

import pytest

from prefixstore import Space, Store
from support import open_store, space_of


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "kv"


@pytest.fixture
def store(folder: Path) -> Iterator[Store]:
    with open_store(folder) as store:
        yield store


@pytest.fixture
def space(store: Store) -> Space:
    return space_of(store)
