"""A prefix cache for the dynamic generator of ExLlamaV2 that survives restarts.

    from exllamav2.generator import ExLlamaV2DynamicGenerator
    from prefixstore.adapters.exllamav2 import PrefixCache

    generator = ExLlamaV2DynamicGenerator(model=model, cache=cache, tokenizer=tokenizer)
    prefix = PrefixCache(generator, "kv")

Nothing else changes. The generator has a cache of its own, a table of pages with 256 tokens each. Before a job takes
its pages, what is stored of its prompt is put into free ones, as if an earlier job had left it there: the generator
finds it as its own. A page is stored when it is complete, and the last one, to the token, when its job ends. Make it
before the first job; of the asyncio wrapper, give its attribute `generator`.
"""

from __future__ import annotations

import functools
import warnings
from typing import Any, Callable, Iterator, List, Optional, Set, Tuple

from ._extras import missing

try:
    import numpy as np
    import torch
except ImportError as problem:
    raise missing(problem, "exllamav2", "exllamav2") from None

from .. import Match, Space, Store
from ._adapter_store import AdapterStore, Path, warn
from ._exllama_identity import PAGE, UnsupportedGeneratorError, check, identity, loras, planes, sentence, table_of
from ._exllama_pages import FIRST_OF_IMAGES, Cache, Writer, names_of

__all__ = ["PrefixCache", "UnsupportedGeneratorError"]

# The engine takes over a part of a page from two tokens on.
_LEAST_PART = 2


