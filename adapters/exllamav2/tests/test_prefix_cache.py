"""What the users of `prefixstore.adapters.exllamav2` may rely on, on the real generators of both packages."""

import engines
import pytest
from support import BOTH, DOCUMENT, EVERY_CACHE, PROMPTS, V2, V3, tokens

import prefixstore
from prefixstore.adapters import _exllama_pages as pages_of
from prefixstore.adapters import exllamav2 as adapter

PAGE = 256


def serve_all(engine, generator, prompts=PROMPTS):
    answers = [engine.reply(generator, prompt) for prompt in prompts]
    return [reply for reply, _ in answers], [cached for _, cached in answers]


@pytest.mark.parametrize("engine", EVERY_CACHE, ids=str)
def test_a_restarted_engine_has_its_prompts_to_the_token_and_replies_as_without_a_store(engine, tmp_path):
    own = engine.own_replies(tmp_path)
    with engine.with_store(tmp_path) as (generator, _):
        assert serve_all(engine, generator)[0] == own
    with engine.with_store(tmp_path) as (generator, prefix):
        replies, cached = serve_all(engine, generator)
        assert replies == own
        assert cached == [len(prompt) - 1 for prompt in PROMPTS]
        assert prefix.restored_tokens > 2000
        assert prefix.steps_aside is None


@pytest.mark.parametrize("engine", BOTH, ids=str)
def test_a_part_of_a_page_is_reused_up_to_where_prompts_differ(engine, tmp_path):
    with engine.with_store(tmp_path) as (generator, _):
        engine.reply(generator, PROMPTS[0])
    for shared in (2, 100, 255, 257, 258, 600, 1400):
        other = DOCUMENT[:shared] + tokens(50 + shared, 90)
        own = engine.own_replies(tmp_path, [other])
        with engine.with_store(tmp_path) as (generator, _):
            reply, cached = engine.reply(generator, other)
        # The engine takes over a part of a page from two tokens on.
        assert cached == (shared if shared % PAGE != 1 else shared - 1)
        assert [reply] == own


@pytest.mark.parametrize("engine", BOTH, ids=str)
def test_one_wrong_bit_in_a_restored_page_would_show_in_the_reply(engine, tmp_path, monkeypatch):
    own = engine.own_replies(tmp_path, PROMPTS[:1])
    with engine.with_store(tmp_path) as (generator, _):
        engine.reply(generator, PROMPTS[0])
    fill = pages_of.Cache.fill

    def fill_wrongly(cache, page, memory, first, count):
        memory[1][first + 5, 7] ^= 1
        fill(cache, page, memory, first, count)

    monkeypatch.setattr(pages_of.Cache, "fill", fill_wrongly)
    with engine.with_store(tmp_path) as (generator, _):
        assert [engine.reply(generator, PROMPTS[0])[0]] != own


@pytest.mark.parametrize("engine", BOTH, ids=str)
def test_what_the_engine_evicts_comes_back(engine, tmp_path):
    first, second = tokens(11, 1500), tokens(12, 1500)
    turns = [first, second, first, second, first]
    own = engine.own_replies(tmp_path, turns, pages=8)
    with engine.with_store(tmp_path, pages=8) as (generator, _):
        for at, prompt in enumerate(turns):
            before = generator.model.toy.computed
            assert engine.reply(generator, prompt)[0] == own[at]
            if at >= 2:
                assert generator.model.toy.computed - before < 100


@pytest.mark.parametrize("engine", BOTH, ids=str)
def test_several_jobs_at_once(engine, tmp_path):
    plain = engines.serve(engine.generator(tmp_path), [engine.job(prompt, 30) for prompt in PROMPTS])
    own = [reply for reply, _ in plain]
    for _ in range(2):
        with engine.with_store(tmp_path) as (generator, _):
            answers = engines.serve(generator, [engine.job(prompt, 30) for prompt in PROMPTS])
            assert [reply for reply, _ in answers] == own
    assert generator.model.toy.computed < 200


@pytest.mark.parametrize("engine", BOTH, ids=str)
def test_a_page_is_stored_when_it_is_complete_and_not_when_its_job_ends(engine, tmp_path):
    with engine.with_store(tmp_path) as (generator, prefix):
        job = engine.job(PROMPTS[2], 400)
        generator.enqueue(job)
        for _ in range(150):
            generator.iterate()
        prefix.flush()
        with prefix._space.match(PROMPTS[2]) as match:
            # A prompt's last page is completed by the reply.
            assert match.tokens == 900
        generator.cancel(job)


@pytest.mark.parametrize("engine", BOTH, ids=str)
def test_pages_that_a_cancelled_job_has_named_and_not_filled_are_filled_from_the_store(engine, tmp_path):
    prompt = tokens(23, 3300)
    own = engine.own_replies(tmp_path, [prompt])
    with prefixstore.open(tmp_path / "kv") as store:
        generator = engine.generator(tmp_path)
        prefix = adapter.PrefixCache(generator, store)
        job = engine.job(prompt, 5)
        generator.enqueue(job)
        generator.iterate()
        generator.cancel(job)
        named = [page for page in adapter.table_of(generator).all_pages if page.phash[:8] != bytes(8)]
        assert any(page.kv_position == 0 for page in named)
        other = engine.generator(tmp_path)
        with_store = adapter.PrefixCache(other, store)
        engine.reply(other, prompt)
        store.flush()
        assert ([engine.reply(generator, prompt)[0]], prefix.restored_tokens > 500) == (own, True)
        with_store.close()
        prefix.close()


