"""A cache for llama-cpp-python that survives restarts, in place of `LlamaDiskCache`.

    from llama_cpp import Llama
    from prefixstore.adapters.llama_cpp import PrefixCache

    llm = Llama("model.gguf", n_ctx=4096)
    llm.set_cache(PrefixCache(llm, "kv"))

Before a completion it loads the longest stored prefix of the prompt into the context, and afterwards it stores what is
new. Needs no compiler: it calls the libllama that llama-cpp-python has loaded.
"""

from __future__ import annotations

import ctypes
import sys
import warnings
from contextlib import closing
from typing import Any, List, Optional, Sequence

from ._extras import missing

try:
    import llama_cpp as api
    import numpy as np
    from llama_cpp.llama_cache import BaseLlamaCache
except ImportError as problem:
    raise missing(problem, "llama_cpp", "llama") from None

from .. import Space, Store
from ._adapter_store import AdapterStore, Path, warn
from ._llama_form import recall, remember
from ._llama_identity import identity, model_digest, positions, sentence
from ._llama_pieces import Cut, Pieces
from ._llama_shape import HEAD, MAGIC, Frame, Shape, UnknownMemoryError

__all__ = ["PrefixCache", "UnknownMemoryError"]

# The fewer calls the better, but what one thread loads for another should still be in the processor's cache.
_BYTES_STORED, _BYTES_RESTORED = 8 << 20, 2 << 20
_BYTES = ctypes.POINTER(ctypes.c_uint8)
# ggml's numbers of f32 and bf16.
_SHRINKING = (0, 30)


class _Memory:
    """The keys and values of sequence 0 of a context, by ranges of tokens.

    A blob is always a whole sequence. A range of it is had by lending its cells to a spare sequence, which copies
    nothing; in the same way a sequence is put together from pieces. llama-cpp-python makes contexts of one sequence,
    and libllama knows the second one all the same.
    """

    spare = 1

    def __init__(self, context: Any) -> None:
        self.context = context
        self.handle = api.llama_get_memory(context)
        self.blob = np.empty(0, np.uint8)

    def room(self, count: int) -> np.ndarray:
        if len(self.blob) < count:
            self.blob = np.empty(count, np.uint8)
        return self.blob[:count]

    def fetch(self, start: int, stop: int) -> np.ndarray:
        """The body of positions `start` to `stop`; good until the next call."""
        api.llama_memory_seq_cp(self.handle, 0, self.spare, start, stop)
        size = api.llama_state_seq_get_size(self.context, self.spare)
        blob = self.room(size)
        written = api.llama_state_seq_get_data(self.context, blob.ctypes.data_as(_BYTES), size, self.spare)
        api.llama_memory_seq_rm(self.handle, self.spare, -1, -1)
        return blob[HEAD.size:written]

    def put(self, blob: np.ndarray) -> bool:
        """Adds the cells of a blob to the sequence. False: there is no room for them."""
        size = len(blob)
        went_in = api.llama_state_seq_set_data(self.context, blob.ctypes.data_as(_BYTES), size, self.spare) == size
        if went_in:
            api.llama_memory_seq_cp(self.handle, self.spare, 0, -1, -1)
        api.llama_memory_seq_rm(self.handle, self.spare, -1, -1)
        return went_in

    def accepts(self, shape: Shape) -> bool:
        """Whether the context takes a token of this form, of zeros, which goes again at once."""
        frame = Frame(shape, 1)
        blob = np.zeros(HEAD.size + frame.size, np.uint8)
        blob[:HEAD.size] = np.frombuffer(HEAD.pack(MAGIC, 0), np.uint8)
        frame.begin(blob[HEAD.size:])
        size = len(blob)
        is_taken = api.llama_state_seq_set_data(self.context, blob.ctypes.data_as(_BYTES), size, self.spare) == size
        api.llama_memory_seq_rm(self.handle, self.spare, -1, -1)
        return bool(is_taken)

    def cut(self, count: int) -> None:
        api.llama_memory_seq_rm(self.handle, 0, count, -1)

    def holds(self, count: int, window: int) -> bool:
        """Whether the sequence has what a token behind position `count` looks at, and nothing behind it."""
        first = api.llama_memory_seq_pos_min(self.handle, 0)
        least = max(0, count - window) if window else 0
        return 0 <= first <= least and api.llama_memory_seq_pos_max(self.handle, 0) == count - 1


