"""A prefix cache for transformers that survives restarts.

    from transformers import AutoModelForCausalLM, AutoTokenizer
    from prefixstore.adapters.transformers import PrefixCache

    tokenizer = AutoTokenizer.from_pretrained("model")
    model = AutoModelForCausalLM.from_pretrained("model").eval()
    cache = PrefixCache(model, tokenizer, "kv")
    reply = cache.generate(tokenizer("...", return_tensors="pt").input_ids, max_new_tokens=64)

`generate` is the model's own, which begins behind the longest stored prefix of the prompt; afterwards prompt and reply
are stored. `restore` and `store` are its two halves, for programs that call the model themselves.
"""

from __future__ import annotations

import warnings
from typing import Any, List, Mapping, Optional, Tuple, Union

from ._extras import missing

try:
    import numpy as np
    import torch
    from transformers import DynamicCache
    from transformers.cache_utils import DynamicLayer
except ImportError as problem:
    raise missing(problem, "transformers", "transformers") from None

from .. import Element, Match, Plane, PrefixStoreError, Space, Store
from ._adapter_store import AdapterStore, Path, warn
from ._transformers_identity import UnsupportedModelError, check_model, identity, sentence, stamp, tokenizer_digest

__all__ = ["PrefixCache", "UnsupportedModelError"]

_ELEMENTS = {torch.float32: Element.FP32, torch.float16: Element.FP16, torch.bfloat16: Element.BF16}
# With these, `generate` makes keys and values of something else than the tokens, or of several sequences.
_OWN_CACHE = (
    "past_key_values", "inputs_embeds", "position_ids", "cache_implementation", "assistant_model",
    "prompt_lookup_num_tokens", "negative_prompt_ids")
_ONE = ("num_beams", "num_return_sequences", "guidance_scale")

#: Token ids: a tensor or array of the shape [tokens] or [1, tokens], a list, or what a call of the tokenizer gives.
TokenIds = Union[torch.Tensor, np.ndarray, List[int], Mapping[str, Any]]


