#!/usr/bin/env python3
"""Runs the comparison and writes what was measured as JSON; report.py makes tables and pictures of it.

Each contender gets the same pages, one after the other, `--repeat` times round. A phase is a process of its own, its memory is
there before it is timed, and every byte that comes back is compared. Get cold: the contender's files are dropped from the page
cache before. Two processes: both get all pages, begun at the same moment; the rate is that of both together.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import contenders

sys.path.insert(0, str(Path(__file__).parent.parent / "report"))
import machine  # noqa: E402: what all benchmarks share lies beside this folder
import report  # noqa: E402

ALL = [
    "memcpy", "memcpy-2threads", "prefixstore-auto", "prefixstore-raw", "prefixstore-kbit", "prefixstore-zstd", "files",
    "files-2threads", "safetensors", "diskcache", "lmdb", "rocksdb", "rocksdb-unchecked", "rocksdb-zstd", "redis"]
# Pages of known models: Llama-3.2-1B and Llama-3.1-8B, 32 tokens each.
SHAPES = {
    1: {"layers": 16, "kv_heads": 8, "head_dimension": 64, "tokens": 32, "element": "bf16"},
    4: {"layers": 32, "kv_heads": 8, "head_dimension": 128, "tokens": 32, "element": "bf16"},
}
# 4 KiB per page: opening depends on the number of pages, not on their contents.
SMALL = {"layers": 1, "kv_heads": 1, "head_dimension": 64, "tokens": 16, "element": "bf16"}
SMALL_PREFIX = 250


def arguments():
    parser = argparse.ArgumentParser(prog="tools/bench/compare", description=__doc__.split("\n\n")[0])
    parser.add_argument("--contender", required=True, help=argparse.SUPPRESS)
    parser.add_argument("--pfx", required=True, help=argparse.SUPPRESS)
    parser.add_argument("--contenders", default=",".join(ALL), help="names, with commas; prefixstore-CODEC for ours")
    parser.add_argument("--sizes", default="1,4", help="page sizes in MiB (default 1,4)")
    parser.add_argument("--mib", type=int, default=512, help="pages in all, MiB (default 512)")
    parser.add_argument("--repeat", type=int, default=3, help="rounds; medians are reported (default 3)")
    parser.add_argument("--pages", help="a file of raw pages instead of generated ones; their shape by the options below")
    parser.add_argument("--layers", type=int)
    parser.add_argument("--kv-heads", type=int)
    parser.add_argument("--head-dimension", type=int)
    parser.add_argument("--page-tokens", type=int)
    parser.add_argument("--element", default="bf16", choices=["bf16", "fp16", "fp32"])
    parser.add_argument("--open", default="100,10000", help="numbers of pages to open with (default 100,10000)")
    parser.add_argument("--large", action="store_true", help="also open with 1,000,000 pages: 12 GiB of disk, 8 GiB of RAM")
    parser.add_argument("--folder", default=".build-compare", help="a folder on the disk to measure")
    parser.add_argument("--json", default=".build-compare/compare.json", help="the file for what was measured")
    parser.add_argument("--plot", help="a file to draw the reads into, as SVG")
    options = parser.parse_args()
    shape = [options.layers, options.kv_heads, options.head_dimension, options.page_tokens]
    if options.pages and None in shape:
        parser.error("--pages needs --layers, --kv-heads, --head-dimension and --page-tokens")
    return options


def say(text):
    print(f"compare: {text}", file=sys.stderr, flush=True)


def files_of(folder):
    return [path for path in Path(folder).rglob("*") if path.is_file()]


def disk_bytes(folder):
    return sum(path.stat().st_blocks * 512 for path in files_of(folder))


def drop_from_page_cache(folder):
    """The next read of these files comes from the disk. Only clean pages can be dropped, so they are synced first."""
    for path in files_of(folder):
        descriptor = os.open(path, os.O_RDONLY)
        os.fsync(descriptor)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(descriptor)


def checked(contender, found):
    if not found["exact"]:
        sys.exit(f"compare: {contender.name} gave other bytes than it was given")
    return found


def measure_get(contender, at):
    start = time.monotonic()
    found = checked(contender, contender.finish_get(contender.start_get(at)))
    return found["get_seconds"], time.monotonic() - start


def measure_two(contender, at, wall):
    """Seconds from the first process's begin to the last one's end. `wall` is what one process takes in all."""
    start_at = time.clock_gettime(time.CLOCK_MONOTONIC) + 2.5 * wall + 0.5
    processes = [contender.start_get(at, start_at) for _ in range(2)]
    found = [checked(contender, contender.finish_get(process)) for process in processes]
    return max(each["ended"] for each in found) - min(each["began"] for each in found)


def measure(contender, at):
    """One round of one contender: seconds of every phase, and bytes on disk."""
    row = {}
    contender.begin(at.folder)
    os.sync()
    if not contender.is_memory:
        put = contender.put(at)
        row.update(put=put["put_seconds"], put_sync=put["put_sync_seconds"])
        row["disk_bytes"] = disk_bytes(at.folder) if contender.keeps_files else 0
        row["bytes_elsewhere"] = put["bytes_elsewhere"]
    row["get_warm"], wall = measure_get(contender, at)
    if not contender.is_memory and contender.keeps_files:
        drop_from_page_cache(at.folder)
        row["get_cold"], _ = measure_get(contender, at)
    if contender.is_shared:
        row["get_two"] = measure_two(contender, at, wall)
    contender.end()
    return row


def collect(rows, name, row):
    """Adds the numbers of a round to those of the rounds before."""
    for key, value in row.items():
        rows.setdefault(name, {}).setdefault(key, []).append(value)


def compare_size(options, chosen, shape, folder):
    size = contenders.page_bytes(shape)
    count = max(1, options.mib * (1 << 20) // size)
    pages = os.path.abspath(options.pages) if options.pages else make_pages(options, shape, count, folder)
    rows = {contender.name: {} for contender in chosen}
    for number in range(options.repeat):
        # What a machine did before matters: no contender is first in every round.
        first = number * len(chosen) // options.repeat
        for contender in chosen[first:] + chosen[:first]:
            say(f"{size / 1048576:.2f} MiB pages, round {number + 1}: {contender.name}")
            with tempfile.TemporaryDirectory(dir=folder) as place:
                at = contenders.Phase(place, pages, size, count, shape, count)
                collect(rows, contender.name, measure(contender, at))
    return {
        "page_bytes": size, "pages": count, "bytes": size * count, "shape": shape,
        "origin": Path(options.pages).name if options.pages else "generated", "contenders": rows}


def make_pages(options, shape, count, folder):
    """Raw pages of a shape, made by the benchmark of the store."""
    path = os.path.join(folder, f"pages-{contenders.page_bytes(shape)}")
    command = [
        options.pfx, "bench", "--phase", "pages", "--pages-file", path, "--tokens", count * shape["tokens"]]
    subprocess.run([str(part) for part in command + contenders.shape_arguments(shape)], check=True)
    return path


def compare_opening(options, chosen, count, folder):
    pages = make_pages(options, SMALL, 64, folder)
    rows = {}
    for contender in chosen:
        if contender.is_memory:
            continue
        say(f"opening {count} pages: {contender.name}")
        with tempfile.TemporaryDirectory(dir=folder) as place:
            at = contenders.Phase(
                place, pages, contenders.page_bytes(SMALL), count, SMALL, SMALL_PREFIX)
            contender.begin(place)
            contender.put(at)
            for _ in range(options.repeat):
                found = contender.open(at)
                collect(rows, contender.name, {key: found[key] for key in ("open_seconds", "first_page_seconds")})
            contender.end()
    return {"pages": count, "page_bytes": contenders.page_bytes(SMALL), "contenders": rows}


def versions():
    """The versions of what is compared."""
    return {
        "rocksdb": machine.package("librocksdb-dev"), "lmdb": machine.package("liblmdb-dev"),
        "redis": machine.package("redis-server"), "diskcache": machine.module("diskcache"),
        "safetensors": machine.module("safetensors"), "numpy": machine.module("numpy")}


def main():
    options = arguments()
    chosen = [contenders.contender(name, options.contender, options.pfx) for name in options.contenders.split(",")]
    shapes = [SHAPES.get(int(size)) or sys.exit("compare: --sizes knows 1 and 4") for size in options.sizes.split(",")]
    if options.pages:
        shapes = [{
            "layers": options.layers, "kv_heads": options.kv_heads, "head_dimension": options.head_dimension,
            "tokens": options.page_tokens, "element": options.element}]
    counts = [int(count) for count in options.open.split(",") if count] + ([1_000_000] if options.large else [])
    os.makedirs(options.folder, exist_ok=True)
    hidden = {"--contender", "--pfx"}
    shown = [part for i, part in enumerate(sys.argv[1:], 1) if part not in hidden and sys.argv[i - 1] not in hidden]
    found = machine.about() | {
        "versions": versions(),
        "command": " ".join(["tools/bench/compare"] + shown), "repeat": options.repeat,
        "load_average": [os.getloadavg()[0]], "setups": {each.name: each.setup for each in chosen}}
    with tempfile.TemporaryDirectory(dir=options.folder, prefix="run-") as folder:
        folder = os.path.abspath(folder)
        found["sizes"] = [compare_size(options, chosen, shape, folder) for shape in shapes]
        found["opening"] = [compare_opening(options, chosen, count, folder) for count in counts]
    found["load_average"].append(os.getloadavg()[0])
    Path(options.json).write_text(json.dumps(found, indent=1) + "\n")
    if options.plot:
        Path(options.plot).write_text(report.comparison_plot(found))
    print(report.comparison(found))


if __name__ == "__main__":
    main()
