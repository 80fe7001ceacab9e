"""Damage and full disks: what cannot be trusted is a miss, the program goes on, and no wrong byte is delivered."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import List

import pytest

from prefixstore import Plane
from prefixstore.testing import damage
from support import IDENTITY, kv, load, open_store, prompt, run, space_of

PLANES = [Plane(0, 512), Plane(0, 512)]


def fill(folder: Path, codec: str, prompts: List[List[int]]) -> None:
    with open_store(folder, codec=codec) as store:
        space = space_of(store, planes=PLANES)
        for tokens in prompts:
            space.insert(tokens, kv(tokens, PLANES))
        store.flush()


@pytest.mark.parametrize("codec", ["raw", "zstd", "kbit", "auto"])
def test_a_damaged_page_is_a_miss_and_can_be_stored_again(folder: Path, codec: str) -> None:
    prompts = [prompt(160, seed) for seed in range(5)]
    fill(folder, codec, prompts)
    assert damage(folder) >= 50
    with open_store(folder) as store:
        space = space_of(store, planes=PLANES)
        # Every record was damaged; `load` compares each byte that comes.
        for tokens in prompts:
            assert load(space, tokens, PLANES) == 0
        assert store.statistics()["damaged_pages"] >= 5
    fill(folder, codec, prompts)
    with open_store(folder) as store:
        space = space_of(store, planes=PLANES)
        for tokens in prompts:
            assert load(space, tokens, PLANES) == 160


def test_damage_in_the_middle_ends_the_load_there(folder: Path) -> None:
    tokens = prompt(160)
    fill(folder, "raw", [tokens])
    data = bytearray((folder / "data.mdb").read_bytes())
    # A row of token 100, as it is stored.
    at = data.find(kv(tokens, PLANES)[0][100 * 512 : 101 * 512])
    assert at > 0
    data[at + 17] ^= 1
    (folder / "data.mdb").write_bytes(data)
    with open_store(folder) as store:
        assert load(space_of(store, planes=PLANES), tokens, PLANES) == 96


def test_a_damaged_block_is_a_miss(folder: Path) -> None:
    content = hashlib.shake_128(b"content").digest(9000)
    with open_store(folder, codec="raw") as store, store.blocks(IDENTITY).queue() as queue:
        queue.submit_put([b"one", b"two"], [content, content[::-1]])
        queue.wait()
        store.flush()
    data = bytearray((folder / "data.mdb").read_bytes())
    data[data.find(content[4000:4100])] ^= 1
    (folder / "data.mdb").write_bytes(data)
    with open_store(folder) as store, store.blocks(IDENTITY).queue() as queue:
        first, second = bytearray(9000), bytearray(9000)
        queue.submit_get([b"one", b"two"], [first, second])
        queue.wait()
        (completion,) = queue.drain()
        assert (completion.results, completion.error) == (b"\0\1", None)
        assert second == content[::-1]


def test_a_damaged_side_state_is_none(folder: Path) -> None:
    tokens, state = prompt(32), hashlib.shake_128(b"state").digest(8000)
    fill(folder, "raw", [tokens])
    with open_store(folder) as store:
        space_of(store, planes=PLANES).put_side_state(tokens, "state", state)
    assert damage(folder) > 0
    with open_store(folder) as store:
        assert space_of(store, planes=PLANES).side_state(tokens, "state") is None


@pytest.mark.parametrize("size", [0, 1, 4096, 100_000])
def test_a_file_that_was_cut_short_is_an_error_with_a_remedy_or_a_miss(folder: Path, size: int) -> None:
    tokens = prompt(160)
    fill(folder, "raw", [tokens])
    data = (folder / "data.mdb").read_bytes()
    (folder / "data.mdb").write_bytes(data[:size])
    code = """
from prefixstore import Plane, PrefixStoreError
planes = [Plane(0, 512), Plane(0, 512)]
try:
    with open_store(sys.argv[1]) as store:
        print(load(space_of(store, planes=planes), prompt(160), planes))
except PrefixStoreError as problem:
    print(problem.code)
"""
    assert int(run(code, folder)) <= 0


def test_a_full_disk_loses_nothing_that_was_stored(folder: Path) -> None:
    # A file that may not grow is a full disk that needs no rights to make.
    output = run("""
import resource
from prefixstore import Plane, DiskFullError
planes = [Plane(0, 4096)]
with open_store(sys.argv[1], codec="raw") as store:
    space = space_of(store, planes=planes)
    first = prompt(64)
    space.insert(first, kv(first, planes))
    store.flush()
    space.pin(first)
    resource.setrlimit(resource.RLIMIT_FSIZE, (6 * MIB, resource.RLIM_INFINITY))
    failures = 0
    for seed in range(1, 60):
        tokens = prompt(64, seed)
        space.insert(tokens, kv(tokens, planes))
        try:
            store.flush()
        except DiskFullError as problem:
            failures += 1
    assert load(space, first, planes) == 64
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    space.insert(tokens, kv(tokens, planes))
    store.flush()
    print(load(space, tokens, planes), load(space, first, planes))
""", folder)
    assert output.split() == ["64", "64"]
    with open_store(folder) as store:
        assert load(space_of(store, planes=[Plane(0, 4096)]), prompt(64), [Plane(0, 4096)]) == 64


def test_damage_finds_nothing_in_what_is_no_store(tmp_path: Path) -> None:
    (tmp_path / "data.mdb").write_bytes(bytes(100_000))
    with pytest.raises(ValueError, match="no store"):
        damage(tmp_path)
