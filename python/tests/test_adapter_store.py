"""What every adapter has from its store: a key, one more opening after damage, a sentence about losses, and an end."""

from __future__ import annotations

import re
import struct
import time
from pathlib import Path
from typing import Any, List

import pytest

from prefixstore import (
    DamagedError, InvalidArgumentError, InvalidIdentityError, InvalidKeyError, SealedSpaceError, Store)
from prefixstore.adapters._adapter_store import KEY_VARIABLE, AdapterStore, sealing_key
from prefixstore.adapters._salt_file import read_salt
from support import IDENTITY, MIB, kv, load, open_store, prompt, run, space_of, start

KEY = bytes(range(1, 33))
PAGE_BYTES, LEAF = 4096, 2


@pytest.fixture(autouse=True)
def without_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(KEY_VARIABLE, raising=False)


def fill(folder: Path, **options: Any) -> List[int]:
    tokens = prompt(160)
    with open_store(folder, **options) as store:
        space_of(store).insert(tokens, kv(tokens))
        store.flush()
    return tokens


def damage_trees(folder: Path) -> None:
    """Erases the leaves with the descriptions of spaces: the store opens, and no space does."""
    data = bytearray((folder / "data.mdb").read_bytes())
    for at in range(2 * PAGE_BYTES, len(data), PAGE_BYTES):
        page = data[at : at + PAGE_BYTES]
        if page[10] == LEAF and IDENTITY.positions.encode() in page:
            data[at : at + PAGE_BYTES] = bytes(PAGE_BYTES)
    (folder / "data.mdb").write_bytes(data)


def damage_free_list(folder: Path) -> None:
    """Erases the root of the list of free pages, which only a writer reads."""
    data = bytearray((folder / "data.mdb").read_bytes())
    for meta in (0, PAGE_BYTES):
        (root,) = struct.unpack_from("<q", data, meta + 80)
        if root > 0:
            data[root * PAGE_BYTES : (root + 1) * PAGE_BYTES] = bytes(PAGE_BYTES)
    (folder / "data.mdb").write_bytes(data)


def ruin(folder: Path) -> None:
    """Erases both meta pages."""
    with (folder / "data.mdb").open("r+b") as file:
        file.write(bytes(2 * PAGE_BYTES))


# Damage.

def test_a_store_that_is_beyond_use_is_set_aside_by_the_first_opening_which_says_so_once(folder: Path) -> None:
    fill(folder)
    ruin(folder)
    with open_store(folder) as store:
        notice = store.set_aside_notice
        assert notice is not None and re.search(rf"was damaged .* now in {re.escape(str(folder))}/aside-\d+", notice)
    with open_store(folder) as store:
        assert store.set_aside_notice is None


def test_damage_that_the_opening_itself_meets_costs_no_second_opening(folder: Path) -> None:
    fill(folder)
    damage_free_list(folder)
    # Another quota has to be written.
    with open_store(folder, quota=32 * MIB) as store:
        notice = store.set_aside_notice
        assert notice is not None and "(its trees are damaged)" in notice


def test_damage_that_an_adapter_meets_when_it_begins_costs_no_second_start(folder: Path) -> None:
    tokens = fill(folder)
    damage_trees(folder)
    said: List[str] = []
    kept = AdapterStore(folder, said.append, quota=64 * MIB)
    space = kept.begin(space_of)
    assert len(said) == 1 and said[0].startswith("set a store aside: The store was damaged (its trees are damaged).")
    space.insert(tokens, kv(tokens))
    kept.store.flush()
    assert load(space, tokens) == len(tokens)
    kept.close()
    assert len(said) == 1


def test_damage_in_a_store_that_the_host_has_opened_is_the_hosts_and_the_error_says_what_to_do(folder: Path) -> None:
    fill(folder)
    damage_trees(folder)
    with open_store(folder) as store:
        with pytest.raises(DamagedError, match="start an engine again, which sets the store aside"):
            AdapterStore(store, print).begin(space_of)
        assert not store.closed
    with open_store(folder) as store:
        assert store.set_aside_notice is not None


def test_what_fails_for_another_reason_closes_the_store(folder: Path) -> None:
    def fail(store: Store) -> None:
        raise RuntimeError("no model")

    kept = AdapterStore(folder, print)
    with pytest.raises(RuntimeError, match="no model"):
        kept.begin(fail)
    open_store(folder).close()


# Losses.

FULL_DISK = """
import resource
from prefixstore.adapters._adapter_store import AdapterStore
def no_room():
    # A file that may not grow is a full disk that needs no rights to make.
    resource.setrlimit(resource.RLIMIT_FSIZE, (64 << 10, resource.RLIM_INFINITY))
def lose(store, count=40):
    space = space_of(store)
    for seed in range(1, count):
        tokens = prompt(64, seed)
        space.insert(tokens, kv(tokens))
"""


def test_a_full_disk_is_said_once_in_the_words_of_the_store_and_ends_nothing(folder: Path) -> None:
    said = run(FULL_DISK + """
said = []
kept = AdapterStore(sys.argv[1], said.append, quota=64 * MIB, codec="raw")
kept.look_for_losses()
assert said == []
no_room()
while not said:
    lose(kept.store)
    kept.look_for_losses()
lose(kept.store)
kept.look_for_losses()
kept.close()
kept.look_for_losses()
print(*said, sep="\\n")
""", folder)
    assert re.fullmatch(
        r"could not write everything, and the engine goes on: .*is full.* Free some space.*\n", said)


