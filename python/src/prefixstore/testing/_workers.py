"""Engines in other processes, for the suite: at work at the same time, or killed in the middle."""

from __future__ import annotations

import multiprocessing
from contextlib import contextmanager
from typing import Any, Iterator, List, Tuple, Type

from ._driver import Driver, Served, Setup

# Seconds; what takes longer hangs. Importing an engine takes minutes on a machine that has much else to do.
_LONGEST = 300


def _work(driver_class: Type[Driver], setup: Setup, pipe: Any) -> None:
    """Serves the prompts that come through the pipe. A flag with each says whether to flush before the answer."""
    driver = driver_class()
    engine = driver.start(setup)
    while True:
        asked = pipe.recv()
        if asked is None:
            break
        tokens, is_flushed = asked
        served = driver.prefill(engine, tokens)
        if is_flushed:
            driver.flush(engine)
        pipe.send(served)
    driver.stop(engine)
    pipe.send("stopped")


class Worker:
    """An engine in a process of its own."""

    def __init__(self, driver: Driver, setup: Setup) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_work, args=(type(driver), setup, theirs), daemon=True)
        self._process.start()
        theirs.close()

    def ask(self, tokens: List[int], is_flushed: bool = True) -> None:
        """Asks for a prompt, without waiting."""
        self._pipe.send((tokens, is_flushed))

    def answer(self) -> Served:
        """The answer to the first prompt that was not answered yet."""
        answer = self._next()
        assert isinstance(answer, Served), "Driver.prefill returns a Served"
        return answer

    def stop(self) -> None:
        """Ends the engine as it ends itself."""
        self._pipe.send(None)
        assert self._next() == "stopped"
        self._process.join(_LONGEST)
        assert self._process.exitcode == 0, f"the other engine's process ended with {self._process.exitcode}"

    def kill(self) -> None:
        """Ends the process at once, whatever it does."""
        self._process.kill()
        self._process.join(_LONGEST)

    def _next(self) -> Any:
        assert self._pipe.poll(_LONGEST), "the other engine does not answer"
        try:
            return self._pipe.recv()
        except EOFError:
            raise AssertionError("the other engine's process died; its message is above") from None


@contextmanager
def workers(driver: Driver, *setups: Setup) -> Iterator[Tuple[Worker, ...]]:
    """Engines in processes of their own, which are gone afterwards."""
    made = tuple(Worker(driver, setup) for setup in setups)
    try:
        yield made
    finally:
        for worker in made:
            worker.kill()
