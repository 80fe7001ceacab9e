"""What the drivers of the conformance suite share, for the adapters in C and in Python: engines of llama-cpp-python."""

import ctypes
import hashlib
import os
from pathlib import Path

import llama_cpp as api
import numpy as np

from prefixstore.testing import Driver

MODELS = Path(os.environ["LLAMA_TEST_HOME"]) / "models"
_BYTES = ctypes.POINTER(ctypes.c_uint8)


class LlamaDriver(Driver):
    """Starts engines, and reads what lies in their memory by their own means."""

    vocabulary = 500
    #: Tokens of a page: small ones, so that a prompt has many.
    page_tokens = 16

    def llama(self, setup):
        """One token per batch: the suite compares every byte, and larger batches are rounded in another way."""
        model = MODELS / ("tiny.gguf" if setup.model == "one" else "tiny-other.gguf")
        return api.Llama(
            str(model), n_ctx=512, n_batch=1, n_ubatch=1, n_threads=1, flash_attn=True, verbose=False)

    def salt(self, setup):
        return setup.tenant and hashlib.sha256(setup.tenant.encode()).digest()

    def forget(self, llm):
        """Takes everything out of the context."""
        llm.reset()
        api.llama_memory_seq_rm(api.llama_get_memory(llm._ctx.ctx), 0, -1, -1)

    def rows(self, llm, count):
        """The engine's own state of each token, by lending it to another sequence."""
        context, memory, found = llm._ctx.ctx, api.llama_get_memory(llm._ctx.ctx), []
        for position in range(count):
            api.llama_memory_seq_cp(memory, 0, 1, position, position + 1)
            state = np.empty(api.llama_state_seq_get_size(context, 1), np.uint8)
            api.llama_state_seq_get_data(context, state.ctypes.data_as(_BYTES), len(state), 1)
            api.llama_memory_seq_rm(memory, 1, -1, -1)
            found.append(state.tobytes())
        return found
