"""The conformance suite: what every adapter of an engine must do with the store, whatever the engine."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path
from typing import Any, Dict, List, Sequence, Tuple, Type

from ._damage import damage
from ._driver import Driver, Served, Setup
from ._workers import workers


class Conformance:
    """Tests for pytest. Derive a class whose name begins with Test, and set `driver`.

    Every test works in a new folder. `reused` rows are compared byte by byte with those that were computed when the
    prompt was stored.
    """

    driver: Type[Driver]

    def test_an_empty_store_gives_nothing(self, tmp_path: Path) -> None:
        bench = _Bench(self.driver(), tmp_path)
        with bench.engine() as engine:
            assert engine.serve(bench.prompt(1)).reused == 0

    def test_a_restarted_engine_loads_what_was_computed_before(self, tmp_path: Path) -> None:
        bench = _Bench(self.driver(), tmp_path)
        tokens = bench.prompt(1)
        with bench.engine() as engine:
            engine.serve(tokens)
        with bench.engine() as engine:
            engine.expect(tokens, shared=len(tokens))

    def test_reuse_ends_where_prompts_begin_to_differ(self, tmp_path: Path) -> None:
        bench = _Bench(self.driver(), tmp_path)
        tokens = bench.prompt(1)
        with bench.engine() as engine:
            engine.serve(tokens)
        count = len(tokens)
        with bench.engine() as engine:
            for seed, shared in enumerate([1, count // 3, count // 2, count // 2 + 1, count - 1]):
                engine.expect(tokens[:shared] + bench.prompt(10 + seed), shared=shared)

    def test_the_beginning_of_a_stored_prompt_is_found(self, tmp_path: Path) -> None:
        bench = _Bench(self.driver(), tmp_path)
        tokens = bench.prompt(1)
        with bench.engine() as engine:
            engine.serve(tokens)
        with bench.engine() as engine:
            for count in (len(tokens) // 2, len(tokens) // 2 + 1, len(tokens) - 1):
                engine.expect(tokens[:count], shared=count)

    def test_branches_of_one_prompt_are_all_kept(self, tmp_path: Path) -> None:
        bench = _Bench(self.driver(), tmp_path)
        first = bench.prompt(1)
        half, third = len(first) // 2, len(first) // 3
        second = first[:half] + bench.prompt(2)
        third_one = second[: half + third] + bench.prompt(3)
        with bench.engine() as engine:
            engine.serve(first)
            engine.driver.flush(engine.engine)
            engine.expect(second, shared=half)
            engine.driver.flush(engine.engine)
            engine.expect(third_one, shared=half + third)
        with bench.engine() as engine:
            for tokens in (third_one, first, second):
                engine.expect(tokens, shared=len(tokens))

    def test_another_model_is_a_miss(self, tmp_path: Path) -> None:
        _expect_a_miss(_Bench(self.driver(), tmp_path), model="another")

    def test_another_adapter_is_a_miss(self, tmp_path: Path) -> None:
        _expect_a_miss(_Bench(self.driver(), tmp_path), adapter="an adapter")

    def test_another_tenant_is_a_miss(self, tmp_path: Path) -> None:
        _expect_a_miss(_Bench(self.driver(), tmp_path), tenant="a tenant")

    def test_damage_is_a_miss_and_is_computed_again(self, tmp_path: Path) -> None:
        bench = _Bench(self.driver(), tmp_path)
        tokens = bench.prompt(1)
        with bench.engine() as engine:
            engine.serve(tokens)
        assert damage(bench.setup.folder) > 0, "no record of 2 KiB or more: raise Driver.prompt_tokens, or the page size"
        with bench.engine() as engine:
            engine.expect(tokens, shared=0)
        # Damaged pages leave the store with the next write, at the latest with the one after it.
        with bench.engine() as engine:
            engine.serve(tokens)
        with bench.engine() as engine:
            engine.expect(tokens, shared=len(tokens))

    def test_two_engines_work_at_once_and_find_each_others_tokens(self, tmp_path: Path) -> None:
        bench = _Bench(self.driver(), tmp_path)
        prompts = [bench.prompt(seed) for seed in range(6)]
        with workers(bench.driver, bench.setup, bench.setup) as pair:
            # One from the front and one from the back: they meet in the middle.
            for worker, order in zip(pair, (prompts, prompts[::-1])):
                for tokens in order:
                    worker.ask(tokens)
            for worker, order in zip(pair, (prompts, prompts[::-1])):
                for tokens in order:
                    bench.compare(tokens, worker.answer())
            for worker in pair:
                for tokens in prompts:
                    worker.ask(tokens)
                    bench.expect(tokens, worker.answer(), shared=len(tokens))
                worker.stop()

    def test_a_killed_engine_leaves_what_it_had_flushed_and_nothing_wrong(self, tmp_path: Path) -> None:
        bench = _Bench(self.driver(), tmp_path)
        prompts = [bench.prompt(seed) for seed in range(12)]
        with workers(bench.driver, bench.setup) as (worker,):
            worker.ask(prompts[0], is_flushed=True)
            for tokens in prompts[1:]:
                worker.ask(tokens, is_flushed=False)
            bench.compare(prompts[0], worker.answer())
            # The others are somewhere on their way.
            worker.answer()
            worker.kill()
        with bench.engine() as engine:
            engine.expect(prompts[0], shared=len(prompts[0]))
            for tokens in prompts[1:]:
                engine.serve(tokens)


def _expect_a_miss(bench: _Bench, **other: str) -> None:
    tokens = bench.prompt(1)
    with bench.engine() as engine:
        engine.serve(tokens)
    with bench.engine(**other) as engine:
        assert engine.driver.prefill(engine.engine, tokens).reused == 0, f"KV of another engine was used: {other}"
        engine.driver.flush(engine.engine)
        # It finds its own.
        served = engine.driver.prefill(engine.engine, tokens)
        assert served.reused == bench.driver.reusable(len(tokens), len(tokens))
    with bench.engine() as engine:
        engine.expect(tokens, shared=len(tokens))


class _Bench:
    """A driver, a folder, and the rows of every prompt as they were first computed."""

    def __init__(self, driver: Driver, folder: Path) -> None:
        self.driver = driver
        self.setup = Setup(folder=str(folder / "kv"))
        self._reference = Setup(folder=str(folder / "reference"))
        self._known: Dict[Tuple[int, ...], Sequence[bytes]] = {}

    def prompt(self, seed: int) -> List[int]:
        """Token ids. Those of two seeds differ in their first."""
        numbers = random.Random(seed)
        rest = [numbers.randrange(self.driver.vocabulary) for _ in range(self.driver.prompt_tokens - 1)]
        return [seed % self.driver.vocabulary, *rest]

    def engine(self, **changes: str) -> _Engine:
        """An engine, started with `with`."""
        return _Engine(self, replace(self.setup, **changes))

    def expect(self, tokens: List[int], served: Served, shared: int) -> None:
        """Compares how many tokens were reused, and every row."""
        wanted = self.driver.reusable(len(tokens), shared)
        assert served.reused == wanted, f"{served.reused} tokens were reused; {wanted} are stored and can be"
        self.compare(tokens, served)

    def compare(self, tokens: List[int], served: Served) -> None:
        """Compares every row with those of an engine that has computed all of the prompt."""
        assert len(served.rows) == len(tokens), "Served.rows has one entry per token of the prompt"
        for at, (row, right) in enumerate(zip(served.rows, self._computed(tokens))):
            if at < served.reused:
                assert row == right, f"token {at} was reused with other bytes than were stored"
            else:
                assert self.driver.same(right, row), f"token {at} was computed to other bytes than before"

    def _computed(self, tokens: List[int]) -> Sequence[bytes]:
        if tuple(tokens) not in self._known:
            # A folder of its own per prompt: nothing can be reused there.
            setup = replace(self._reference, folder=f"{self._reference.folder}-{len(self._known)}")
            engine = self.driver.start(setup)
            served = self.driver.prefill(engine, tokens)
            self.driver.stop(engine)
            assert served.reused == 0, "an engine on an empty folder has reused tokens"
            self._known[tuple(tokens)] = served.rows
        return self._known[tuple(tokens)]


class _Engine:
    """An engine of this process."""

    def __init__(self, bench: _Bench, setup: Setup) -> None:
        self._bench, self._setup = bench, setup
        self.driver = bench.driver
        self.engine: Any = None

    def __enter__(self) -> _Engine:
        self.engine = self.driver.start(self._setup)
        return self

    def __exit__(self, *_: Any) -> None:
        self.driver.stop(self.engine)

    def serve(self, tokens: List[int]) -> Served:
        """Serves a prompt and compares every row."""
        served = self.driver.prefill(self.engine, tokens)
        self._bench.compare(tokens, served)
        return served

    def expect(self, tokens: List[int], shared: int) -> None:
        """Serves a prompt whose first `shared` tokens are stored, and compares."""
        self._bench.expect(tokens, self.driver.prefill(self.engine, tokens), shared)
