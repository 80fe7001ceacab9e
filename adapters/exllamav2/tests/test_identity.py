"""Which generators share pages, and which are refused."""

from types import SimpleNamespace

import engines
import pytest
from support import BOTH, PROMPTS, V2, V3

from prefixstore.adapters import _exllama_pages as pages_of
from prefixstore.adapters.exllamav2 import PrefixCache, UnsupportedGeneratorError

PROMPT = PROMPTS[2]


def cached_of(engine, folder, settings=(), **options):
    with engine.with_store(folder, settings, **options) as (generator, prefix):
        explained = prefix.explain(PROMPT)
        return engine.reply(generator, PROMPT)[1], explained


@pytest.mark.parametrize("engine", BOTH, ids=str)
@pytest.mark.parametrize("settings, field", [
    ({"salt": b"0123456789abcdef"}, "salt"), ({"changes": "control vectors"}, "adapter"),
    ({"page_tokens": 32}, "page size"),
], ids=lambda value: value if isinstance(value, str) else "")
def test_another_option_is_a_miss_and_named(engine, settings, field, tmp_path):
    assert cached_of(engine, tmp_path)[0] == 0
    cached, explained = cached_of(engine, tmp_path, settings)
    assert cached == 0
    assert f"({field})" in explained
    assert cached_of(engine, tmp_path, settings)[0] == len(PROMPT) - 1
    assert cached_of(engine, tmp_path)[0] == len(PROMPT) - 1


@pytest.mark.parametrize("engine", BOTH, ids=str)
def test_other_weights_and_another_tokenizer_are_a_miss(engine, tmp_path):
    assert cached_of(engine, tmp_path)[0] == 0
    for name in ("model.safetensors", "tokenizer.json", "config.json"):
        path = tmp_path / "model" / name
        content = path.read_bytes()
        path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        assert cached_of(engine, tmp_path)[0] == 0, name
        path.write_bytes(content)
    assert cached_of(engine, tmp_path)[0] == len(PROMPT) - 1


@pytest.mark.parametrize("options", [
    {"rope": 20000.0}, {"cache": "ExLlamaV2Cache_Q8"}, {"draft_seed": 1}], ids=lambda options: next(iter(options)))
def test_another_rope_cache_or_draft_model_is_a_miss(options, tmp_path):
    assert cached_of(V2, tmp_path)[0] == 0
    assert cached_of(V2, tmp_path, **options)[0] == 0
    assert cached_of(V2, tmp_path)[0] == len(PROMPT) - 1


def test_caches_of_v3_with_other_bits_and_companding_are_a_miss(tmp_path):
    quantised = dict(cache="CacheLayer_quant")
    kinds = [dict(k_bits=8, v_bits=8), dict(k_bits=8, v_bits=6), dict(k_bits=8, v_bits=8, compand_a=1.0)]
    for bits in kinds:
        assert cached_of(V3, tmp_path, bits=bits, **quantised)[0] == 0, bits
    for bits in kinds:
        assert cached_of(V3, tmp_path, bits=bits, **quantised)[0] == len(PROMPT) - 1, bits


def test_the_size_of_the_cache_does_not_matter(tmp_path):
    for engine in BOTH:
        folder = tmp_path / str(engine)
        cached_of(engine, folder)
        assert cached_of(engine, folder, pages=8)[0] == len(PROMPT) - 1


def test_an_adapter_has_pages_of_its_own(tmp_path):
    file = tmp_path / "adapter_model.safetensors"
    file.write_bytes(b"weights")
    lora = SimpleNamespace(lora_path=str(file), lora_scaling=0.5)
    generator = V2.generator(tmp_path)
    generator.set_loras(lora)
    adapted = V2.reply(generator, PROMPT)[0]
    own = V2.own_replies(tmp_path, [PROMPT])[0]
    assert adapted != own
    for turn in range(2):
        with V2.with_store(tmp_path) as (generator, _):
            # The engine itself would take the pages of before for its own hits.
            for loras, expected in ((None, own), (lora, adapted), (None, own)):
                generator.set_loras(loras)
                reply, cached = V2.reply(generator, PROMPT)
                assert reply == expected
                if turn == 1:
                    assert cached == len(PROMPT) - 1


