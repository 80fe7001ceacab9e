"""The adapter in C passes the suite for adapters: branches, damage, two engines at once, kills, other names.

It is a shared library here, in the process of an engine of llama-cpp-python, so that a kill ends both at once.
"""

import ctypes
import os
import sys
from ctypes import POINTER, byref, c_char_p, c_float, c_int, c_int32, c_int64, c_size_t, c_uint32, c_void_p
from pathlib import Path
from types import SimpleNamespace

import llama_cpp as api

sys.path.append(str(Path(__file__).resolve().parents[2] / "llama-cpp-python" / "tests"))

from llama_driver import MODELS, LlamaDriver  # noqa: E402

from prefixstore._structs import Options as StoreOptions  # noqa: E402
from prefixstore._structs import sized  # noqa: E402
from prefixstore.testing import Conformance, Served  # noqa: E402


class Lora(ctypes.Structure):
    """pfx_llama_lora"""

    _fields_ = [("path", c_char_p), ("scale", c_float)]


class Options(ctypes.Structure):
    """pfx_llama_options"""

    _fields_ = [
        ("size", c_size_t), ("gguf", POINTER(c_char_p)), ("gguf_count", c_size_t),
        ("context", POINTER(api.llama_context_params)), ("loras", POINTER(Lora)), ("lora_count", c_size_t),
        ("changes", c_char_p), ("salt", c_char_p), ("salt_bytes", c_size_t), ("spare", c_int32),
        ("page_tokens", c_uint32), ("label", c_char_p)]


store_library = ctypes.CDLL(os.environ["PREFIXSTORE_LIBRARY"])
adapter = ctypes.CDLL(os.environ["PFX_LLAMA_LIBRARY"])
adapter.pfx_llama_last_error.restype = c_char_p
for function, result, arguments in (
    (store_library.pfx_open, c_int, (c_char_p, c_void_p, POINTER(c_void_p))),
    (store_library.pfx_flush, c_int, (c_void_p, ctypes.c_uint64)),
    (store_library.pfx_close, c_int, (c_void_p,)),
    (adapter.pfx_llama_open, c_int, (c_void_p, c_void_p, POINTER(Options), POINTER(c_void_p))),
    (adapter.pfx_llama_close, None, (c_void_p,)),
    (adapter.pfx_llama_restore, c_int64, (c_void_p, c_int32, POINTER(c_int32), c_size_t, c_size_t)),
    (adapter.pfx_llama_store, c_int64, (c_void_p, c_int32, POINTER(c_int32), c_size_t)),
):
    function.restype, function.argtypes = result, arguments


def check(result):
    assert result >= 0, adapter.pfx_llama_last_error().decode()
    return result


class CDriver(LlamaDriver):
    def start(self, setup):
        llm = self.llama(setup)
        store, cache = c_void_p(), c_void_p()
        check(store_library.pfx_open(
            os.fsencode(setup.folder), byref(sized(StoreOptions, quota=64 << 20)), byref(store)))
        model = MODELS / ("tiny.gguf" if setup.model == "one" else "tiny-other.gguf")
        salt = self.salt(setup)
        options = sized(
            Options, gguf=(c_char_p * 1)(os.fsencode(model)), gguf_count=1, context=ctypes.pointer(llm.context_params),
            changes=setup.adapter and setup.adapter.encode(), salt=salt, salt_bytes=len(salt or b""), spare=1,
            page_tokens=self.page_tokens)
        check(adapter.pfx_llama_open(store, llm._ctx.ctx, byref(options), byref(cache)))
        return SimpleNamespace(llm=llm, store=store, cache=cache)

    def prefill(self, engine, tokens):
        self.forget(engine.llm)
        ids = (c_int32 * len(tokens))(*tokens)
        reused = check(adapter.pfx_llama_restore(engine.cache, 0, ids, len(tokens), 0))
        engine.llm.n_tokens = reused
        engine.llm.eval(tokens[reused:])
        check(adapter.pfx_llama_store(engine.cache, 0, ids, len(tokens)))
        return Served(reused, self.rows(engine.llm, len(tokens)))

    def flush(self, engine):
        check(store_library.pfx_flush(engine.store, 0))

    def stop(self, engine):
        adapter.pfx_llama_close(engine.cache)
        check(store_library.pfx_close(engine.store))
        engine.llm.close()


class TestC(Conformance):
    driver = CDriver
