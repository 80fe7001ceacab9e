"""On SGLang's own host pool, pages come back to the byte in every layout, and never another one's."""

import hashlib
import json
import resource
import threading
from pathlib import Path

import pytest
import torch
from pool import attach, host_pool, options, page, places, storage_config

from prefixstore import SealedSpaceError
from prefixstore.adapters import _sglang_context, sglang
from prefixstore.testing import damage

LAYOUTS = ["layer_first", "page_first", "page_first_direct", "page_head"]
KEYS = [hashlib.sha256(f"page {at}".encode()).hexdigest() for at in range(12)]


def make_model(folder, name, seed=1, **configuration):
    """A folder as transformers saves it: only its bytes count here."""
    path = Path(folder) / name
    path.mkdir()
    (path / "config.json").write_text(json.dumps({"model_type": "llama", "rope_theta": 10000.0, **configuration}))
    (path / "tokenizer.json").write_text("{}")
    (path / "model.safetensors").write_bytes(hashlib.shake_128(f"weights {seed}".encode()).digest(4096))
    return str(path)


@pytest.fixture
def given(tmp_path, monkeypatch):
    """The object `prefixstore` of the extra configuration."""
    model = make_model(tmp_path, "model")
    with_options(monkeypatch)
    return {"folder": str(tmp_path / "kv"), "model": model}


def with_options(monkeypatch, **changes):
    monkeypatch.setattr(sglang, "options_of_engine", lambda: options(**changes))


def store(given, pool, **config):
    storage = attach(storage_config(given, **config), pool)
    assert storage.batch_set_v1(KEYS, places(pool, 0, 12)) == [True] * 12
    return storage


def reopened(given, pool, **config):
    """A storage on an empty pool of the same kind, whose pages from 12 on take what is loaded."""
    pool.kv_buffer.zero_()
    return attach(storage_config(given, **config), pool)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("page_tokens", [1, 16])
def test_pages_come_back_to_the_byte(given, layout, page_tokens):
    pool = host_pool(page_tokens, layout)
    right = [page(pool, at) for at in range(12)]
    store(given, pool).close()
    storage = reopened(given, pool)
    assert storage.batch_exists(KEYS) == 12
    assert storage.batch_exists([*KEYS[:5], "0" * 64, *KEYS[5:]]) == 5
    # To other places than they came from.
    assert storage.batch_get_v1(KEYS, places(pool, 12, 12)) == [True] * 12
    assert all(torch.equal(page(pool, 12 + at), right[at]) for at in range(12))
    assert not any(page(pool, at).any() for at in range(12))
    storage.close()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.float8_e4m3fn])
def test_numbers_of_every_type_come_back(given, dtype):
    pool = host_pool(dtype=dtype)
    right = [page(pool, at) for at in range(12)]
    store(given, pool).close()
    storage = reopened(given, pool)
    assert storage.batch_get_v1(KEYS, places(pool, 0, 12)) == [True] * 12
    assert all(torch.equal(page(pool, at), right[at]) for at in range(12))
    storage.close()


def test_the_older_calls_keep_pages_too_and_apart(given):
    pool = host_pool(layout="layer_first")
    right = [page(pool, at) for at in range(12)]
    storage = attach(storage_config(given, interface=0), pool)
    assert storage.batch_set(KEYS[:8], [pool.get_data_page(at * pool.page_size) for at in range(8)])
    assert storage.set(KEYS[8], pool.get_data_page(8 * pool.page_size))
    storage.close()
    storage = reopened(given, pool, interface=0)
    assert storage.batch_exists(KEYS) == 9 and storage.exists(KEYS[0]) and not storage.exists(KEYS[9])
    targets = [pool.get_dummy_flat_data_page() for _ in KEYS]
    came = storage.batch_get(KEYS, targets)
    assert [found is not None for found in came] == [True] * 9 + [False] * 3
    assert all(torch.equal(found.view(torch.uint8), right[at]) for at, found in enumerate(came[:9]))
    assert torch.equal(storage.get(KEYS[2]).view(torch.uint8), right[2]) and storage.get(KEYS[9]) is None
    # These calls have another order of bytes within a page of the same size.
    assert storage.batch_get_v1(KEYS[:2], places(pool, 0, 2)) == [False, False]
    storage.close()


def test_damaged_pages_are_a_miss(given):
    # Of 16 KiB each, which are records of their own; damage to smaller ones could hit the tree of the file.
    pool = host_pool(page=16, heads=4)
    store(given, pool).close()
    assert damage(given["folder"]) == 12
    storage = reopened(given, pool)
    assert storage.batch_get_v1(KEYS, places(pool, 0, 12)) == [False] * 12
    storage.close()