class PrefixCache:
    """Keeps the keys and values of prompts and replies of a model in a store.

    `model`: a causal model of Llama, Mistral, Qwen2 or Qwen3, on the CPU and in `eval()`. `tokenizer`: its tokenizer;
    None for a program that makes token ids by itself. `store`: the folder, which other processes may use at the same
    time, or an open `Store`. `quota`: bytes on disk, for all processes. `hot_capacity`: bytes of RAM for pages of this
    process; without it a prompt is found again as soon as it is on disk. `salt`: a tenant's secret of 16 bytes or more.
    `page_tokens`: tokens of a page. `changes`: names whatever changes keys and values and is neither a tensor of the
    model nor a LoRA of PEFT, such as a hook. `key_file`: a file with the key that seals what is stored; without it, the
    variable PFX_KEY. `remote`: the URL of a server that hosts share, as of `prefixstore.open`.

    It reads the whole model once, for the digest of its weights, and again when they have changed.

    It is a cache: what cannot be stored or loaded is computed, and a warning says why. Raises `UnsupportedModelError`
    for a model, cache or option that it does not know, and the errors of `prefixstore.open`. Use it from one thread at
    a time.
    """

    def __init__(
        self, model: Any, tokenizer: Any, store: Any, *, quota: Optional[int] = None, hot_capacity: int = 0,
        salt: Optional[bytes] = None, page_tokens: int = 64, changes: str = "", key_file: Optional[Path] = None,
        remote: Optional[str] = None,
    ) -> None:
        check_model(model)
        self._model = model
        self._tokenizer = tokenizer_digest(tokenizer)
        self._salt, self._changes, self._page_tokens = salt, changes, page_tokens
        config = model.config
        if model.dtype not in _ELEMENTS:
            raise UnsupportedModelError(f"The dtype {model.dtype} is not known. Run the model without a store.")
        self._layers: int = config.num_hidden_layers
        self._heads: int = config.num_key_value_heads
        self._head_dim: int = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
        self._new_cache()
        self._space: Optional[Space] = None
        self._stamp: Any = None
        #: Tokens that the last `restore` or `generate` took from the store.
        self.restored_tokens = 0
        self._kept = AdapterStore(
            store, warn, key_file=key_file, remote=remote, quota=quota, hot_capacity=hot_capacity)
        self._kept.begin(lambda _: self._current_space())

    @property
    def opened(self) -> Store:
        """The open store; the first call of `close` closes it if this cache has opened it."""
        return self._kept.store

    def generate(self, input_ids: TokenIds, **options: Any) -> Any:
        """The model's `generate`, behind what is stored of the prompt; then stores what is new of prompt and reply.

        `input_ids`: the prompt, or what the tokenizer has made of it, with its attention mask. `options` are those of
        the model's `generate`. One sequence, without padding and without beams.

        Returns what the model's `generate` returns. Raises `UnsupportedModelError` for other options.
        """
        if isinstance(input_ids, Mapping) and "attention_mask" in input_ids:
            options.setdefault("attention_mask", torch.as_tensor(input_ids["attention_mask"]).reshape(1, -1))
        self._check_options(options)
        tokens = torch.from_numpy(_token_ids(input_ids).astype(np.int64)).reshape(1, -1)
        cache, _ = self.restore(tokens)
        # Without a mask, generate takes each pad token of the prompt for padding.
        options.setdefault("attention_mask", torch.ones_like(tokens))
        reply = self._model.generate(tokens, past_key_values=cache, **options)
        self.store(reply if isinstance(reply, torch.Tensor) else reply.sequences, cache)
        return reply

    def restore(self, input_ids: TokenIds) -> Tuple[DynamicCache, int]:
        """A new cache with the longest stored prefix of the prompt, and how many tokens that is.

        The last token is always left for the model, whose logits are those of the next one. Keys and values of each
        layer are `[1, kv_heads, tokens, head_dim]`, and the cache is the caller's. Nothing stored, or nothing that can
        be trusted, is an empty cache and 0.
        """
        tokens = _token_ids(input_ids)
        self._kept.look_for_losses()
        self.restored_tokens = 0
        cache = self._new_cache()
        try:
            with self._current_space().match(tokens) as match:
                self.restored_tokens = self._load(match, cache, min(match.tokens, len(tokens) - 1))
        except PrefixStoreError as problem:
            warnings.warn(f"PrefixStore could not load a prompt, which is computed: {problem}", stacklevel=2)
            return self._new_cache(), 0
        return cache, self.restored_tokens

    def store(self, input_ids: TokenIds, cache: DynamicCache) -> int:
        """Stores what is new of a sequence. The cache has keys and values of its first tokens, made by this model.

        Tokens behind the cache, such as the last one of a reply, are left out. Call it with the cache that `restore`
        gave and the model has filled.

        Returns how many tokens of the sequence are in the store now. Raises `UnsupportedModelError` for a cache of
        other layers.
        """
        tokens = _token_ids(input_ids)
        self._check_cache(cache)
        tokens = tokens[:cache.get_seq_length()]
        if not len(tokens):
            return 0
        self._kept.look_for_losses()
        try:
            space = self._current_space()
            with space.match(tokens) as match:
                if match.tokens < len(tokens):
                    space.insert(tokens, self._planes_of(cache), after=match, loaded=match.tokens)
        except PrefixStoreError as problem:
            warnings.warn(f"PrefixStore could not store a prompt: {problem}", stacklevel=2)
            return 0
        return len(tokens)

    def explain(self, input_ids: TokenIds) -> str:
        """Says how much of a prompt is stored, and if nothing is, in what this model differs from what is stored."""
        return sentence(self._current_space().explain(_token_ids(input_ids)))

    def flush(self, timeout: Optional[float] = None) -> None:
        """Waits until what was stored survives a kill and a power cut. `close` and the end of the program do it too."""
        self.opened.flush(timeout)

    def close(self) -> None:
        """Closes the store if this cache has opened it. A warning says what could not be written."""
        self._kept.close()

    def __enter__(self) -> PrefixCache:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    # Inside.

    def _current_space(self) -> Space:
        """The space of the model as it is now: an adapter may have been loaded, and weights may have been trained."""
        if self._model.training:
            raise UnsupportedModelError("The model is in training, where dropout changes keys. Call model.eval().")
        now = stamp(self._model)
        if self._space is None or now != self._stamp:
            check_model(self._model)
            # A row is the head of one token: the heads of a token do not lie together in the tensors of transformers.
            row = self._head_dim * self._model.dtype.itemsize
            planes = [
                Plane(layer, row, _ELEMENTS[self._model.dtype])
                for layer in range(self._layers) for _ in range(2 * self._heads)]
            made = identity(self._model, self._tokenizer, self._salt, self._changes)
            if self._space is not None:
                self._space.close()
            self._space, self._stamp = self.opened.space(made, planes, self._page_tokens), now
        return self._space

    def _new_cache(self) -> DynamicCache:
        """An empty cache. Raises UnsupportedModelError when one of its layers forgets tokens or keeps other states."""
        cache = DynamicCache(config=self._model.config)
        self._check_layers(cache)
        return cache

    def _check_layers(self, cache: DynamicCache) -> None:
        if type(cache) is not DynamicCache:
            raise UnsupportedModelError(f"The cache is a {type(cache).__name__}. Give a DynamicCache.")
        for at, layer in enumerate(cache.layers):
            if type(layer) is not DynamicLayer:
                raise UnsupportedModelError(
                    f"Layer {at} of the cache is a {type(layer).__name__}. Only DynamicLayer keeps all tokens: run the "
                    "model without a store, or without sliding windows if it was trained so.")

    def _check_cache(self, cache: DynamicCache) -> None:
        self._check_layers(cache)
        length = cache.get_seq_length()
        if length and len(cache.layers) != self._layers:
            raise UnsupportedModelError(f"The cache has {len(cache.layers)} layers, and the model {self._layers}.")
        wanted = (1, self._heads, length, self._head_dim)
        for at, layer in enumerate(cache.layers if length else []):
            for side, tensor in (("keys", layer.keys), ("values", layer.values)):
                has = (tuple(tensor.shape), tensor.dtype, tensor.device.type)
                if has != (wanted, self._model.dtype, "cpu"):
                    raise UnsupportedModelError(
                        f"The {side} of layer {at} are {has[0]} of {has[1]} on {tensor.device}; a cache of this model "
                        f"has {wanted} of {self._model.dtype} on the CPU. Give one that it has filled.")

    def _check_options(self, options: Any) -> None:
        settings = options.get("generation_config") or self._model.generation_config
        for name in _OWN_CACHE:
            if options.get(name, getattr(settings, name, None)) is not None:
                raise UnsupportedModelError(f"generate with {name} makes its own cache. Leave it out, or use no store.")
        for name in _ONE:
            if (options.get(name, getattr(settings, name, None)) or 1) != 1:
                raise UnsupportedModelError(f"generate with {name} has several sequences. Leave it out, or go without.")
        if options.get("use_cache", getattr(settings, "use_cache", True)) is False:
            raise UnsupportedModelError("generate with use_cache=False keeps nothing. Leave it out, or use no store.")
        mask = options.get("attention_mask")
        if mask is not None and not bool(torch.all(mask == 1)):
            raise UnsupportedModelError("The attention mask hides tokens. Give one prompt, without padding.")

    def _planes_of(self, cache: DynamicCache) -> List[torch.Tensor]:
        """Each head of keys, then of values, of each layer: views into the cache."""
        sides = [side[0] for layer in cache.layers for side in (layer.keys, layer.values)]
        return [head for side in sides for head in (side if side.stride(-1) == 1 else side.contiguous())]

    def _load(self, match: Match, cache: DynamicCache, count: int) -> int:
        """Fills an empty cache with the first `count` tokens of a match, or with as many as came."""
        if count <= 0:
            return 0
        for layer in cache.layers:
            shape = (1, self._heads, count, self._head_dim)
            keys, values = (torch.empty(shape, dtype=self._model.dtype) for _ in range(2))
            # Not `update`, which would copy.
            layer.lazy_initialization(keys, values)
            layer.keys, layer.values = keys, values
        came = match.load(self._planes_of(cache), stop=count)
        if came < count:
            for layer in cache.layers:
                layer.keys, layer.values = layer.keys[:, :, :came], layer.values[:, :, :came]
        return came