def test_what_the_end_could_not_write_is_said_and_not_raised(folder: Path) -> None:
    said = run(FULL_DISK + """
kept = AdapterStore(sys.argv[1], print, quota=64 * MIB, codec="raw")
no_room()
lose(kept.store)
kept.close()
""", folder)
    assert said.count("\n") == 1 and "is full" in said


def test_a_store_that_nobody_closes_says_at_the_end_of_the_program_what_was_lost(folder: Path) -> None:
    child = start(FULL_DISK + """
import warnings
warnings.simplefilter("default")
store = open_store(sys.argv[1], codec="raw")
no_room()
lose(store)
""", folder)
    _, errors = child.communicate(timeout=120)
    assert child.returncode == 0
    assert "RuntimeWarning: A store that nobody closed could not write everything" in errors and "is full" in errors


def test_a_store_of_the_host_is_looked_at_and_stays_open(folder: Path) -> None:
    assert "is full" in run(FULL_DISK + """
store = open_store(sys.argv[1], codec="raw")
said = []
kept = AdapterStore(store, said.append)
no_room()
while not said:
    lose(store)
    kept.look_for_losses()
kept.close()
assert not store.closed
print(said[0])
try:
    store.close()
except prefixstore.DiskFullError:
    pass
""", folder)


def test_what_an_adapter_has_said_is_raised_by_the_hosts_next_flush_all_the_same(folder: Path) -> None:
    assert run(FULL_DISK + """
store = open_store(sys.argv[1], codec="raw")
said = []
kept = AdapterStore(store, said.append)
no_room()
while not said:
    lose(store)
    kept.look_for_losses()
try:
    store.flush()
    print("in vain")
except prefixstore.DiskFullError:
    print("raised")
store.flush()
""", folder) == "raised\n"


def test_a_forked_child_has_lost_nothing_and_says_nothing(folder: Path) -> None:
    assert run("""
import os
from prefixstore.adapters._adapter_store import AdapterStore
kept = AdapterStore(sys.argv[1], lambda text: print(text, flush=True), quota=64 * MIB)
if os.fork() == 0:
    kept.look_for_losses()
    kept.close()
    os._exit(0)
os.wait()
kept.close()
""", folder) == ""


# Keys and salts.

def key_file(folder: Path) -> Path:
    path = folder / "key"
    path.write_bytes(KEY)
    path.chmod(0o600)
    return path


def test_a_key_comes_from_a_file_or_else_from_the_variable_of_the_program(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokens = fill(folder, key=KEY)
    kept = AdapterStore(folder, print, key_file=key_file(tmp_path))
    assert load(kept.begin(space_of), tokens) == len(tokens)
    kept.close()
    with pytest.raises(SealedSpaceError):
        AdapterStore(folder, print).begin(space_of)
    monkeypatch.setenv(KEY_VARIABLE, KEY.hex())
    kept = AdapterStore(folder, print)
    assert load(kept.begin(space_of), tokens) == len(tokens)
    kept.close()


@pytest.mark.parametrize("value", ["", "secret words", KEY.hex()[:-2], KEY.hex() + "00", KEY.hex()[:-1] + "x"])
def test_a_variable_that_holds_no_key_is_refused_and_never_shown(
    folder: Path, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv(KEY_VARIABLE, value)
    with pytest.raises(InvalidKeyError) as caught:
        AdapterStore(folder, print)
    assert KEY_VARIABLE in str(caught.value) and not (value and value in str(caught.value))
    assert caught.value.__context__ is None and not folder.exists()


def test_a_key_file_that_is_missing_is_named_in_the_words_of_the_system(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidKeyError, match=r"none cannot be opened: No such file or directory"):
        AdapterStore(folder, print, key_file=tmp_path / "none")


def test_a_key_for_a_store_that_is_open_is_refused(folder: Path, tmp_path: Path) -> None:
    with open_store(folder) as store, pytest.raises(InvalidArgumentError, match="Give it to prefixstore.open"):
        AdapterStore(store, print, key_file=key_file(tmp_path))


def test_a_remote_for_a_store_that_is_open_is_refused(folder: Path) -> None:
    with open_store(folder) as store, pytest.raises(InvalidArgumentError, match="remote is given with an open Store"):
        AdapterStore(store, print, remote="redis://127.0.0.1:1")


def test_a_remote_that_does_not_work_is_said_once_and_costs_nothing(folder: Path) -> None:
    tokens = fill(folder)
    said: List[str] = []
    kept = AdapterStore(folder, said.append, remote="redis://127.0.0.1:1")
    space = kept.begin(space_of)
    for _ in range(100):
        kept.look_for_losses()
        if said:
            break
        time.sleep(0.1)
    kept.look_for_losses()
    assert len(said) == 1 and said[0].startswith("goes on without its remote") and "refused" in said[0]
    assert load(space, tokens) == len(tokens)
    kept.close()


def test_a_file_goes_before_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY_VARIABLE, "no key")
    assert sealing_key("a file") == {"key_file": "a file"}


@pytest.mark.parametrize("count", [0, 1, 15, 4097])
def test_a_salt_that_the_store_would_refuse_is_refused_before_a_model_is_loaded(tmp_path: Path, count: int) -> None:
    path = tmp_path / "salt"
    path.write_bytes(b"s" * count + b"\n")
    with pytest.raises(InvalidIdentityError, match=rf"salt in .*{path.name} has {count} bytes. Give a secret of 16 to 4096"):
        read_salt(path)


def test_a_salt_is_what_is_in_its_file_without_the_line_end(tmp_path: Path) -> None:
    path = tmp_path / "salt"
    path.write_bytes(b"s" * 16 + b"\r\n")
    assert read_salt(path) == b"s" * 16 and read_salt(None) is None and read_salt("") is None
