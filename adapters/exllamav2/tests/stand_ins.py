"""Lets the packages of ExLlamaV2 and ExLlamaV3 run on a machine without a GPU.

Only what such a machine lacks is replaced: the CUDA extension, triton, pinned memory, CUDA events. Generators, page
tables, jobs and caches are the packages' own. A function of the extension without a stand-in raises when it is called.
"""

import importlib.machinery
import sys
import types

import torch


class _Extension(types.ModuleType):
    """A compiled extension: every name is there."""

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)

        def absent(*_, **__):
            raise NotImplementedError(f"{self.__name__}.{name} has no stand-in")

        return absent


class _Anything(types.ModuleType):
    """What triton is at import: decorators, types, constants."""

    __path__ = []
    __version__ = "3.5.0"

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return _Anything(name)

    def __call__(self, *arguments, **_):
        return arguments[0] if arguments and callable(arguments[0]) else self

    def __getitem__(self, _):
        return self


class _Event:
    """A CUDA event on a machine where everything has happened."""

    def record(self, *_):
        pass

    synchronize = record

    def query(self):
        return True


def _count_equal(one, other, limit):
    """How many tokens two sequences share, `limit` at most."""
    count = min(int(limit), one.shape[-1], other.shape[-1])
    return int((one[0, :count] == other[0, :count]).long().cumprod(0).sum())


def _rotate_places(cache, order, _):
    """ExLlamaV2: the page of each place becomes that of the next place of the list; the last takes the first one's."""
    order = order.tolist()
    first = cache[order[0]].clone()
    for place, source in zip(order, order[1:]):
        cache[place] = cache[source]
    cache[order[-1]] = first


def _rotate_pairs(cache, order, spare):
    """ExLlamaV3: pairs of a place and a source; -1 is the spare page."""
    order = order.tolist()
    for place, source in zip(order[::2], order[1::2]):
        (spare if place < 0 else cache[place]).copy_(spare if source < 0 else cache[source])


def _stage_decode(arena, width, tables, positions, ropes, batch_ids, ids, pages, offsets):
    """ExLlamaV3: block tables and lengths of a batch into one arena; the next token of each row to its places."""
    rows = len(tables)
    blocks = arena[:rows * width].view(rows, width)
    blocks.zero_()
    for row, table in enumerate(tables):
        count = min(table.numel(), width)
        blocks[row, :count] = table.view(-1)[:count]
        arena[rows * width + row] = positions[row]
        if ropes:
            arena[rows * (width + 1) + row] = positions[row] + ropes[row]
    for row, sequence in enumerate(ids):
        token = sequence[0, positions[row]]
        batch_ids[row, 0] = token
        pages[row][0, offsets[row]] = token


def _install(module, name):
    origin = name + importlib.machinery.EXTENSION_SUFFIXES[0]
    module.__spec__ = importlib.machinery.ModuleSpec(
        name, importlib.machinery.ExtensionFileLoader(name, origin), origin=origin)
    sys.modules[name] = module


def _extension(name, **functions):
    module = _Extension(name)
    vars(module).update(functions)
    _install(module, name)


def install():
    """Call it before the packages are imported."""
    # PyTorch looks for triton when its compiler is imported: it must not find ours.
    import torch._inductor.compile_fx  # noqa: F401
    _extension("exllamav2_ext", count_match=_count_equal, cache_rotate=_rotate_places)
    _extension(
        "exllamav3_ext", count_match_tensor=_count_equal, cache_rotate=_rotate_pairs,
        generator_stage_decode=_stage_decode)
    for name in (
        "triton", "triton.language", "triton.language.extra", "triton.language.extra.libdevice", "triton.runtime",
        "triton.runtime.driver", "triton.testing", "triton.compiler", "triton.tools", "triton.tools.tensor_descriptor",
    ):
        module = _Anything(name)
        _install(module, name)
        parent, _, child = name.rpartition(".")
        if parent:
            setattr(sys.modules[parent], child, module)
    for name in ("empty", "zeros"):
        setattr(torch, name, _unpinned(getattr(torch, name)))
    torch.cuda.synchronize = lambda *_: None
    torch.cuda.current_stream = lambda *_: None
    torch.cuda.Event = _Event


def _unpinned(make):
    def unpinned(*arguments, **options):
        options.pop("pin_memory", None)
        return make(*arguments, **options)

    return unpinned
