"""What one block per page costs against blocks of 256 KiB: the same bytes, stored and loaded in turns.

    pages.py [--tokens N] [--row BYTES] [--rounds N]

    --tokens  2048: tokens of the prompt
    --row     4096: bytes of keys and values per token
    --rounds  5

Prints, per size of a page, medians of the ratios to the large blocks of the same round: store (with a flush), look-up,
load, bytes on disk. Keys and values are random bfloat16 with a normal distribution. Needs numpy.
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
from prefixstore.adapters._block_store import BlockStore, Context

LARGE = 256 << 10
PAGES = (1, 2, 4, 8, 16, 32, 64)


def one(memory, size, name):
    """Seconds to store, look up and load, and bytes on disk."""
    keys = [hashlib.sha256(f"{name} {at}".encode()).hexdigest().encode() for at in range(len(memory) // size)]
    into = numpy.empty_like(memory)
    view, target = memoryview(memory), memoryview(into)
    with tempfile.TemporaryDirectory() as folder:
        store = prefixstore.open(Path(folder) / "kv", quota=1 << 30)
        weights = hashlib.sha256(b"weights").digest()
        blocks = BlockStore(store, Context(Identity(weights, weights, "", "measure"), [Plane(0, 2)], 1), Element.BF16)
        times = []

        def timed(call):
            begin = time.perf_counter()
            result = call()
            times.append(time.perf_counter() - begin)
            return result

        def put():
            assert all(blocks.put(keys, [view[at * size : (at + 1) * size] for at in range(len(keys))]))
            blocks.flush()

        timed(put)
        assert timed(lambda: blocks.leading(keys)) == len(keys)
        assert all(timed(lambda: blocks.get(keys, [target[at * size : (at + 1) * size] for at in range(len(keys))])))
        assert numpy.array_equal(memory, into)
        blocks.close()
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
    found = {page: [] for page in PAGES}
    large = []
    for round_ in range(arguments.rounds):
        for page in PAGES:
            size = page * arguments.row
            if size >= LARGE:
                continue
            reference = one(memory, LARGE, f"{round_} {page}")
            large.append(reference)
            small = one(memory, size, f"{round_} {page}")
            found[page].append([(a / b, a) for a, b in zip(small, reference)])
    print(f"{arguments.tokens} tokens of {arguments.row} bytes, {arguments.rounds} rounds; blocks of 256 KiB: store "
          + " ms, look-up ".join(f"{statistics.median(column) * 1e3:.2f}" for column in list(zip(*large))[:2])
          + f" ms, load {statistics.median(list(zip(*large))[2]) * 1e3:.2f} ms, "
          + f"disk {statistics.median(list(zip(*large))[3]) / 1e6:.1f} MB")
    print("page   store            look-up          load             disk")
    for page, rounds in found.items():
        if rounds:
            cells = [f"{statistics.median(r for r, _ in column):6.2f} x {statistics.median(v for _, v in column) * 1e3:7.1f} ms"
                     for column in list(zip(*rounds))[:3]]
            disk = statistics.median(r for r, _ in list(zip(*rounds))[3])
            print(f"{page * arguments.row >> 10:4d} KiB {'  '.join(cells)}  {disk:5.2f} x")


if __name__ == "__main__":
    main()
