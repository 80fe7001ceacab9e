"""Behind LMCache's own adapter, the client keeps chunks through restarts, and never gives another one's."""

import json
import logging
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from support import SHAPE, Cache, key_of, make_model, parameters

from prefixstore import SealedSpaceError
from prefixstore.testing import damage

HOST = Path(__file__).with_name("host.py")
KEYS = [key_of(number) for number in range(24)]


@pytest.fixture
def model(tmp_path):
    return make_model(tmp_path, "model")


@pytest.fixture
def params(tmp_path, model):
    return parameters(tmp_path / "kv", model)


def run_host(params, *commands, status=0):
    """Runs LMCache's adapter in a process of its own."""
    arguments = [sys.executable, "-B", HOST, json.dumps(params), json.dumps(commands)]
    run = subprocess.run(arguments, capture_output=True, text=True, timeout=120)
    assert run.returncode == status, run.stdout + run.stderr
    return [json.loads(line[7:]) for line in run.stdout.splitlines() if line.startswith("RESULT ")]


def test_what_was_stored_is_found_and_loaded(params):
    with Cache(params) as cache:
        assert cache.lookup(KEYS) == [False] * 24
        assert cache.store(KEYS[:16])
        assert cache.lookup(KEYS) == [True] * 16 + [False] * 8
        assert cache.load(KEYS) == [True] * 16 + [False] * 8
        assert cache.adapter.get_usage().total_bytes_used == 16 * 2 * SHAPE.numel()


def test_a_new_process_finds_it(params):
    assert run_host(params, ["store", 24]) == [True]
    assert run_host(params, ["lookup", 24], ["load", 24]) == [[True] * 24, [True] * 24]


def test_two_processes_share_it_at_once(params):
    with Cache(params) as cache:
        assert cache.store(KEYS[:8])
        assert run_host(params, ["load", 8], ["store", 24]) == [[True] * 8, True]
        assert cache.load(KEYS) == [True] * 24


def test_a_kill_loses_nothing_that_lmcache_took_for_stored(params):
    assert run_host(params, ["store", 24], ["kill", 0], status=-signal.SIGKILL) == [True]
    assert run_host(params, ["load", 24]) == [[True] * 24]


def test_a_damaged_chunk_is_a_miss_and_can_be_stored_again(params):
    run_host(params, ["store", 24])
    assert damage(params["folder"]) == 24
    assert run_host(params, ["load", 24]) == [[False] * 24]
    # The writer finds the damage with the first store, and takes the chunk with the next.
    run_host(params, ["store", 24])
    run_host(params, ["store", 24])
    assert run_host(params, ["load", 24]) == [[True] * 24]


def test_a_deleted_chunk_is_gone_and_the_others_stay(params):
    with Cache(params) as cache:
        assert cache.store(KEYS)
        cache.adapter.delete(KEYS[:4])
        assert cache.lookup(KEYS) == [False] * 4 + [True] * 20
        assert cache.adapter.get_usage().total_bytes_used == 20 * 2 * SHAPE.numel()


def test_the_salt_of_a_request_is_part_of_the_key(params):
    salted = [key_of(number, salt="tenant") for number in range(24)]
    with Cache(params) as cache:
        assert cache.store(salted)
        assert cache.lookup(KEYS) == [False] * 24
        assert cache.load(salted) == [True] * 24


def test_a_chunk_of_another_size_is_a_miss(params):
    with Cache(params) as cache:
        assert cache.store(KEYS[:2])
        names = [f"model@00000000@0@{key.chunk_hash.hex()}" for key in KEYS[:2]]
        job = cache.client.submit_batch_get(names, [memoryview(bytearray(100)), memoryview(bytearray(10 ** 6))])
        assert job > 0
        cache.client.submit_batch_exists(names)
        # LMCache's own thread drains; it does not know these numbers and says so.
        assert cache.load(KEYS[:2]) == [True, True]


def test_a_quota_holds_and_the_newest_chunks_stay(params):
    params["quota"] = 8 << 20
    many = [key_of(f"many {number}") for number in range(2000)]
    with Cache(params) as cache:
        for begin in range(0, len(many), 50):
            assert cache.store(many[begin : begin + 50])
        found = cache.lookup(many)
        assert sum(found) > 100 and all(found[-50:])
        # Random bytes are not compressed.
        assert sum(found) * 2 * SHAPE.numel() < params["quota"]


@pytest.mark.parametrize("field, change", [
    ("weights", {"model": "other"}), ("layout", {"kv_dtype": "float16"}), ("page size", {"chunk_size": 32}),
    ("engine", {"engine": "tests 2"}), ("adapter", {"adapter": "a LoRA at 0.5"}), ("salt", {"salt_file": "salt"}),
    ("positions", {"model": "longer"}),
])
def test_what_differs_is_a_miss_and_the_log_says_what(params, tmp_path, caplog, field, change):
    others = {
        "other": make_model(tmp_path, "other", seed=2), "longer": make_model(tmp_path, "longer", rope_theta=500000.0),
        "salt": str(tmp_path / "salt")}
    (tmp_path / "salt").write_bytes(b"a tenant's secret")
    with Cache(params) as cache:
        assert cache.store(KEYS)
    changed = {**params, **{name: others.get(value, value) for name, value in change.items()}}
    caplog.set_level(logging.WARNING)
    with Cache(changed) as cache:
        assert cache.lookup(KEYS) == [False] * 24
        assert cache.load(KEYS) == [False] * 24
        assert f"({field})" in cache.client.explain()
        print(cache.client.explain())
    said = [record.message for record in caplog.records if record.name == "prefixstore.adapters.lmcache"]
    assert len(said) == 1 and f"({field})" in said[0]
    with Cache(params) as cache:
        assert cache.load(KEYS) == [True] * 24


