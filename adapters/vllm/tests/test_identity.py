"""Engines that differ never share KV; an engine that cannot be told from another runs without a store."""

import copy
from types import SimpleNamespace

import pytest
import vllm
from contract import BLOCK, Engine, engine_config, lora, secret
from vllm.config import LoRAConfig

from prefixstore import InvalidIdentityError, InvalidKeyError, InvalidOptionError
from prefixstore.adapters import _vllm_identity

TOKENS = list(range(4 * BLOCK + 1))


def serve(folder, **options):
    engine = Engine(folder, **options)
    try:
        loaded, rows = engine.prefill(TOKENS)
        assert rows == engine.compute(TOKENS, 0)
        if engine.tier.store is not None:
            engine.tier.store.flush()
        return loaded
    finally:
        engine.stop()


def changed(part, **fields):
    """vLLM's configuration with other values in one part of it."""
    config = copy.copy(engine_config("llama"))
    if part is not None:
        setattr(config, part, copy.copy(getattr(config, part)))
    for name, value in fields.items():
        setattr(config if part is None else getattr(config, part), name, value)
    return config


@pytest.mark.parametrize("field, options", [
    ("weights", lambda folder: {"model": "llama-other"}),
    ("weights", lambda folder: {"config": changed("model_config", quantization="fp8")}),
    ("layout", lambda folder: {"dtype": "float16"}),
    ("positions", lambda folder: {"config": changed("model_config", max_model_len=2048)}),
    ("engine", lambda folder: {"config": changed("model_config", dtype="float32")}),
    ("engine", lambda folder: {"config": changed("cache_config", prefix_caching_hash_algo="sha256_cbor")}),
    ("engine", lambda folder: {"config": changed("attention_config", flash_attn_version=3)}),
    ("shard", lambda folder: {"workers": 2}),
    ("adapter", lambda folder: {"adapters": [lora(folder / "lora", "a lora")]}),
    ("salt", lambda folder: {"salt_file": secret(folder / "salt")}),
])
def test_what_differs_is_a_miss_and_a_sentence_says_what(tmp_path, log, field, options):
    assert [serve(tmp_path / "kv") for _ in range(2)] == [0, 4 * BLOCK]
    assert not any("What is stored differs" in text for text in log)
    assert [serve(tmp_path / "kv", **options(tmp_path)) for _ in range(2)] == [0, 4 * BLOCK]
    (text,) = (text for text in log if "What is stored differs" in text)
    assert text.startswith("PrefixStore has nothing of a prompt. What is stored differs in ") and f"({field})" in text
    assert serve(tmp_path / "kv") == 4 * BLOCK


def test_another_processor_is_a_miss(tmp_path, monkeypatch, log):
    serve(tmp_path / "kv")
    able = _vllm_identity.torch.cpu.get_capabilities()
    monkeypatch.setattr(
        _vllm_identity.torch.cpu, "get_capabilities", lambda: {**able, "amx_tile": not able["amx_tile"]})
    assert serve(tmp_path / "kv") == 0
    assert any("(engine)" in text for text in log)


def test_a_lora_whose_files_were_trained_on_is_a_miss(tmp_path):
    for name, loaded in (("before", 0), ("before", 4 * BLOCK), ("after", 0)):
        assert serve(tmp_path / "kv", adapters=[lora(tmp_path / "lora", name)]) == loaded