def test_ranks_have_pages_of_their_own_and_ranks_of_a_latent_attention_share_them(given, tmp_path):
    pool = host_pool()
    store(given, pool, tp_rank=0, tp_size=2).close()
    for field in ({"tp_rank": 1, "tp_size": 2}, {"tp_rank": 0, "tp_size": 4}, {"pp_rank": 1, "pp_size": 2}):
        storage = attach(storage_config(given, **field), pool)
        assert storage.batch_exists(KEYS) == 0 and "(shard)" in storage.explain()
        storage.close()
    store(given, pool, tp_rank=0, tp_size=2, is_mla_model=True).close()
    storage = attach(storage_config(given, tp_rank=1, tp_size=2, is_mla_model=True), pool)
    assert storage.batch_exists(KEYS) == 12
    storage.close()


@pytest.mark.parametrize("field, pool_change, given_change, option_change", [
    ("weights", {}, {"model": "other"}, {}),
    ("positions", {}, {"model": "longer"}, {}),
    ("layout", {"dtype": torch.float16}, {}, {}),
    ("layout", {"heads": 4}, {}, {}),
    ("page size", {"page": 32}, {}, {}),
    ("engine", {"layout": "page_head"}, {}, {}),
    ("engine", {}, {}, {"attention_backend": "triton"}),
    ("engine", {}, {}, {"json_model_override_args": '{"rope_theta": 5}'}),
    ("adapter", {}, {"adapter": "a LoRA, version 2"}, {"enable_lora": True}),
    ("salt", {}, {"salt_file": "salt"}, {}),
])
def test_what_differs_is_a_miss_and_the_log_says_what(
    given, tmp_path, monkeypatch, caplog, field, pool_change, given_change, option_change
):
    store(given, host_pool()).close()
    others = {"salt": str(tmp_path / "salt")}
    (tmp_path / "salt").write_bytes(b"a tenant's secret")
    others["other"] = make_model(tmp_path, "other", seed=2)
    others["longer"] = make_model(tmp_path, "longer", rope_theta=500000.0)
    with_options(monkeypatch, **option_change)
    changed = {**given, **{name: others.get(value, value) for name, value in given_change.items()}}
    pool = host_pool(**pool_change)
    storage = attach(storage_config(changed), pool)
    assert storage.batch_exists(KEYS) == 0
    assert storage.batch_get_v1(KEYS[:1], places(pool, 0, 1)) == [False]
    said = [record.message for record in caplog.records if record.name == "prefixstore.adapters.sglang"]
    missed = [text for text in said if "has none of" in text]
    assert len(missed) == 1 and f"({field})" in missed[0]
    print(missed[0])
    storage.close()


@pytest.mark.parametrize("change, option, words", [
    ({"folder": ""}, {}, "folder of the store"), ({"model": ""}, {}, "digest"), ({"model": "nowhere"}, {}, "not a folder"),
    ({"weights": "x"}, {}, "Known are"), ({}, {"load_format": "dummy"}, "dummy"), ({}, {"enable_lora": True}, "LoRA"),
    ({}, {"lora_paths": ["x"]}, "LoRA"), ({}, {"model_path": "/"}, "that it runs"),
])
def test_without_an_identity_there_is_no_storage_and_a_sentence_says_why(given, monkeypatch, change, option, words):
    with_options(monkeypatch, **option)
    with pytest.raises(ValueError, match=words):
        attach(storage_config({**given, **change}), host_pool())
    assert not Path(given["folder"]).exists()


def test_without_the_options_of_the_engine_there_is_no_storage(given, monkeypatch):
    # This process runs no engine, so they cannot be read.
    monkeypatch.setattr(sglang, "options_of_engine", _sglang_context.options_of_engine)
    with pytest.raises(ValueError, match="cannot be read"):
        attach(storage_config(given), host_pool())


def test_a_configuration_without_the_object_is_refused(given):
    with pytest.raises(ValueError, match='no object "prefixstore"'):
        attach(storage_config(None), host_pool())


def test_other_pools_and_layouts_are_refused(given):
    pool = host_pool()
    storage = attach(storage_config(given), pool)
    with pytest.raises(ValueError, match="mamba"):
        storage.register_mem_host_pool_v2(pool, "mamba")
    storage.close()
    pool.layout = "page_unified"
    with pytest.raises(ValueError, match="--hicache-mem-layout"):
        storage.register_mem_pool_host(pool)
    with pytest.raises(ValueError, match="SimpleNamespace"):
        storage.register_mem_pool_host(options())


