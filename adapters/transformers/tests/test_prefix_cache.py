"""What a program on transformers may rely on when it uses PrefixCache, and what is refused."""

import copy
import resource

import pytest
import torch
from peft import LoraConfig, get_peft_model
from support import DOCUMENT, load, prefill, tokens_of
from transformers import AutoModelForCausalLM, DynamicCache, GPT2Config, StaticCache

from prefixstore import SealedSpaceError
from prefixstore.adapters.transformers import PrefixCache, UnsupportedModelError

LORA = LoraConfig(r=4, target_modules=["k_proj", "v_proj"], init_lora_weights=False)


@pytest.fixture
def engine(tmp_path):
    model, tokenizer = load("llama")
    with PrefixCache(model, tokenizer, tmp_path, quota=64 << 20) as prefix:
        yield model, tokenizer, prefix


@pytest.fixture
def prompt(engine):
    return tokens_of(engine[1], DOCUMENT)


def test_keys_and_values_come_back_byte_by_byte(engine, prompt):
    model, _, prefix = engine
    _, computed = prefill(model, prefix, prompt)
    restored, count = prefix.restore(prompt)
    assert count == prompt.shape[1] - 1 == restored.get_seq_length()
    for layer, was in zip(restored.layers, computed.layers):
        assert torch.equal(layer.keys, was.keys[:, :, :count]) and torch.equal(layer.values, was.values[:, :, :count])


def test_with_a_hot_tier_a_prompt_is_found_at_once(tmp_path):
    model, tokenizer = load("llama")
    tokens = tokens_of(tokenizer, DOCUMENT)
    with PrefixCache(model, tokenizer, tmp_path, hot_capacity=64 << 20) as prefix:
        for wanted in (0, tokens.shape[1] - 1):
            prefix.generate(tokens, max_new_tokens=1)
            assert prefix.restored_tokens == wanted


def test_a_prompt_of_one_token_is_computed(engine, prompt):
    model, _, prefix = engine
    prefill(model, prefix, prompt)
    cache, count = prefix.restore(prompt[:, :1])
    assert (count, cache.get_seq_length()) == (0, 0)


def test_a_list_and_arrays_are_prompts_too(engine, prompt):
    model, _, prefix = engine
    prefill(model, prefix, prompt)
    for same in (prompt[0], prompt[0].tolist(), prompt.numpy(), prompt.to(torch.int32)):
        assert prefix.restore(same)[1] == prompt.shape[1] - 1


def test_a_cache_that_ends_before_the_prompt_is_stored_to_its_end(engine, prompt):
    model, _, prefix = engine
    cache = DynamicCache(config=model.config)
    with torch.no_grad():
        model(prompt[:, :100], past_key_values=cache)
    assert prefix.store(prompt, cache) == 100
    prefix.flush()
    assert prefix.restore(prompt)[1] == 100


def test_a_prompt_with_the_pad_token_continues_as_without_a_store(engine, prompt):
    model, tokenizer, prefix = engine
    prompt[0, 5] = tokenizer.pad_token_id
    plain = model.generate(prompt, attention_mask=torch.ones_like(prompt), max_new_tokens=8, do_sample=False)
    for _ in range(2):
        assert torch.equal(prefix.generate(prompt, max_new_tokens=8, do_sample=False), plain)
        prefix.flush()
    assert prefix.restored_tokens == prompt.shape[1] - 1


def test_replies_are_stored_up_to_the_last_token_which_has_no_keys_yet(engine, prompt):
    prefix = engine[2]
    reply = prefix.generate(prompt, max_new_tokens=20, do_sample=False)
    assert reply.shape[1] > prompt.shape[1] + 1
    prefix.flush()
    longer = torch.cat([reply, reply[:, :5]], dim=1)
    assert prefix.restore(longer)[1] == reply.shape[1] - 1


def test_generate_returns_what_the_model_returns(engine, prompt):
    reply = engine[2].generate(prompt, max_new_tokens=2, return_dict_in_generate=True, output_scores=True)
    assert len(reply.scores) == 2


def test_one_store_serves_two_models(engine, prompt, tmp_path):
    model, tokenizer, prefix = engine
    prefill(model, prefix, prompt)
    other, _ = load("llama-other")
    with PrefixCache(other, tokenizer, prefix.opened) as second:
        assert prefill(other, second, prompt)[0] == 0
        assert prefill(other, second, prompt)[0] == prompt.shape[1] - 1
    assert prefix.restore(prompt)[1] == prompt.shape[1] - 1