def test_chunks_of_another_models_name_are_neither_stored_nor_found(params, caplog):
    other = [key_of(number, model="another") for number in range(4)]
    with Cache(params) as cache:
        assert not cache.store(other)
        assert cache.lookup(other + KEYS[:1]) == [False] * 5
    assert sum("another" in record.message for record in caplog.records) == 1


def test_a_hash_that_may_stand_for_two_prompts_is_refused(params, caplog):
    from lmcache.v1.distributed.api import ObjectKey
    short = [ObjectKey(chunk_hash=b"8 bytes.", model_name="model", kv_rank=0)]
    with Cache(params) as cache:
        assert not cache.store(short)
        assert cache.lookup(short) == [False]
    assert any("--hash-algorithm blake3" in record.message for record in caplog.records)


@pytest.mark.parametrize("change, words", [
    ({"folder": ""}, "folder"), ({"model": ""}, "digest"), ({"model": "nowhere"}, "not a folder"),
    ({"engine": ""}, "attention backend"), ({"kv_dtype": "bf16"}, "bfloat16"), ({"chunk_size": 0}, "--chunk-size"),
    ({"chunksize": 1}, "does not know"), ({"salt_file": "nowhere"}, "nowhere"),
])
def test_without_an_identity_there_is_no_adapter_and_a_sentence_says_why(params, change, words):
    with pytest.raises((ValueError, OSError), match=words):
        Cache({**params, **change})
    with Cache(params) as cache:
        assert cache.store(KEYS[:1])


def test_a_folder_without_weights_is_no_model(params, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "config.json").write_text("{}")
    with pytest.raises(ValueError, match="no weights"):
        Cache({**params, "model": str(tmp_path / "empty")})


def test_an_unknown_version_of_lmcache_is_named_and_shares_nothing(params, caplog, monkeypatch):
    from prefixstore.adapters import lmcache
    with Cache(params) as cache:
        assert cache.store(KEYS[:1])
    monkeypatch.setattr(lmcache.importlib.metadata, "version", lambda name: "0.9.9")
    with Cache(params) as cache:
        assert cache.lookup(KEYS[:1]) == [False]
    assert any("0.9.9" in record.message and "0.5.6" in record.message for record in caplog.records)


def test_no_call_raises_whatever_happens_to_the_store(params, caplog):
    cache = Cache(params)
    assert cache.store(KEYS[:1])
    cache.client._kept.store.close()
    assert not cache.store(KEYS[1:2])
    assert cache.lookup(KEYS[:1]) == [False] and cache.load(KEYS[:1]) == [False]
    assert any("was closed" in record.message for record in caplog.records)
    client = cache.client
    cache.close()
    client.close()
    assert client.submit_batch_exists(["model@0@0@" + "0" * 64]) > 0
    assert client.drain_completions()[-1][1] is False


def test_a_full_disk_is_said_once_and_its_chunks_are_not_taken_for_stored(params, caplog):
    with Cache(params) as cache:
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        # A file that may not grow is a full disk that needs no rights to make.
        resource.setrlimit(resource.RLIMIT_FSIZE, (64 << 10, limits[1]))
        try:
            assert [cache.store(KEYS[at : at + 8]) for at in (0, 8, 16)] == [False] * 3
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        assert cache.store(KEYS[:8]) and cache.load(KEYS[:8]) == [True] * 8
    said = [record.message for record in caplog.records if "could not write everything" in record.message]
    assert len(said) == 1 and "is full" in said[0]


def test_a_key_seals_the_chunks(params, tmp_path):
    key = tmp_path / "key"
    key.write_bytes(bytes(range(1, 33)))
    key.chmod(0o600)
    with Cache({**params, "key_file": str(key)}) as cache:
        assert cache.store(KEYS[:8])
    with Cache({**params, "key_file": str(key)}) as cache:
        assert cache.load(KEYS[:8]) == [True] * 8
    with pytest.raises(SealedSpaceError):
        Cache(params)


def test_submits_do_not_wait_and_all_jobs_are_reported_once(params):
    cache = Cache(params)
    client = cache.client
    # Without LMCache's thread, which would take the completions.
    cache.adapter._stop.set()
    cache.adapter._demux_thread.join()
    names = [f"model@00000000@0@{key.chunk_hash.hex()}" for key in KEYS]
    blocks = [memoryview(bytearray(os.urandom(4096))) for _ in KEYS]
    jobs = set()
    for _ in range(200):
        jobs.add(client.submit_batch_set(names, blocks))
        jobs.add(client.submit_batch_exists(names))
    seen = []
    while len(seen) < 400:
        seen += client.drain_completions()
    assert {job for job, _, _, _ in seen} == jobs and len(seen) == 400
    assert all(problem == "" for _, _, problem, _ in seen)
    client.close()