def test_an_unknown_version_of_sglang_is_named_and_shares_nothing(given, monkeypatch, caplog):
    pool = host_pool()
    store(given, pool).close()
    monkeypatch.setattr(sglang.engine, "__version__", "0.9.9")
    storage = attach(storage_config(given), pool)
    assert storage.batch_exists(KEYS) == 0
    assert any("0.9.9" in record.message and "0.5.23" in record.message for record in caplog.records)
    storage.close()


def test_small_pages_are_stored_together_and_large_ones_alone(given, tmp_path):
    store(given, host_pool()).close()  # 8 KiB each
    assert damage(given["folder"]) == 2  # their bytes, and their list
    given["folder"] = str(tmp_path / "large")
    store(given, host_pool(heads=4)).close()
    assert damage(given["folder"]) == 12


def test_no_call_raises_whatever_is_given_or_happens(given, caplog):
    pool = host_pool()
    storage = store(given, pool)
    assert storage.batch_get_v1([], places(pool, 0, 0)) == [] == storage.batch_set_v1([], places(pool, 0, 0))
    assert not any("could not serve" in record.message for record in caplog.records)
    assert storage.batch_get_v1(KEYS, places(pool, 0, 3)) == [False] * 12
    # As many pieces as pages, each half a page.
    assert storage.batch_set_v1(["f" * 64, "e" * 64], places(pool, 0, 1)) == [False] * 2
    assert storage.batch_set_v1(KEYS, None) == [False] * 12
    assert storage.batch_set(KEYS, [None] * 12) is False
    assert storage.batch_exists_v2(KEYS, [object()]).kv_hit_pages == 0
    storage._kept.store.close()
    assert storage.batch_exists(KEYS) == 0
    assert storage.batch_set_v1(KEYS, places(pool, 0, 12)) == [False] * 12
    storage.close()
    storage.close()
    assert storage.batch_exists(KEYS) == 0 and storage.get(KEYS[0]) is None
    assert any("was closed" in record.message for record in caplog.records)


def test_a_full_disk_is_said_once(given, caplog):
    pool = host_pool()
    storage = attach(storage_config(given), pool)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    # A file that may not grow is a full disk that needs no rights to make.
    resource.setrlimit(resource.RLIMIT_FSIZE, (64 << 10, limits[1]))
    try:
        assert storage.batch_set_v1(KEYS, places(pool, 0, 12)) == [True] * 12
        storage.close()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    said = [record.message for record in caplog.records if "could not write everything" in record.message]
    assert len(said) == 1 and "is full" in said[0]


def test_a_key_seals_the_pages(given, tmp_path):
    key = tmp_path / "key"
    key.write_bytes(bytes(range(1, 33)))
    key.chmod(0o600)
    pool = host_pool()
    store({**given, "key_file": str(key)}, pool).close()
    storage = reopened({**given, "key_file": str(key)}, pool)
    assert storage.batch_exists(KEYS) == 12
    storage.close()
    with pytest.raises(SealedSpaceError):
        attach(storage_config(given), pool)


def test_threads_set_get_and_look_up_at_once(given):
    pool = host_pool()
    right = [page(pool, at) for at in range(12)]
    storage = store(given, pool)
    storage._blocks.flush()
    wrong = []

    def work(thread):
        for turn in range(30):
            at = 12 + thread
            key = (thread + turn) % 12
            if storage.batch_get_v1([KEYS[key]], places(pool, at, 1)) != [True]:
                wrong.append("a miss")
            elif not torch.equal(page(pool, at), right[key]):
                wrong.append("other bytes")
            storage.batch_set_v1([KEYS[key]], places(pool, key, 1))
            if storage.batch_exists(KEYS) != 12:
                wrong.append("not found")

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    storage.close()


def test_a_quota_holds_and_what_is_left_is_right(given):
    given["quota"] = 4 << 20
    pool = host_pool(page=16, heads=4)
    storage = attach(storage_config(given), pool)
    many = [hashlib.sha256(f"many {at}".encode()).hexdigest() for at in range(640)]
    for begin in range(0, 640, 32):
        pool.kv_buffer.copy_(torch.randn(pool.kv_buffer.shape))
        assert all(storage.batch_set_v1(many[begin : begin + 32], places(pool, 0, 32)))
        storage._blocks.flush()
    right = [page(pool, at) for at in range(32)]
    found = [storage.exists(key) for key in many]
    # Random bfloat16 becomes two thirds of its size on disk.
    assert 100 < sum(found) < 400 and all(found[-10:])
    pool.kv_buffer.zero_()
    for at, came in enumerate(storage.batch_get_v1(many[-32:], places(pool, 0, 32))):
        assert not came or torch.equal(page(pool, at), right[at])
    storage.close()
