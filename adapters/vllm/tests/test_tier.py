"""What vLLM's manager of tiers may rely on: nothing waits, and nothing that goes wrong reaches the engine."""

import resource
from types import SimpleNamespace

import pytest
from contract import BLOCK, HIT, MISS, RETRY, ROW, Engine, keys_of
from vllm.distributed.kv_transfer.kv_connector.factory import KVConnectorFactory
from vllm.v1.kv_offload.tiering.factory import SecondaryTierFactory

from prefixstore import DiskFullError
from prefixstore.adapters import _vllm_plugin
from prefixstore.adapters.vllm import PrefixStoreConnector, PrefixStoreTier
from prefixstore.testing._damage import damage

TOKENS = list(range(8 * BLOCK + 1))


@pytest.fixture
def engine(tmp_path):
    engine = Engine(tmp_path / "kv")
    yield engine
    engine.stop()


def store_and_forget(engine, tokens=TOKENS):
    """Serves a prompt; it is on disk afterwards, and nowhere else."""
    engine.prefill(tokens)
    engine.tier.store.flush()


class TestNames:
    def test_the_plug_in_makes_both_names_known_and_may_be_called_twice(self):
        for _ in range(2):
            _vllm_plugin.register()
        assert SecondaryTierFactory.get_tier_class({"type": "prefixstore"}) is PrefixStoreTier
        named = SimpleNamespace(kv_connector="PrefixStoreConnector", kv_connector_module_path=None)
        assert KVConnectorFactory.get_connector_class(named) is PrefixStoreConnector

    def test_the_plug_in_only_says_so_in_a_vllm_without_tiers(self, monkeypatch, log):
        monkeypatch.setitem(__import__("sys").modules, "vllm.v1.kv_offload.tiering.factory", None)
        _vllm_plugin.register()
        assert len(log) == 1 and "not available in this vLLM" in log[0]

    @pytest.mark.parametrize("extra", [
        {}, {"secondary_tiers": [{"type": "prefixstore"}]}, {"spec_name": "TieringOffloadingSpec"},
        {"spec_name": "TieringOffloadingSpec", "secondary_tiers": [{"type": "fs"}]},
    ])
    def test_a_configuration_that_leaves_the_tier_out_is_refused_with_the_right_one(self, extra):
        config = SimpleNamespace(kv_transfer_config=SimpleNamespace(kv_connector_extra_config=extra))
        with pytest.raises(ValueError, match='"secondary_tiers": .*"type": "prefixstore", "folder"'):
            PrefixStoreConnector(config, None, None)


class Silent:
    """A store that never answers."""

    def __init__(self):
        self.jobs = []

    def submit(self, keys, blocks=None):
        self.jobs.append(list(keys))
        return len(self.jobs)

    submit_put = submit_get = submit_exists = submit

    def drain(self):
        return []


class TestLookingUp:
    def test_all_keys_of_a_step_are_asked_for_together(self, engine):
        engine.tier._queue, real = Silent(), engine.tier._queue
        asked, request = keys_of(TOKENS), engine.begin()
        assert [engine.tier.lookup(key, request) for key in asked] == [RETRY] * len(asked)
        engine.step()
        assert engine.tier._queue.jobs == [asked]
        engine.tier._queue = real

    def test_a_store_that_never_answers_holds_up_no_call(self, engine):
        engine.tier._queue, real = Silent(), engine.tier._queue
        request, jobs = engine.begin(), [SimpleNamespace(job_id=1, keys=keys_of(TOKENS), chunk_ids=range(8))]
        for job in jobs:
            engine.tier.submit_store(job)
            engine.tier.submit_load(job)
        assert engine.tier.lookup(b"key", request) is RETRY
        engine.step()
        assert engine.tier.lookup(b"key", request) is RETRY
        assert list(engine.tier.get_finished_jobs()) == []
        engine.tier._running.clear()
        engine.tier._queue = real

    def test_the_next_request_finds_what_another_engine_has_stored_meanwhile(self, engine, tmp_path):
        key = keys_of(TOKENS)[0]
        first, second = engine.begin(), engine.begin()
        assert engine.find([key], first) == 0
        engine.tier._queue.submit_put([key], [bytes(BLOCK * ROW)])
        engine.tier._queue.wait()
        engine.tier.store.flush()
        assert {number for number in engine.tier._running} == set()
        engine.tier._queue.drain()  # the put of the other engine
        assert engine.tier.lookup(key, first) is MISS
        assert engine.find([key], second) == 1

    def test_a_request_that_has_ended_is_forgotten(self, engine):
        engine.prefill(TOKENS)
        assert not engine.tier._lookups._told and not engine.tier._lookups._waiting


