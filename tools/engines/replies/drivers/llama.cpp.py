"""libllama: the adapter in C, and llama.cpp's own session files, one per prompt."""

import ctypes
import os
import subprocess
from pathlib import Path

from child import Driver
from session_files import SessionFiles

BATCH, CONTEXT, SEQUENCE, SPARE = 512, 4096, 0, 1
ROOT = Path(__file__).resolve().parents[4]


class CacheOptions(ctypes.Structure):
    """pfx_llama_options of pfx_llama.h."""

    _fields_ = [
        ("size", ctypes.c_size_t), ("gguf", ctypes.POINTER(ctypes.c_char_p)), ("gguf_count", ctypes.c_size_t),
        ("context", ctypes.c_void_p), ("loras", ctypes.c_void_p), ("lora_count", ctypes.c_size_t),
        ("changes", ctypes.c_char_p), ("salt", ctypes.c_void_p), ("salt_bytes", ctypes.c_size_t),
        ("spare", ctypes.c_int32), ("page_tokens", ctypes.c_uint32), ("label", ctypes.c_char_p)]


class Engine(Driver):
    title = "llama.cpp of llama-cpp-python 0.3.36, `llama.h`"
    prepare = "llama.cpp/prepare --without-server"
    caches = ("PrefixStore", "session files")

    @staticmethod
    def environment(home):
        library = home / "libpfx_llama.so"
        installed = os.environ.get("PREFIXSTORE_HOME", ROOT / ".build-c" / "installed")
        subprocess.run(
            ["cc", "-std=c11", "-O2", "-shared", "-fPIC", f"-I{home}/include", f"-I{installed}/include",
             ROOT / "adapters/llama.cpp/pfx_llama.c", "-o", library, f"-L{home}/build/bin", f"-L{installed}/lib",
             "-lllama", "-lggml", "-lggml-base", "-lprefixstore", f"-Wl,-rpath,{home}/build/bin:{installed}/lib"],
            check=True)
        return {"LLAMA_CPP_LIB_PATH": home / "build" / "bin", "LLAMA_TEST_HOME": home, "PFX_LLAMA": library}

    def __init__(self, cache, folder, quota):
        import llama_cpp

        self.api = llama_cpp
        self.api.llama_backend_init()
        self.file = f"{os.environ['LLAMA_TEST_HOME']}/models/tiny.gguf".encode()
        self.model = self.api.llama_model_load_from_file(self.file, self.api.llama_model_default_params())
        settings = self.api.llama_context_default_params()
        settings.n_ctx, settings.n_batch, settings.n_ubatch, settings.n_seq_max = CONTEXT, BATCH, BATCH, SPARE + 1
        settings.n_threads = settings.n_threads_batch = 1
        settings.kv_unified = True
        self.settings = settings
        self.context = self.api.llama_init_from_model(self.model, settings)
        self.memory = self.api.llama_get_memory(self.context)
        self.words = self.api.llama_vocab_n_tokens(self.api.llama_model_get_vocab(self.model))
        self.ours = self.files = None
        if cache == "PrefixStore":
            self._open(folder, quota)
        elif cache == "session files":
            self.files = SessionFiles(folder)

    def _open(self, folder, quota):
        self.ours = ctypes.CDLL(os.environ["PFX_LLAMA"], mode=ctypes.RTLD_GLOBAL)
        self.ours.pfx_llama_restore.restype = self.ours.pfx_llama_store.restype = ctypes.c_int64
        for name in ("pfx_last_error", "pfx_llama_last_error"):
            getattr(self.ours, name).restype = ctypes.c_char_p
        self.store, self.cache = ctypes.c_void_p(), ctypes.c_void_p()
        # The package's tests compare its structs with the header.
        from prefixstore._structs import Options

        options = Options(size=ctypes.sizeof(Options), quota=quota)
        self._check(self.ours.pfx_open(folder.encode(), ctypes.byref(options), ctypes.byref(self.store)))
        options = CacheOptions(
            size=ctypes.sizeof(CacheOptions), gguf=(ctypes.c_char_p * 1)(self.file), gguf_count=1,
            context=ctypes.addressof(self.settings), spare=SPARE)
        self._check(self.ours.pfx_llama_open(
            self.store, ctypes.c_void_p(self.context), ctypes.byref(options), ctypes.byref(self.cache)))

    def _check(self, result):
        if result < 0:
            raise RuntimeError(f"{result}: {self.ours.pfx_last_error()} {self.ours.pfx_llama_last_error()}")
        return result

    def _compute(self, tokens, begin):
        """Computes the tokens from `begin` on, in one batch if they fit."""
        for first in range(begin, len(tokens), BATCH):
            part = tokens[first:first + BATCH]
            memory = (self.api.llama_token * len(part))(*part)
            if self.api.llama_decode(self.context, self.api.llama_batch_get_one(memory, len(part))) != 0:
                raise RuntimeError("llama_decode failed")

    def _greedy(self):
        logits = self.api.llama_get_logits_ith(self.context, -1)
        return max(range(self.words), key=logits.__getitem__)

    def _finish(self, tokens, begin, count):
        """Computes a prompt from `begin` on, and the reply."""
        self._compute(tokens, begin)
        reply = [self._greedy()]
        while len(reply) < count:
            self._compute(tokens + reply, len(tokens) + len(reply) - 1)
            reply.append(self._greedy())
        return reply

    def serve(self, tokens, count, replied):
        self.api.llama_memory_clear(self.memory, True)
        reused = 0
        if self.ours:
            memory = (ctypes.c_int32 * len(tokens))(*tokens)
            reused = self._check(self.ours.pfx_llama_restore(
                self.cache, SEQUENCE, memory, ctypes.c_size_t(len(tokens)), ctypes.c_size_t(0)))
        elif self.files:
            reused = self._load(tokens)
        reply = self._finish(tokens, reused, count)
        replied(reused, reply)
        held = (ctypes.c_int32 * (len(tokens) + count - 1))(*tokens, *reply[:-1])
        if self.ours:
            self._check(self.ours.pfx_llama_store(self.cache, SEQUENCE, held, ctypes.c_size_t(len(held))))
        elif self.files:
            path = str(self.files.path(list(held))).encode()
            self.api.llama_state_seq_save_file(self.context, path, SEQUENCE, held, len(held))

    def _load(self, tokens):
        """Loads the session file that shares most with a prompt, and cuts what it does not share."""
        path, shared = self.files.best(tokens)
        shared = min(shared, len(tokens) - 1)
        if not shared:
            return 0
        held, found = (self.api.llama_token * CONTEXT)(), ctypes.c_size_t()
        if not self.api.llama_state_seq_load_file(
                self.context, str(path).encode(), SEQUENCE, held, CONTEXT, ctypes.byref(found)):
            self.api.llama_memory_clear(self.memory, True)
            return 0
        self.api.llama_memory_seq_rm(self.memory, SEQUENCE, shared, -1)
        return shared

    def live(self, tokens, cuts, count):
        self.api.llama_memory_clear(self.memory, True)
        for begin, end in zip([0, *cuts], cuts):
            self._compute(tokens[:end], begin)
        return self._finish(tokens, cuts[-1] if cuts else 0, count)

    def flush(self):
        if self.ours:
            self._check(self.ours.pfx_flush(self.store, ctypes.c_uint64(0)))

    def close(self):
        if self.ours:
            self.ours.pfx_llama_close(self.cache)
            self._check(self.ours.pfx_close(self.store))