class TestAModelThatChanges:
    def assert_a_miss(self, engine, prompt, change, undo, field):
        model, _, prefix = engine
        prefill(model, prefix, prompt)
        change(model)
        assert prefix.restore(prompt)[1] == 0
        assert f"({field})" in prefix.explain(prompt)
        assert prefill(model, prefix, prompt)[0] == 0
        undo(model)
        assert prefix.restore(prompt)[1] == prompt.shape[1] - 1

    def test_a_weight_that_was_changed_is_a_miss(self, engine, prompt):
        def add(number):
            def change(model):
                with torch.no_grad():
                    model.model.layers[1].self_attn.k_proj.weight[0, 0] += number
            return change

        # A power of two, larger than the weight: it comes back exactly.
        weight = engine[0].model.layers[1].self_attn.k_proj.weight
        with torch.no_grad():
            weight[0, 0] = 0.25
        self.assert_a_miss(engine, prompt, add(0.5), add(-0.5), "weights")

    def test_an_adapter_is_a_miss(self, engine, prompt):
        self.assert_a_miss(
            engine, prompt, lambda model: model.add_adapter(LORA), lambda model: model.delete_adapter("default"),
            "adapter")

    def test_another_strength_of_an_adapter_is_a_miss(self, engine, prompt):
        engine[0].add_adapter(LORA)

        def scale(factor):
            def change(model):
                for module in model.modules():
                    if hasattr(module, "lora_A"):
                        module.scaling["default"] *= factor
            return change

        self.assert_a_miss(engine, prompt, scale(2), scale(0.5), "adapter")

    def test_an_adapter_that_is_switched_off_is_a_miss(self, engine, prompt):
        engine[0].add_adapter(LORA)
        self.assert_a_miss(
            engine, prompt, lambda model: model.disable_adapters(), lambda model: model.enable_adapters(), "adapter")

    def test_another_attention_is_a_miss(self, engine, prompt):
        self.assert_a_miss(
            engine, prompt, lambda model: model.set_attn_implementation("eager"),
            lambda model: model.set_attn_implementation("sdpa"), "engine")

    def test_autocast_is_a_miss(self, engine, prompt):
        model, _, prefix = engine
        prefill(model, prefix, prompt)
        with torch.autocast("cpu", torch.bfloat16):
            assert prefix.restore(prompt)[1] == 0


def test_other_rope_is_a_miss(engine, prompt, tmp_path):
    model, tokenizer, prefix = engine
    prefill(model, prefix, prompt)
    config = copy.deepcopy(model.config)
    config.rope_parameters["rope_theta"] = 500_000.0
    other = type(model)(config).eval()
    other.load_state_dict(model.state_dict())
    with PrefixCache(other, tokenizer, prefix.opened) as second:
        assert second.restore(prompt)[1] == 0
        assert "differs in the RoPE settings (positions)." in second.explain(prompt)


def test_a_call_of_the_tokenizer_does_not_change_it(engine, prompt):
    model, tokenizer, prefix = engine
    prefill(model, prefix, prompt)
    tokenizer(["a", "bcd"], padding=True, truncation=True, max_length=2)
    with PrefixCache(model, tokenizer, prefix.opened) as second:
        assert second.restore(prompt)[1] == prompt.shape[1] - 1
    with PrefixCache(model, None, prefix.opened) as third:
        assert third.restore(prompt)[1] == 0


def test_what_a_call_of_the_tokenizer_returns_is_a_prompt(engine, prompt):
    model, tokenizer, prefix = engine
    prefill(model, prefix, prompt)
    for called in (tokenizer(DOCUMENT, return_tensors="pt"), tokenizer(DOCUMENT, return_tensors="np"), tokenizer(DOCUMENT)):
        reply = prefix.generate(called, max_new_tokens=1, do_sample=False)
        assert prefix.restored_tokens == prompt.shape[1] - 1
        assert torch.equal(reply, model.generate(prompt, max_new_tokens=1, do_sample=False))
        assert prefix.restore(called)[1] == prompt.shape[1] - 1 and "are stored" in prefix.explain(called)


def test_a_key_seals_what_is_stored(tmp_path):
    key = tmp_path / "key"
    key.write_bytes(bytes(range(1, 33)))
    key.chmod(0o600)
    model, tokenizer = load("llama")
    prompt = tokens_of(tokenizer, DOCUMENT)
    for wanted in (0, prompt.shape[1] - 1):
        with PrefixCache(model, tokenizer, tmp_path / "kv", key_file=key) as prefix:
            assert prefill(model, prefix, prompt)[0] == wanted
    with pytest.raises(SealedSpaceError):
        PrefixCache(model, tokenizer, tmp_path / "kv")


def test_a_full_disk_costs_a_warning_and_no_reply(tmp_path):
    model, tokenizer = load("llama")
    prompt = tokens_of(tokenizer, DOCUMENT)
    prefix = PrefixCache(model, tokenizer, tmp_path, quota=64 << 20)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    # A file that may not grow is a full disk that needs no rights to make.
    resource.setrlimit(resource.RLIMIT_FSIZE, (64 << 10, limits[1]))
    try:
        with pytest.warns(UserWarning, match="PrefixStore could not write everything.* is full"):
            assert prefix.generate(prompt, max_new_tokens=1).shape[1] == prompt.shape[1] + 1
            prefix.close()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


