#!/usr/bin/env python3
"""One phase of a contender that is a Python package, in its own process; prints one JSON object.

    python_contender.py NAME PHASE --dir D --pages FILE --page-bytes B --count N [--start-at S] [--prefix-pages P]

Names: diskcache, safetensors. Phases as in main.cpp: put, get, open.
"""

import argparse
import ctypes
import json
import os
import time

import diskcache
import numpy
import safetensors
import safetensors.numpy


def now():
    return time.clock_gettime(time.CLOCK_MONOTONIC)


def sync_file_system(folder):
    """Syncs the file system of a folder: one call, faster than one per file."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        if ctypes.CDLL(None, use_errno=True).syncfs(descriptor) != 0:
            raise OSError(ctypes.get_errno(), "syncfs")
    finally:
        os.close(descriptor)


def read_pages(path, page_bytes, count):
    """The pages of a file, from its beginning again where it ends: an array of `count` rows."""
    pages = numpy.fromfile(path, dtype=numpy.uint8)
    pages = pages[: len(pages) // page_bytes * page_bytes].reshape(-1, page_bytes)
    return numpy.ascontiguousarray(numpy.take(pages, numpy.arange(count) % len(pages), axis=0))


class DiskCache:
    """One page per key. Values of this size lie in separate files, and are read from there straight into place."""

    def __init__(self, folder, prefix_pages):
        del prefix_pages
        self.folder = folder
        # No eviction, no statistics: what costs time at every access is off.
        self.cache = diskcache.Cache(
            folder, eviction_policy="none", size_limit=1 << 42, cull_limit=0, disk_min_file_size=1024)

    @staticmethod
    def prepare(pages):
        return [page.tobytes() for page in pages]

    def put(self, pages):
        for index, page in enumerate(pages):
            self.cache.set(index, page)

    def sync(self):
        sync_file_system(self.folder)

    def get(self, targets):
        for index, target in enumerate(targets):
            self.get_one(index, target)

    def get_one(self, index, target):
        with self.cache.get(index, read=True) as file:
            if file.readinto(memoryview(target)) != len(target):
                raise RuntimeError("a page is missing")


class Safetensors:
    """One file per prefix, with all its pages in one tensor; read page by page out of the mapped file into place."""

    def __init__(self, folder, prefix_pages):
        self.folder, self.prefix_pages = folder, prefix_pages

    @staticmethod
    def prepare(pages):
        return pages

    def path(self, prefix):
        return os.path.join(self.folder, f"prefix-{prefix}.safetensors")

    def put(self, pages):
        for start in range(0, len(pages), self.prefix_pages):
            path = self.path(start // self.prefix_pages)
            safetensors.numpy.save_file({"kv": pages[start:start + self.prefix_pages]}, path + ".tmp")
            os.rename(path + ".tmp", path)

    def sync(self):
        sync_file_system(self.folder)

    def get(self, targets):
        for start in range(0, len(targets), self.prefix_pages):
            with safetensors.safe_open(self.path(start // self.prefix_pages), framework="numpy") as file:
                tensor = file.get_slice("kv")
                for index in range(start, min(len(targets), start + self.prefix_pages)):
                    targets[index] = tensor[index - start]

    def get_one(self, index, target):
        with safetensors.safe_open(self.path(index // self.prefix_pages), framework="numpy") as file:
            target[:] = file.get_slice("kv")[index % self.prefix_pages]


CONTENDERS = {"diskcache": DiskCache, "safetensors": Safetensors}


def put(make, options):
    # Bytes in the form that the package takes are the caller's work, not the package's.
    pages = make.prepare(read_pages(options.pages, options.page_bytes, options.count))
    contender = make(options.dir, options.prefix_pages)
    start = now()
    contender.put(pages)
    done = now()
    contender.sync()
    return {"put_seconds": done - start, "put_sync_seconds": now() - start, "bytes_elsewhere": 0}


def get(make, options):
    pages = read_pages(options.pages, options.page_bytes, options.count)
    targets = numpy.ones_like(pages)
    contender = make(options.dir, options.prefix_pages)
    time.sleep(max(0, options.start_at - now()))
    start = now()
    contender.get(targets)
    done = now()
    return {"get_seconds": done - start, "began": start, "ended": done, "exact": bool((pages == targets).all())}


def open_one(make, options):
    target = numpy.ones(options.page_bytes, dtype=numpy.uint8)
    start = now()
    contender = make(options.dir, options.prefix_pages)
    opened = now()
    contender.get_one(options.count // 2, target)
    return {"open_seconds": opened - start, "first_page_seconds": now() - opened}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("name", choices=sorted(CONTENDERS))
    parser.add_argument("phase", choices=["put", "get", "open"])
    parser.add_argument("--dir", required=True)
    parser.add_argument("--pages")
    parser.add_argument("--page-bytes", type=int, required=True)
    parser.add_argument("--count", type=int, required=True)
    parser.add_argument("--start-at", type=float, default=0)
    parser.add_argument("--prefix-pages", type=int, default=1 << 30)
    options = parser.parse_args()
    phases = {"put": put, "get": get, "open": open_one}
    print(json.dumps(phases[options.phase](CONTENDERS[options.name], options)))


if __name__ == "__main__":
    main()
