"""What small pages cost, a block per page and in runs, against blocks of 256 KiB: the same bytes in turns.

    pages.py [--tokens N] [--row BYTES] [--rounds N]

    --tokens  2048: tokens of the prompt
    --row     4096: bytes of keys and values per token
    --rounds  5

Prints, per size of a page, medians of the ratios to the large blocks of the same round: store (with a flush), look-up,
load, bytes on disk. As SGLang does, a call has up to 128 pages. What is looked up and loaded was stored by another
object, as by another process. Keys and values are random bfloat16 with a normal distribution. Needs numpy.
"""

import argparse
import hashlib
import statistics
import tempfile
import time
from pathlib import Path

import numpy

import prefixstore
from prefixstore import Element, Identity, Plane
from prefixstore.adapters._block_runs import BlockRuns
from prefixstore.adapters._block_store import BlockStore, Context

LARGE = 256 << 10
PAGES = (1, 2, 4, 8, 16, 32, 64)
# Pages that SGLang gives with one call.
BATCH = 128
WAYS = {"alone": None, "in runs": BlockRuns}


def one(memory, size, name, make=None):
    """Seconds to store, look up and load, and bytes on disk. `make`: what puts small pages together."""
    keys = [hashlib.sha256(f"{name} {at}".encode()).hexdigest().encode() for at in range(len(memory) // size)]
    into = numpy.empty_like(memory)
    with tempfile.TemporaryDirectory() as folder:
        store = prefixstore.open(Path(folder) / "kv", quota=1 << 30)
        weights = hashlib.sha256(b"weights").digest()
        single = BlockStore(store, Context(Identity(weights, weights, "", "measure"), [Plane(0, 2)], 1), Element.BF16)
        times = []

        def timed(call, of):
            """All batches of a call on a part of the memory."""
            begin, view = time.perf_counter(), memoryview(of)
            blocks = make(single, size) if make else single
            for first in range(0, len(keys), BATCH):
                some = range(first, min(len(keys), first + BATCH))
                call(blocks, [keys[at] for at in some], [view[at * size : (at + 1) * size] for at in some])
            single.flush()
            times.append(time.perf_counter() - begin)

        def put(blocks, names, pages):
            assert all(blocks.put(names, pages))

        def look_up(blocks, names, _):
            assert blocks.leading(names) == len(names)

        def get(blocks, names, pages):
            assert all(blocks.get(names, pages))

        timed(put, memory)
        timed(look_up, memory)
        timed(get, into)
        assert numpy.array_equal(memory, into)
        store.close()
        used = (Path(folder) / "kv" / "data.mdb").stat().st_size
    return [*times, used]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tokens", type=int, default=2048)
    parser.add_argument("--row", type=int, default=4096)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    numbers = numpy.random.default_rng(1).standard_normal(arguments.tokens * arguments.row // 2, dtype=numpy.float32)
    # The upper half of a float32 is a bfloat16.
    memory = (numbers.view(numpy.uint32) >> 16).astype(numpy.uint16).view(numpy.uint8)
    one(memory, LARGE, "warm")
    sizes = [page * arguments.row for page in PAGES if page * arguments.row < LARGE]
    found = {(size, way): [] for size in sizes for way in WAYS}
    large = []
    for round_ in range(arguments.rounds):
        for size in sizes:
            name = f"{round_} {size}"
            large.append(one(memory, LARGE, name))
            for way, make in WAYS.items():
                small = one(memory, size, name, make)
                found[size, way].append([(a / b, a) for a, b in zip(small, large[-1])])
    columns = list(zip(*large))
    print(f"{arguments.tokens} tokens of {arguments.row} bytes, {arguments.rounds} rounds; blocks of 256 KiB: store "
          + " ms, look-up ".join(f"{statistics.median(column) * 1e3:.2f}" for column in columns[:2])
          + f" ms, load {statistics.median(columns[2]) * 1e3:.2f} ms, disk {statistics.median(columns[3]) / 1e6:.1f} MB")
    print("page              store                look-up              load                 disk")
    for (size, way), rounds in found.items():
        cells = [f"{statistics.median(r for r, _ in column):6.2f} x {statistics.median(v for _, v in column) * 1e3:7.1f} ms"
                 for column in list(zip(*rounds))[:3]]
        disk = statistics.median(r for r, _ in list(zip(*rounds))[3])
        print(f"{size >> 10:4d} KiB {way:8} {'  '.join(cells)}  {disk:5.2f} x")


if __name__ == "__main__":
    main()
