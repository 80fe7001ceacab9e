"""What the tests of the tier share: the lines that it writes to vLLM's log."""

import logging

import pytest


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
