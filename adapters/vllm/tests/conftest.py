"""What the tests of the tier share: the lines that it writes to vLLM's log, and what killed engines leave behind."""

import logging
from pathlib import Path

import pytest


@pytest.fixture(scope="session", autouse=True)
def memory_of_the_killed():
    """vLLM removes the file of its host memory when it ends by itself. The tests put their process into its name."""
    yield
    for file in Path("/dev/shm").glob("vllm_offload_pfx-test-*"):
        if not Path("/proc", file.name.split("-")[2]).exists():
            file.unlink()


@pytest.fixture
def log():
    """The texts that PrefixStore has logged, as they come."""
    texts = []

    class Collector(logging.Handler):
        def emit(self, record):
            texts.append(record.getMessage())

    logger, collector = logging.getLogger("vllm.prefixstore"), Collector()
    logger.addHandler(collector)
    yield texts
    logger.removeHandler(collector)