class TestLoading:
    def test_what_is_gone_by_then_is_computed_and_the_rest_is_kept(self, engine):
        store_and_forget(engine)
        asked, load = keys_of(TOKENS), engine.tier.submit_load

        def submit_load(job):
            assert engine.tier._blocks.remove([asked[3]]) == 1
            load(job)

        engine.tier.submit_load = submit_load
        request = engine.begin()
        rows = engine.load(TOKENS, request)
        assert rows == engine.compute(TOKENS, 0)[:3 * BLOCK]
        assert engine.manager.primary_tier.lookup(asked[4], request) is HIT

    def test_damage_is_computed_and_stored_anew(self, engine, tmp_path):
        store_and_forget(engine)
        engine.stop()
        assert damage(tmp_path / "kv") == 8
        engine.__init__(tmp_path / "kv")
        assert engine.prefill(TOKENS)[0] == 0
        store_and_forget(engine)
        assert engine.prefill(TOKENS) == (8 * BLOCK, engine.compute(TOKENS, 0))

    def test_host_memory_that_is_smaller_than_a_prompt_loads_what_fits(self, engine, tmp_path):
        store_and_forget(engine)
        engine.stop()
        engine.__init__(tmp_path / "kv", chunks=3)
        loaded, rows = engine.prefill(TOKENS)
        assert loaded <= 3 * BLOCK and rows == engine.compute(TOKENS, 0)


class TestMemory:
    def test_a_reset_waits_for_what_is_under_way(self, engine):
        request = engine.begin()
        engine.store(TOKENS, engine.compute(TOKENS, 0), request)
        engine.manager.reset_cache()
        assert not engine.manager._jobs
        engine.rows(range(8))[:] = 0
        engine.tier.store.flush()
        assert engine.prefill(TOKENS) == (8 * BLOCK, engine.compute(TOKENS, 0))

    def test_an_end_in_the_middle_of_jobs_lets_go_of_it(self, tmp_path):
        engine = Engine(tmp_path / "kv")
        request = engine.begin()
        engine.store(TOKENS, engine.compute(TOKENS, 0), request)
        engine.tier.shutdown()
        # Raises while anybody holds a part of it.
        engine.manager.primary_tier.shutdown()
        results = engine.tier.get_finished_jobs()
        assert [result.job_id for result in results] == list(engine.manager._jobs)


class TestTrouble:
    def test_a_closed_store_costs_one_line_per_kind_and_no_prompt(self, engine, log):
        store_and_forget(engine)
        engine.tier.store.close()
        for _ in range(3):
            assert engine.prefill(TOKENS) == (0, engine.compute(TOKENS, 0))
            engine.manager.touch(keys_of(TOKENS), engine.begin())
        troubles = [text for text in log if "could not" in text]
        assert troubles and len(troubles) == len(set(troubles)) <= 5

    def test_a_quota_that_is_too_small_for_all_prompts_keeps_some(self, engine, tmp_path):
        engine.stop()
        engine.__init__(tmp_path / "kv", quota=4 << 20)
        prompts = [[number, *TOKENS] for number in range(150)]
        for tokens in prompts:
            assert engine.prefill(tokens)[1] == engine.compute(tokens, 0)
        engine.tier.store.flush()
        held = sum(engine.tier._blocks.leading(keys_of(tokens)) for tokens in prompts)
        assert 0 < held * BLOCK * ROW < 4 << 20 < len(prompts) * len(keys_of(prompts[0])) * BLOCK * ROW

    def test_a_full_disk_costs_one_line_and_no_prompt(self, engine, log):
        store_and_forget(engine)
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        # No file may grow: what a full disk tells LMDB.
        resource.setrlimit(resource.RLIMIT_FSIZE, (64 << 10, limits[1]))
        try:
            number = 100
            while not log and number < 1000:
                tokens = [number, *TOKENS]
                assert engine.prefill(tokens)[1] == engine.compute(tokens, 0)
                number += 1
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        assert len(log) == 1 and "could not write everything" in log[0] and "full" in log[0]
        # Whoever relies on a flush hears it too.
        with pytest.raises(DiskFullError):
            engine.tier.store.flush()
        store_and_forget(engine, [7, *TOKENS])
        assert engine.prefill([7, *TOKENS])[0] == 8 * BLOCK

    def test_a_second_engine_of_one_process_runs_without(self, engine, tmp_path, log):
        second = Engine(tmp_path / "kv")
        assert second.prefill(TOKENS) == second.prefill(TOKENS) == (0, second.compute(TOKENS, 0))
        second.stop()
        assert any("PrefixStore is off, and every prompt is computed" in text for text in log)