class PrefixCache(BaseLlamaCache):
    """Keeps the keys and values of prompts and replies of a `Llama` in a store. For `Llama.set_cache`.

    `llm`: the model. `folder`: the store, which other processes may use at the same time, or an open `Store`.
    `quota`: bytes on disk, for all processes. `salt`: a tenant's secret of 16 bytes or more. `page_tokens`: tokens of a
    page. `changes`: names whatever changes keys and values and is not in the model's file, its LoRA or its
    `kv_overrides`, such as control vectors. `codec`: as of `prefixstore.open`; without it "raw", which loads
    fastest, or "auto" for f32 and bf16, which shrink by more than a seventh. `key_file`: a file with the key that seals
    what is stored; without it, the variable PFX_KEY. `remote`: the URL of a server that hosts share, as of
    `prefixstore.open`.

    It is a cache: what cannot be stored or loaded is computed, and a warning says why. Raises `UnknownMemoryError` for
    a model whose memory cannot be cut into tokens, and the errors of `prefixstore.open`. Not thread-safe, as `Llama`.
    """

    def __init__(
        self, llm: api.Llama, folder: Any, *, quota: Optional[int] = None, salt: Optional[bytes] = None,
        page_tokens: int = 64, changes: str = "", codec: Optional[str] = None, key_file: Optional[Path] = None,
        remote: Optional[str] = None,
    ) -> None:
        super().__init__()
        self._llm = llm
        self._memory = _Memory(llm._ctx.ctx)
        self._refuse()
        if codec is None:
            codec = "auto" if llm.context_params.type_k in _SHRINKING else "raw"
        self._kept = AdapterStore(folder, warn, key_file=key_file, remote=remote, quota=quota, codec=codec)

        def open_space(store: Store) -> Space:
            weights = model_digest(store, llm.model_path)
            self._shape = self._learn(store, weights)
            settings = llm.context_params
            loras = [(llm.lora_path, llm.lora_scale)] if llm.lora_path else []
            overrides = sorted((llm.kv_overrides or {}).items())
            made = identity(
                store, llm.model_path, self._shape.flash_attention, positions(
                    settings.rope_freq_base, settings.rope_freq_scale, settings.rope_scaling_type,
                    (settings.yarn_ext_factor, settings.yarn_attn_factor, settings.yarn_beta_fast,
                     settings.yarn_beta_slow), settings.yarn_orig_ctx),
                loras=loras, changes=changes + (repr(overrides) if overrides else ""), salt=salt, weights=weights)
            return store.space(made, self._shape.planes(), page_tokens)

        self._space: Space = self._kept.begin(open_space)
        #: The store; the first call of `close` closes it if this cache has opened it.
        self.store: Store = self._kept.store
        self._pieces = Pieces(self._shape)
        self._window = 0 if llm.context_params.swa_full else self._shape.window
        # A blob leaves out what the sequence's last token does not see. Nothing of one page is out of sight.
        self._restored_at_once, self._stored_at_once = (
            page_tokens if self._shape.window
            else max(1, size // (self._shape.token_bytes * page_tokens)) * page_tokens
            for size in (_BYTES_RESTORED, _BYTES_STORED))
        self._has_stored = False
        self._sequence: Optional[Any] = None
        self._stored = np.empty(0, np.int32)
        #: Tokens that the last look-up loaded.
        self.restored_tokens = 0
        self._save_state = llm.save_state
        llm.save_state = self._state_or_nothing

    # What Llama calls.

    def __getitem__(self, key: Sequence[int]) -> Any:
        """Loads the longest stored prefix of `key` into the context. Always raises KeyError: there is no state for
        Llama to load any more, and it finds the tokens in its context."""
        self.restored_tokens = 0
        if self._has_stored:
            self._kept.look_for_losses()
        try:
            self._restore(np.asarray(key, np.int32))
        except Exception as problem:  # the prompt is computed
            self._empty()
            warnings.warn(f"PrefixStore could not load a prompt, which is computed: {problem}", stacklevel=2)
        raise KeyError("the tokens are in the context")

    def __setitem__(self, key: Sequence[int], value: Any) -> None:
        """Stores what the context holds of `key`."""
        self._has_stored = True
        try:
            self._store(np.asarray(key, np.int32))
        except Exception as problem:  # a reply must not be lost
            self._drop_sequence()
            warnings.warn(f"PrefixStore could not store a prompt: {problem}", stacklevel=2)

    def __contains__(self, key: Sequence[int]) -> bool:
        with self._space.match(np.asarray(key, np.int32)) as match:
            return match.tokens > 0

    @property
    def cache_size(self) -> int:
        """Bytes that this process has written into the store."""
        return int(self.store.statistics().get("spilled_encoded_bytes", 0))

    # For people.

    def explain(self, prompt: Any) -> str:
        """Says how much of a prompt (text or tokens) is stored, and if nothing is, in what the context differs."""
        tokens = self._llm.tokenize(prompt.encode()) if isinstance(prompt, str) else list(prompt)
        return sentence(self._space.explain(tokens))

    def flush(self, timeout: Optional[float] = None) -> None:
        """Waits until what was stored survives a kill and a power cut. `close` and the end of the program do it too."""
        self.store.flush(timeout)

    def close(self) -> None:
        """Takes the cache off its model, and closes the store if this cache has opened it. A warning says what could not
        be written."""
        if self._llm.cache is self:
            self._llm.set_cache(None)
        self._llm.save_state = self._save_state
        self._drop_sequence()
        self._kept.close()

    # Inside.

    def _state_or_nothing(self) -> Any:
        """`Llama.save_state`, but not when Llama calls it for this cache: a copy of the whole context, for nothing."""
        caller = sys._getframe(1).f_code.co_name
        return None if caller == "_create_completion" and self._llm.cache is self else self._save_state()

    def _refuse(self) -> None:
        """Raises `UnknownMemoryError` for what cannot work."""
        model = self._llm._model.model
        if api.llama_model_is_recurrent(model) or api.llama_model_is_hybrid(model):
            raise UnknownMemoryError("This model has a recurrent state, which cannot be cut. Run it without a store.")
        if self._llm.context_params.n_seq_max != 1:
            raise UnknownMemoryError("A Llama for embeddings keeps no prompts. Run it without a store.")

    def _learn(self, store: Store, weights: bytes) -> Shape:
        """The form of the context's state, from the store if it is remembered there and the context accepts it.
        Otherwise from a token in the context: one that is there, or one that is decoded for it."""
        llm, memory = self._llm, self._memory
        settings = llm.context_params
        context = f"k={settings.type_k} v={settings.type_v} flash={settings.flash_attn_type}"
        known = recall(store, weights, context)
        if known is not None and memory.accepts(known):
            return known
        last = api.llama_memory_seq_pos_max(memory.handle, 0)
        if last < 0:
            tokens = (api.llama_token * 1)(max(0, llm.token_bos()))
            if api.llama_decode(llm._ctx.ctx, api.llama_batch_get_one(tokens, 1)) != 0:
                raise UnknownMemoryError("llama_decode of one token failed.")
        window = api.llama_model_n_swa(llm._model.model)
        shape = Shape.learn(memory.fetch(max(0, last), max(0, last) + 1), window)
        if last < 0:
            memory.cut(0)
        remember(store, weights, context, shape)
        return shape

    def _empty(self) -> None:
        self._memory.cut(0)
        self._llm.n_tokens = 0
        self._llm._requires_eval = True

    def _live(self, tokens: np.ndarray) -> int:
        """How many of the tokens are in the context."""
        count = min(self._llm.n_tokens, len(tokens))
        differing = np.nonzero(self._llm.input_ids[:count] != tokens[:count])[0]
        return int(differing[0]) if len(differing) else count

    def _restore(self, tokens: np.ndarray) -> None:
        llm = self._llm
        # The last token must be decoded. A Llama that keeps the logits of all tokens has none for those of a store.
        limit = len(tokens) - 1
        live = self._live(tokens)
        if live >= limit or llm._logits_all:
            return
        with self._space.match(tokens) as match:
            limit = min(limit, match.tokens)
            if limit <= live:
                return
            self._memory.cut(live)
            have = live if live and self._memory.holds(live, self._window) else 0
            while limit > have:
                if have == 0:
                    self._memory.cut(0)
                came = self._put_pieces(match, have, limit)
                if came == limit and self._memory.holds(limit, self._window):
                    llm.input_ids[:limit] = tokens[:limit]
                    llm.n_tokens = limit
                    llm._requires_eval = True
                    self.restored_tokens = limit - have
                    return
                # Not all of it came: begin again with as much as did, so that windows end where the sequence does.
                limit, have = (came if came < limit else 0), 0
        self._empty()

    def _cuts(self, start: int, stop: int) -> List[Cut]:
        """The pieces of tokens `start` to `stop`. Only the last `self._window` of them are in windowed layers."""
        edge = max(0, stop - self._window) if self._window else 0
        cuts: List[Cut] = []
        while start < stop:
            end = min(stop, start + self._restored_at_once)
            if start < edge < end:
                end = edge
            cuts.append(Cut(start, end, start >= edge))
            start = end
        return cuts

    def _put_pieces(self, match: Any, have: int, stop: int) -> int:
        """Puts tokens `have` to `stop` behind those in the context. Returns how far it came."""
        cuts = self._cuts(have, stop)
        with closing(self._pieces.load(match, cuts)) as pieces:
            for cut, (blob, loaded) in zip(cuts, pieces):
                if loaded < cut.stop - cut.start:
                    return cut.start + loaded
                if not self._memory.put(blob):
                    return cut.start
        return stop

    def _store(self, key: np.ndarray) -> None:
        # The last sampled token has no keys and values yet.
        tokens = np.array(self._llm.input_ids[:self._llm.n_tokens], np.int32)
        count = min(len(tokens), len(key))
        differing = np.nonzero(tokens[:count] != key[:count])[0]
        tokens = tokens[:int(differing[0]) if len(differing) else count]
        known = len(self._stored)
        if self._sequence is None or known > len(tokens) or not np.array_equal(self._stored, tokens[:known]):
            self._drop_sequence()
            with self._space.match(tokens) as match:
                if match.tokens == len(tokens):
                    return
                self._sequence = self._space.sequence(match, match.tokens)
            self._stored = tokens[:self._sequence.tokens]
        sequence = self._sequence
        while len(self._stored) < len(tokens):
            start = len(self._stored)
            stop = min(len(tokens), start + self._stored_at_once - start % self._space.page_tokens)
            rows: List[np.ndarray] = self._shape.gather(self._shape.read(self._memory.fetch(start, stop)), start, stop)
            if len(rows[0]):
                sequence.append(tokens[start:start + len(rows[0])], rows)
            self._stored = tokens[:start + len(rows[0])]
            if start + len(rows[0]) < stop:
                warnings.warn(
                    f"Token {len(self._stored)} has left the windows of this model and is not stored. Make the Llama "
                    "with swa_full=True.", stacklevel=3)
                return
        if len(tokens) % self._space.page_tokens:
            sequence.store_tail()

    def _drop_sequence(self) -> None:
        if self._sequence is not None:
            self._sequence.close()
        self._sequence = None
        self._stored = np.empty(0, np.int32)