class PrefixCache:
    """Keeps the pages of a generator in a store.

    `generator`: an `ExLlamaV2DynamicGenerator` in paged mode, with a cache of FP16, Q4, Q6 or Q8. `store`: the folder,
    which other processes may use at the same time, or an open `Store`. `quota`: bytes on disk, for all processes.
    `salt`: a tenant's secret of 16 bytes or more. `page_tokens`: tokens of a page in the store. `changes`: names
    whatever changes keys and values and is neither a file of the model, a LoRA, nor a setting of its configuration.
    `key_file`: a file with the key that seals what is stored; without it, the variable PFX_KEY. `remote`: the URL of a
    server that hosts share, as of `prefixstore.open`.

    It is a cache: what cannot be stored or loaded is computed, and a warning says why. Raises
    `UnsupportedGeneratorError` for a generator that it does not know or that has jobs, and the errors of
    `prefixstore.open`. Use it on the thread that calls `iterate`.
    """

    def __init__(
        self, generator: Any, store: Any, *, quota: Optional[int] = None, salt: Optional[bytes] = None,
        page_tokens: int = 64, changes: str = "", key_file: Optional[Path] = None,
        remote: Optional[str] = None,
    ) -> None:
        check(generator)
        self._generator, self._table = generator, table_of(generator)
        self._salt, self._changes = salt, changes
        self._planes, views = planes(generator)
        self._cache = Cache(views)
        self._page_tokens = page_tokens
        self._kept = AdapterStore(store, warn, key_file=key_file, remote=remote, quota=quota)
        self._loras = loras(generator)
        #: Tokens that were put into pages of the generator so far.
        self.restored_tokens = 0
        #: Why nothing is restored or stored any more, or None.
        self.steps_aside: Optional[str] = None
        self._writers: List[Tuple[Any, Writer]] = []

        def begin(_: Store) -> Space:
            self._forget_pages("this cache was made")
            return self._open_space()

        self._space = self._kept.begin(begin)
        self._hook(generator, "enqueue", self._enqueue)
        self._hook(generator, "iterate", self._iterate)

    @property
    def opened(self) -> Store:
        """The open store; the first call of `close` closes it if this cache has opened it."""
        return self._kept.store

    def explain(self, input_ids: Any) -> str:
        """Says how much of a prompt is stored, and if nothing is, in what this generator differs from others."""
        return sentence(self._space.explain(np.asarray(input_ids).reshape(-1).astype(np.int32)))

    def flush(self, timeout: Optional[float] = None) -> None:
        """Waits until what was stored survives a kill and a power cut. `close` and the end of the program do it too."""
        self.opened.flush(timeout)

    def close(self) -> None:
        """Leaves the generator as it was, and closes the store if this cache has opened it. A warning says what could
        not be written."""
        for name in ("enqueue", "iterate"):
            vars(self._generator).pop(name, None)
        self.steps_aside = self.steps_aside or "it was closed."
        for _, writer in self._writers:
            writer.close()
        self._writers = []
        self._kept.close()

    # What the generator calls.

    def _hook(self, holder: Any, name: str, around: Callable[..., Any]) -> None:
        """Puts a function around a method of one object; nothing in the package is replaced."""
        method = getattr(holder, name)
        setattr(holder, name, functools.wraps(method)(functools.partial(around, method)))

    def _guarded(self, action: Callable[..., None], *arguments: Any) -> None:
        """Does something that the engine's work must not depend on."""
        if self.steps_aside is not None:
            return
        try:
            action(*arguments)
        except UnsupportedGeneratorError as problem:
            self.steps_aside = str(problem)
            warnings.warn(f"PrefixStore steps aside: {problem}", stacklevel=4)
        except Exception as problem:  # the prompt is computed, and its reply is given
            warnings.warn(f"PrefixStore could not load or store a prompt: {problem}", stacklevel=4)

    def _enqueue(self, enqueue: Callable[..., Any], job: Any) -> Any:
        if isinstance(job, list):
            return [self._enqueue(enqueue, one) for one in job]
        self._guarded(self._look_at_loras)
        self._kept.look_for_losses()
        serial = enqueue(job)
        self._hook(job, "allocate_pages", functools.partial(self._allocate, job))
        self._hook(job, "deallocate_pages", functools.partial(self._deallocate, job))
        return serial

    def _allocate(self, job: Any, allocate: Callable[..., Any], *arguments: Any) -> Any:
        for sequence in self._sequences_of(job):
            self._guarded(self._restore, sequence, set(job.all_unique_hashes))
        result = allocate(*arguments)
        self._guarded(self._begin_to_write, job)
        return result

    def _iterate(self, iterate: Callable[..., Any], *arguments: Any) -> Any:
        results = iterate(*arguments)
        for sequence, writer in list(self._writers):
            self._guarded(writer.advance, sequence, False)
        return results

    def _deallocate(self, job: Any, deallocate: Callable[..., Any], *arguments: Any) -> Any:
        for sequence in job.sequences:
            self._guarded(self._end_writing, sequence)
        return deallocate(*arguments)

    # Inside.

    def _open_space(self) -> Space:
        made = identity(self.opened, self._generator, self._changes, self._salt)
        return self.opened.space(made, self._planes, self._page_tokens)

    def _forget_pages(self, what: str) -> None:
        """Empties the engine's table: nobody knows under which adapters its pages were computed. The engine would take
        them for its own hits, and this cache would store them."""
        if self._generator.num_remaining_jobs():
            raise UnsupportedGeneratorError(f"{what} while the generator had jobs. Do it when they have ended.")
        if any(page.kv_position for page in self._table.all_pages):
            self._table.reset_page_table()

    def _look_at_loras(self) -> None:
        """Changes the space when the generator has got other adapters."""
        check(self._generator)
        now = loras(self._generator)
        if now == self._loras:
            return
        self._forget_pages("the adapters (LoRA) were changed")
        try:
            self._space, self._loras = self._open_space(), now
        except Exception as problem:  # the old space must not get pages of the new adapters
            raise UnsupportedGeneratorError(f"the new adapters (LoRA) have no digest: {problem}") from problem

    @staticmethod
    def _sequences_of(job: Any) -> List[Any]:
        """The sequences of a job; none of one with images, which may change the positions of text too."""
        return [] if job.embeddings else list(job.sequences)

    def _begin_to_write(self, job: Any) -> None:
        for sequence in self._sequences_of(job):
            # Without this link the engine takes the first page of a reply behind whole pages for that of a prompt.
            for before, page in zip(sequence.allocated_pages, sequence.allocated_pages[1:]):
                if before.kv_position == PAGE and page.kv_position == 0 and page.prev_hash is None:
                    page.prev_hash = before.phash
            self._writers.append((sequence, Writer(self._space, self._cache)))

    def _end_writing(self, sequence: Any) -> None:
        """Stores the rest of a sequence whose job ends, is cancelled, or waits for its turn again."""
        mine = [entry for entry in self._writers if entry[0] is sequence]
        self._writers = [entry for entry in self._writers if entry[0] is not sequence]
        for _, writer in mine:
            try:
                writer.advance(sequence, True)
            finally:
                writer.close()

    def _live_page(self, name: bytes) -> Optional[Any]:
        return self._table.referenced_pages.get(name) or self._table.unreferenced_pages.get(name)

    def _restore(self, sequence: Any, protected: Set[bytes]) -> None:
        """Puts what is stored of a prompt into free pages of the table."""
        tokens = sequence.sequence_ids.torch()[0]
        names = sequence.page_hashes[:getattr(sequence, "max_cached_pages", None)]
        pages = list(names_of(tokens, len(names)))
        if any(name != own for (name, _), own in zip(pages, names)):
            raise UnsupportedGeneratorError("this version of the engine names pages in another way.")
        have = 0
        while have < len(pages) and getattr(self._live_page(names[have]), "kv_position", 0) == PAGE:
            have += 1
        end = min(len(tokens) - 1, len(pages) * PAGE + PAGE - 1)
        images = (tokens[:end] >= FIRST_OF_IMAGES).nonzero()
        end = int(images[0]) if len(images) else end
        if end < 1:
            return
        with self._space.match(tokens[:end].numpy().astype(np.int32)) as match:
            victims = self._victims(protected)
            whole = match.tokens // PAGE
            while have < whole:
                count = min(self._cache.staged_pages, whole - have)
                memory = self._cache.memory(count * PAGE)
                came = match.load(memory, start=have * PAGE, stop=(have + count) * PAGE) // PAGE
                for at in range(came):
                    if not self._put_page(memory, at, have + at, pages, victims):
                        return
                have += came
                if came < count:
                    return
            self._put_part(match, tokens, names[whole - 1] if whole else None, whole * PAGE, victims)

    def _put_page(self, memory: List[torch.Tensor], at: int, number: int, pages: Any, victims: Iterator[Any]) -> bool:
        """Makes a free page a page of the prompt. False: there is none, or a running job computes it."""
        name, tokens = pages[number]
        page = self._live_page(name)
        if page is not None and page.kv_position == PAGE:
            return True
        if page is not None and page.ref_count:
            return False
        self._table.access_serial += 1
        if page is not None:  # of a job that was cancelled in the middle of its prompt: it has the name, and no rows
            page.add_ref(self._table.access_serial)
        else:
            page = next(victims, None)
            if page is None:
                return False
            page.add_ref_clear(self._table.access_serial, name)
        self._fill(page, memory, at * PAGE, tokens, pages[number - 1][0] if number else None)
        return True

    def _fill(
        self, page: Any, memory: List[torch.Tensor], first: int, tokens: torch.Tensor, before: Optional[bytes],
    ) -> None:
        """Fills a page that this cache has taken, and gives it back. If that fails, the page holds nothing."""
        try:
            page.kv_position, page.can_revert = 0, False
            self._cache.fill(page, memory, first, len(tokens))
            page.sequence[0, :len(tokens)].copy_(tokens)
            page.prev_hash, page.kv_position = before, len(tokens)
            self.restored_tokens += len(tokens)
        finally:
            page.sub_ref()

    def _put_part(
        self, match: Match, tokens: torch.Tensor, before: Optional[bytes], first: int, victims: Iterator[Any],
    ) -> None:
        """Puts the tokens behind the last whole page into a page without a name, where the engine finds them by
        their ids and copies them, as it does with a page that other prompts have left."""
        part = tokens[first:match.tokens]
        best = max((
            int((page.sequence[0, :page.kv_position][:len(part)] == part[:page.kv_position]).long().cumprod(0).sum())
            for page in self._table.all_pages if page.prev_hash == before), default=0)
        if len(part) < _LEAST_PART or best >= len(part):
            return
        memory = self._cache.memory(len(part))
        came = match.load(memory, start=first, stop=match.tokens)
        page = next(victims, None) if came > max(best, _LEAST_PART - 1) else None
        if page is not None:
            self._table.access_serial += 1
            page.add_ref_unique(self._table.access_serial)
            self._fill(page, memory, 0, part[:came], before)

    def _victims(self, protected: Set[bytes]) -> Iterator[Any]:
        """Free pages in the order in which the engine itself would take them, but none that the job needs."""
        if hasattr(self._table, "build_eviction_order"):
            for page in self._table.build_eviction_order(protected):
                if page.ref_count == 0 and page.phash not in protected:
                    self._table.evict(page, protected)
                    yield page
            return
        for page in sorted(self._table.unreferenced_pages.values(), key=lambda page: page.access_serial):
            if page.ref_count == 0 and page.phash not in protected:
                yield page