@pytest.mark.parametrize("engine", BOTH, ids=str)
def test_a_job_that_was_cancelled_in_its_prompt_leaves_nothing_wrong(engine, tmp_path):
    prompt = tokens(24, 3300)
    own = engine.own_replies(tmp_path, [prompt])
    with engine.with_store(tmp_path) as (generator, _):
        job = engine.job(prompt, 5)
        generator.enqueue(job)
        generator.iterate()
        generator.cancel(job)
    with engine.with_store(tmp_path) as (generator, _):
        reply, cached = engine.reply(generator, prompt)
        assert [reply] == own and 0 < cached < len(prompt)


@pytest.mark.parametrize("engine", BOTH, ids=str)
def test_the_first_page_of_a_reply_names_the_page_before_it(engine, tmp_path):
    # With 512 tokens stored of 513, nothing is computed of the prompt; ExLlamaV2 by itself sets no link then.
    prompt = tokens(22, 513)
    with engine.with_store(tmp_path) as (generator, _):
        engine.reply(generator, prompt, 2)
    with engine.with_store(tmp_path) as (generator, prefix):
        engine.reply(generator, prompt, 300)
        pages = [page for page in adapter.table_of(generator).all_pages if page.kv_position == PAGE]
        assert len(pages) == 3
        for page in pages:
            assert page.phash == pages_of.name_of(page.prev_hash, page.sequence[0])


@pytest.mark.parametrize("engine", BOTH, ids=str)
def test_tokens_of_images_are_not_stored(engine, tmp_path):
    prompt = tokens(31, 300) + [1_000_000_000 + at for at in range(20)] + tokens(32, 300)
    with engine.with_store(tmp_path) as (generator, prefix):
        engine.reply(generator, prompt)
        prefix.flush()
        with prefix._space.match(prompt) as match:
            assert match.tokens == PAGE


def test_a_job_with_images_is_neither_restored_nor_stored(tmp_path):
    with V2.with_store(tmp_path) as (generator, prefix):
        job = V2.job(PROMPTS[2], 5)
        job.embeddings = [object()]
        engines.serve(generator, [job])
        prefix.flush()
        assert "None of 900" in prefix.explain(PROMPTS[2])


@pytest.mark.parametrize("draft", [1, 5], ids=["a draft model that is always right", "one that is always wrong"])
def test_speculative_decoding(draft, tmp_path):
    own = V2.own_replies(tmp_path, draft_seed=draft)
    for _ in range(2):
        with V2.with_store(tmp_path, draft_seed=draft) as (generator, _):
            replies, cached = serve_all(V2, generator)
            assert replies == own
    assert cached == [len(prompt) - 1 for prompt in PROMPTS]


@pytest.mark.parametrize("engine", BOTH, ids=str)
def test_a_store_that_fails_costs_a_warning_and_no_reply(engine, tmp_path):
    own = engine.own_replies(tmp_path)
    with prefixstore.open(tmp_path / "kv") as store:
        generator = engine.generator(tmp_path)
        prefix = adapter.PrefixCache(generator, store)
        assert engine.reply(generator, PROMPTS[0])[0] == own[0]
    with pytest.warns(UserWarning, match="PrefixStore could not load or store a prompt"):
        assert serve_all(engine, generator)[0] == own
    prefix.close()


@pytest.mark.parametrize("engine", BOTH, ids=str)
def test_a_load_that_ends_early_is_computed(engine, tmp_path, monkeypatch):
    own = engine.own_replies(tmp_path)
    with engine.with_store(tmp_path) as (generator, _):
        serve_all(engine, generator)
    load = prefixstore.Match.load
    monkeypatch.setattr(
        prefixstore.Match, "load",
        lambda match, into, start=0, stop=None: load(match, into, start, min(stop, start + 300)))
    with engine.with_store(tmp_path) as (generator, _):
        replies, cached = serve_all(engine, generator)
        assert replies == own
        assert cached[0] == PAGE
    monkeypatch.setattr(pages_of.Cache, "fill", lambda *_: 1 / 0)
    with engine.with_store(tmp_path) as (generator, _), pytest.warns(UserWarning, match="division"):
        assert serve_all(engine, generator)[0] == own


@pytest.mark.parametrize("engine", BOTH, ids=str)
def test_a_closed_cache_leaves_the_generator_as_it_was(engine, tmp_path):
    generator = engine.generator(tmp_path)
    before = dict(vars(generator))
    with_store = adapter.PrefixCache(generator, tmp_path / "kv")
    with_store.close()
    assert vars(generator) == before
    assert [engine.reply(generator, PROMPTS[2])[0]] == engine.own_replies(tmp_path, PROMPTS[2:3])


def test_the_page_table_of_v3_is_sound_after_all_of_it(tmp_path):
    for _ in range(2):
        with V3.with_store(tmp_path, pages=16) as (generator, _):
            for prompt in (*PROMPTS, tokens(40, 2000), *PROMPTS):
                V3.reply(generator, prompt)
                generator.pagetable.validate_pagetable(generator.active_jobs)