class TestRefused:
    @pytest.mark.parametrize("wrong, error, words", [
        ([], ValueError, "has no token"), (torch.empty(1, 0), ValueError, "has no token"),
        ("where are the maps", TypeError, r"is a text. Give .* tokenizer\(text\)"),
        ({"ids": [1, 2]}, TypeError, "without input_ids"),
    ])
    def test_what_is_no_prompt(self, engine, wrong, error, words):
        for call in (engine[2].generate, engine[2].restore, engine[2].explain):
            with pytest.raises(error, match=words):
                call(wrong)

    def test_an_empty_text_has_no_token(self, engine):
        called = engine[1]("", add_special_tokens=False, return_tensors="pt")
        with pytest.raises(ValueError, match="has no token. Give one at least"):
            engine[2].generate(called)

    @pytest.mark.parametrize("wrong, words", [("model", "is a name, 'model'"), (7, "is a int")])
    def test_what_is_no_tokenizer(self, tmp_path, wrong, words):
        with pytest.raises(TypeError, match=f"The tokenizer {words}.* Give"):
            PrefixCache(load("llama")[0], wrong, tmp_path)

    def test_layers_that_forget_tokens_by_name(self, tmp_path):
        model, tokenizer = load("mistral-windowed")
        with pytest.raises(UnsupportedModelError, match="DynamicSlidingWindowLayer"):
            PrefixCache(model, tokenizer, tmp_path)

    def test_another_family_by_name(self, tmp_path):
        model = AutoModelForCausalLM.from_config(GPT2Config(n_layer=1, n_head=2, n_embd=32, vocab_size=300)).eval()
        with pytest.raises(UnsupportedModelError, match="'gpt2'"):
            PrefixCache(model, None, tmp_path)

    def test_a_peft_model_with_the_remedy(self, tmp_path):
        model, tokenizer = load("llama")
        wrapped = get_peft_model(model, LORA)
        with pytest.raises(UnsupportedModelError, match="get_base_model"):
            PrefixCache(wrapped, tokenizer, tmp_path)
        PrefixCache(wrapped.get_base_model(), tokenizer, tmp_path).close()

    def test_tensors_that_are_not_on_the_cpu_by_name(self, tmp_path):
        model, tokenizer = load("llama")
        model.model.layers[0].to("meta")
        with pytest.raises(UnsupportedModelError, match="layers.0.*device meta"):
            PrefixCache(model, tokenizer, tmp_path)

    def test_rope_that_grows_with_the_prompt(self, tmp_path):
        model, tokenizer = load("llama")
        model.config.rope_parameters["rope_type"] = "dynamic"
        with pytest.raises(UnsupportedModelError, match="'dynamic'"):
            PrefixCache(model, tokenizer, tmp_path)

    def test_a_model_in_training(self, engine, prompt):
        engine[0].train()
        with pytest.raises(UnsupportedModelError, match=r"eval\(\)"):
            engine[2].restore(prompt)

    @pytest.mark.parametrize("options", [
        {"num_beams": 2}, {"num_return_sequences": 2, "do_sample": True}, {"use_cache": False},
        {"prompt_lookup_num_tokens": 3}, {"past_key_values": DynamicCache()}, {"cache_implementation": "static"},
    ])
    def test_options_that_need_other_caches_by_name(self, engine, prompt, options):
        with pytest.raises(UnsupportedModelError, match=next(iter(options))):
            engine[2].generate(prompt, max_new_tokens=1, **options)

    def test_padding(self, engine, prompt):
        mask = torch.ones_like(prompt)
        mask[0, 0] = 0
        with pytest.raises(UnsupportedModelError, match="padding"):
            engine[2].generate(prompt, attention_mask=mask, max_new_tokens=1)

    def test_several_prompts(self, engine, prompt):
        with pytest.raises(UnsupportedModelError, match=r"\[2, "):
            engine[2].restore(torch.cat([prompt, prompt]))

    def test_token_ids_out_of_range(self, engine):
        for wrong in ([-1], [2 ** 31], [2 ** 32 + 5]):
            with pytest.raises(ValueError, match="token id"):
                engine[2].restore(wrong)

    def test_another_cache_by_name(self, engine, prompt):
        with pytest.raises(UnsupportedModelError, match="StaticCache"):
            engine[2].store(prompt, StaticCache(config=engine[0].config, max_cache_len=16))

    def test_a_cache_of_another_model(self, engine, prompt):
        cache = DynamicCache()
        for at in range(2):
            cache.update(torch.zeros(1, 3, 4, 32), torch.zeros(1, 3, 4, 32), at)
        with pytest.raises(UnsupportedModelError, match="keys of layer 0"):
            engine[2].store(prompt, cache)


def test_a_closed_store_costs_a_warning_and_no_reply(engine, prompt):
    model, _, prefix = engine
    plain = prefix.generate(prompt, max_new_tokens=2, do_sample=False)
    prefix.opened.close()
    with pytest.warns(UserWarning, match="PrefixStore could not"):
        assert torch.equal(prefix.generate(prompt, max_new_tokens=2, do_sample=False), plain)


def test_an_open_store_stays_open(engine, prompt):
    model, tokenizer, prefix = engine
    PrefixCache(model, tokenizer, prefix.opened).close()
    assert [prefill(model, prefix, prompt)[0] for _ in range(2)] == [0, prompt.shape[1] - 1]