class TestOff:
    """The engine runs, every prompt is computed, and one line says why and what to do."""

    def assert_off(self, tmp_path, log, *words, **options):
        assert [serve(tmp_path / "kv", **options) for _ in range(2)] == [0, 0]
        lines = [text for text in log if text.startswith("PrefixStore is off, and every prompt is computed: ")]
        assert len(lines) == 2 and all(word in lines[0] for word in words), lines

    def test_an_unknown_version_of_vllm(self, tmp_path, log, monkeypatch):
        monkeypatch.setattr(vllm, "__version__", "0.99.1")
        self.assert_off(tmp_path, log, "tested with vLLM 0.32.x, and this is 0.99.1", '"accept_version": "0.99.1"')

    def test_an_unknown_version_that_was_accepted_is_on(self, tmp_path, monkeypatch):
        monkeypatch.setattr(vllm, "__version__", "0.99.1")
        assert [serve(tmp_path / "kv", accept_version="0.99.1") for _ in range(2)] == [0, 4 * BLOCK]

    def test_vllms_own_connector_which_tells_nothing_of_weights(self, tmp_path, log, monkeypatch):
        monkeypatch.setattr("prefixstore.adapters.vllm.get_current_vllm_config_or_none", lambda: None)
        self.assert_off(tmp_path, log, '"kv_connector"', "PrefixStoreConnector")

    @pytest.mark.parametrize("part, fields, words", [
        ("model_config", {
            "trust_remote_code": True, "hf_config": SimpleNamespace(auto_map={"AutoModel": "another/place--model.Model"}),
        }, ["another repository"]),
        ("load_config", {"load_format": "dummy"}, ["'dummy'", "safetensors"]),
        ("cache_config", {"prefix_caching_hash_algo": "xxhash"}, ["'xxhash'", "--prefix-caching-hash-algo sha256"]),
        ("model_config", {"model": "an-owner/a-model-that-is-nowhere"}, ["an-owner/a-model-that-is-nowhere", "folder"]),
        (None, {"weight_transfer_config": SimpleNamespace()}, ["weights change"]),
        (None, {"speculative_config": SimpleNamespace(method="eagle")}, ["'eagle'", "ngram"]),
        (None, {"lora_config": LoRAConfig(max_lora_rank=8)}, ["LoRA", '"adapters"']),
    ])
    def test_an_engine_that_cannot_be_named(self, tmp_path, log, part, fields, words):
        self.assert_off(tmp_path, log, *words, config=changed(part, **fields))

    def test_a_folder_without_weights(self, tmp_path, log):
        (tmp_path / "model").mkdir()
        self.assert_off(tmp_path, log, "no weights", config=changed("model_config", model=str(tmp_path / "model")))

    def test_lora_folders_that_are_missing(self, tmp_path, log):
        self.assert_off(tmp_path, log, "no-such-lora", adapters=[str(tmp_path / "no-such-lora")])

    def test_a_salt_file_that_is_missing(self, tmp_path, log):
        self.assert_off(tmp_path, log, "no-such-salt", salt_file=str(tmp_path / "no-such-salt"))

    def test_a_sealed_store_without_its_key(self, tmp_path, log):
        key = tmp_path / "key"
        key.write_bytes(bytes(range(1, 33)))
        key.chmod(0o600)
        assert [serve(tmp_path / "kv", key_file=str(key)) for _ in range(2)] == [0, 4 * BLOCK]
        log.clear()
        self.assert_off(tmp_path, log, "is sealed, and its key was not given")

    def test_a_version_that_was_accepted_and_lacks_a_setting(self, tmp_path, log):
        self.assert_off(tmp_path, log, "hf_config", config=SimpleNamespace(**{
            **vars(engine_config("llama")), "model_config": None, "use_v2_model_runner": False}))

    def test_a_folder_that_cannot_be_a_store(self, tmp_path, log):
        (tmp_path / "kv").write_text("a file")
        self.assert_off(tmp_path, log, "kv")


@pytest.mark.parametrize("options, error", [
    ({"quota": 1}, InvalidOptionError), ({"salt_file": "short"}, InvalidIdentityError),
    ({"key_file": "no-such-key"}, InvalidKeyError), ({"adapters": "a folder"}, TypeError), ({"no_such_option": 1}, TypeError),
])
def test_wrong_options_end_the_start(tmp_path, monkeypatch, options, error):
    monkeypatch.chdir(tmp_path)
    secret("short", "too short")
    with pytest.raises(error):
        Engine(tmp_path / "kv", **options)
