"""A conformance suite for adapters: what every engine must do with the store, as tests for pytest.

    # test_my_adapter.py
    from prefixstore.testing import Conformance, Driver, Served, Setup

    class MyDriver(Driver):
        def start(self, setup): ...
        def prefill(self, engine, tokens): ...
        def flush(self, engine): ...
        def stop(self, engine): ...

    class TestMyAdapter(Conformance):
        driver = MyDriver

`pytest test_my_adapter.py` then starts the engine, restarts it, damages its store, runs two at once and kills one, and
compares every byte of KV. `pip install prefixstore[test]` brings pytest.
"""

from ._damage import damage
from ._driver import Driver, Served, Setup
from ._suite import Conformance

__all__ = ["Conformance", "Driver", "Served", "Setup", "damage"]