def test_pages_from_before_the_cache_are_not_stored_and_a_generator_with_jobs_is_refused(tmp_path):
    file = tmp_path / "adapter_model.safetensors"
    file.write_bytes(b"weights")
    generator = V2.generator(tmp_path)
    generator.set_loras(SimpleNamespace(lora_path=str(file), lora_scaling=0.5))
    V2.reply(generator, PROMPT)
    generator.set_loras(None)
    prefix = PrefixCache(generator, tmp_path / "kv")
    own = V2.own_replies(tmp_path, [PROMPT])
    assert [V2.reply(generator, PROMPT)[0]] == own
    prefix.close()
    generator.enqueue(V2.job(PROMPT, 5))
    refuse(generator, tmp_path, "had jobs")


def test_another_scale_of_an_adapter_is_a_miss(tmp_path):
    file = tmp_path / "adapter_model.safetensors"
    file.write_bytes(b"weights")
    with V2.with_store(tmp_path) as (generator, _):
        for scaling in (0.5, 1.0):
            generator.set_loras(SimpleNamespace(lora_path=str(file), lora_scaling=scaling))
            assert V2.reply(generator, PROMPT)[1] == 0


def test_an_adapter_without_a_file_is_a_reason_to_compute(tmp_path):
    with V2.with_store(tmp_path) as (generator, _):
        generator.set_loras(SimpleNamespace(lora_path=str(tmp_path / "gone"), lora_scaling=0.5))
        with pytest.warns(UserWarning, match="steps aside: the new adapters"):
            V2.reply(generator, PROMPT)
    with V2.with_store(tmp_path) as (generator, _):
        assert V2.reply(generator, PROMPT)[1] == 0


def test_adapters_of_v3_are_seen_in_its_layers_and_end_the_cache(tmp_path):
    with V3.with_store(tmp_path) as (generator, prefix):
        generator.model.modules[0].modules = [SimpleNamespace(lora_a_tensors={"one": object()})]
        with pytest.warns(UserWarning, match="steps aside"):
            V3.reply(generator, PROMPT)
        del generator.model.modules[0].modules
        # Pages of the adapter are in the engine's table: it stays aside.
        V3.reply(generator, PROMPT)
        assert "LoRA" in prefix.steps_aside
    assert cached_of(V3, tmp_path)[0] == 0


def refuse(generator, folder, word):
    with pytest.raises(UnsupportedGeneratorError, match=word):
        PrefixCache(generator, folder / "refused")


def test_what_is_refused(tmp_path):
    generator = V2.generator(tmp_path)
    generator.paged = False
    refuse(generator, tmp_path, "paged")
    generator = V2.generator(tmp_path)
    generator.cache.__class__ = type("ExLlamaV2Cache_TP", (type(generator.cache),), {})
    refuse(generator, tmp_path, "ExLlamaV2Cache_TP")
    generator = V2.generator(tmp_path)
    generator.model.config.model_dir = None
    refuse(generator, tmp_path, "no folder")
    generator = V3.generator(tmp_path)
    generator.recurrent_cache = object()
    refuse(generator, tmp_path, "recurrent")
    generator = V3.generator(tmp_path)
    generator.model.loaded_tp = True
    refuse(generator, tmp_path, "split")
    (tmp_path / "model" / "model.safetensors").unlink()
    refuse(V2.generator(tmp_path), tmp_path, "no .safetensors")


def test_a_version_that_names_pages_in_another_way_is_computed(tmp_path, monkeypatch):
    with V2.with_store(tmp_path) as (generator, _):
        V2.reply(generator, PROMPT)
    monkeypatch.setattr(pages_of, "name_of", lambda previous, ids: b"x" * 16)
    with V2.with_store(tmp_path) as (generator, prefix):
        with pytest.warns(UserWarning, match="names pages in another way"):
            assert V2.reply(generator, PROMPT)[1] == 0
        assert engines.serve(generator, [V2.job(PROMPT, 3)])
