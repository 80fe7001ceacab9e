"""Sealed stores: a key by file and by bytes, and what happens without it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from prefixstore import InvalidArgumentError, InvalidKeyError, SealedSpaceError, WrongKeyError
from support import kv, load, open_store, prompt, space_of

TOKENS = prompt(40)
KEY, OTHER = bytes(range(1, 33)), bytes(range(2, 34))


def fill(folder: Path) -> None:
    with open_store(folder, key=KEY) as store:
        space_of(store).insert(TOKENS, kv(TOKENS))
        store.flush()


def test_a_sealed_store_gives_back_what_it_was_given_with_its_key_alone(folder: Path) -> None:
    fill(folder)
    with open_store(folder, key=KEY) as store:
        assert load(space_of(store), TOKENS) == len(TOKENS)
    with open_store(folder) as store:
        with pytest.raises(SealedSpaceError):
            space_of(store)
    with open_store(folder, key=OTHER) as store:
        with pytest.raises(WrongKeyError):
            space_of(store)


@pytest.mark.parametrize("content", [KEY, KEY.hex().encode() + b"\n"])
def test_a_key_file_is_bytes_or_hexadecimal_and_nobody_elses_business(
    folder: Path, tmp_path: Path, content: bytes
) -> None:
    fill(folder)
    path = tmp_path / "key"
    path.write_bytes(content)
    os.chmod(path, 0o600)
    with open_store(folder, key_file=path) as store:
        assert load(space_of(store), TOKENS) == len(TOKENS)
    os.chmod(path, 0o644)
    with pytest.raises(InvalidKeyError):
        open_store(folder, key_file=path)


@pytest.mark.parametrize("key", [b"", b"short", bytes(32), bytes(range(33))])
def test_what_is_no_key_is_refused(folder: Path, key: bytes) -> None:
    with pytest.raises((InvalidKeyError, InvalidArgumentError)):
        open_store(folder, key=key)
    assert not folder.exists()


def test_a_key_and_a_key_file_are_one_too_many(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidArgumentError):
        open_store(folder, key=KEY, key_file=tmp_path / "key")