def _token_ids(input_ids: TokenIds) -> np.ndarray:
    """Token ids of one sequence, one at least, as the store takes them."""
    if isinstance(input_ids, Mapping):  # a BatchEncoding
        if "input_ids" not in input_ids:
            raise TypeError("The prompt is a mapping without input_ids. Give what a call of the tokenizer returns.")
        input_ids = input_ids["input_ids"]
    if isinstance(input_ids, (str, bytes)):
        raise TypeError("The prompt is a text. Give what a call of the tokenizer makes of it: tokenizer(text).")
    if isinstance(input_ids, torch.Tensor) and input_ids.dtype.is_floating_point and input_ids.numel():
        raise TypeError(f"input_ids are {input_ids.dtype}. Give token ids.")
    ids = np.asarray(input_ids.cpu() if isinstance(input_ids, torch.Tensor) else input_ids)
    if ids.ndim == 2 and len(ids) == 1:
        ids = ids[0]
    if not ids.size:
        raise ValueError("The prompt has no token. Give one at least.")
    if ids.ndim != 1:
        raise UnsupportedModelError(f"input_ids have the shape {list(ids.shape)}. Give one prompt, [1, tokens].")
    if not (0 <= ids.min() and ids.max() < 2 ** 31):
        raise ValueError("A token id is below 0, or 2**31 or more. Give the ids of the tokenizer.")
    return ids.astype(np.int32)
