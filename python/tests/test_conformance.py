"""The conformance suite passes for right adapters of both levels, and each of its tests fails for a wrong one."""

from __future__ import annotations

from pathlib import Path
from typing import Type

import pytest

import engines
from prefixstore.testing import Conformance, Driver


class TestTokenLevel(Conformance):
    driver = engines.TokenDriver


class TestBlockLevel(Conformance):
    driver = engines.BlockDriver


@pytest.mark.parametrize("driver, test", [
    (engines.RemembersPastTheStore, "test_an_empty_store_gives_nothing"),
    (engines.NeverLoads, "test_a_restarted_engine_loads_what_was_computed_before"),
    (engines.SwapsPlanes, "test_a_restarted_engine_loads_what_was_computed_before"),
    (engines.LoadsWholePages, "test_reuse_ends_where_prompts_begin_to_differ"),
    (engines.LoadsWholePages, "test_the_beginning_of_a_stored_prompt_is_found"),
    (engines.SwapsPlanes, "test_branches_of_one_prompt_are_all_kept"),
    (engines.MixesModels, "test_another_model_is_a_miss"),
    (engines.MixesAdapters, "test_another_adapter_is_a_miss"),
    (engines.MixesTenants, "test_another_tenant_is_a_miss"),
    (engines.Trusts, "test_damage_is_a_miss_and_is_computed_again"),
    (engines.NeverLoads, "test_two_engines_work_at_once_and_find_each_others_tokens"),
    (engines.NeverFlushes, "test_a_killed_engine_leaves_what_it_had_flushed_and_nothing_wrong"),
])
def test_a_wrong_adapter_is_found(driver: Type[Driver], test: str, tmp_path: Path) -> None:
    suite = Conformance()
    suite.driver = driver
    with pytest.raises(AssertionError):
        getattr(suite, test)(tmp_path)


def test_every_test_of_the_suite_is_seen_to_fail() -> None:
    marks = getattr(test_a_wrong_adapter_is_found, "pytestmark")
    seen = {test for _, test in marks[0].args[1]}
    assert seen == {name for name in dir(Conformance) if name.startswith("test_")}
