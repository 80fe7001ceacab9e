"""The contenders of the comparison: how each is run, and in which set-up.

A contender makes a folder its own and runs one phase a process. Every phase returns a dictionary of seconds; see main.cpp.
"""

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).parent

# What the table says about each set-up: the fastest that was found for it.
SETUPS = {
    "memcpy": "copies between two buffers whose memory is there: the limit of one thread",
    "files": "one file per page: written aside and renamed, one `pread` into place; `syncfs`; nothing is checked",
    "safetensors": "one file per prefix, read page by page out of the mapped file; `syncfs`; nothing is checked",
    "diskcache": "values in files, read by `readinto` into place; no eviction, no statistics; `syncfs`; nothing is checked",
    "rocksdb": "BlobDB, no write-ahead log, 128 MiB write buffers, glibc's malloc told to keep memory; one "
    "process at a time; checksums verified",
    "rocksdb-unchecked": "the same without verifying checksums",
    "rocksdb-zstd": "the same with zstd and checksums verified",
    "lmdb": "one page per value, 8 MiB per transaction, no sync until the end; nothing is checked",
    "redis": "memory only, TCP on loopback, `writev` and `recv` without copies, one request sent ahead; syncs nothing",
    "prefixstore": "public API of the store: one `insert`, `match` and `load` per prefix; token ids compared, checksums verified",
}


class Phase:
    """The numbers that every phase gets: where, which pages, how many."""

    def __init__(self, folder, pages_file, page_bytes, count, shape, prefix_pages):
        self.folder, self.pages_file, self.page_bytes, self.count = folder, pages_file, page_bytes, count
        self.shape, self.prefix_pages = shape, prefix_pages


def run(command, start_at=None):
    """Starts a process whose output is one JSON object."""
    if start_at is not None:
        command = command + ["--start-at", f"{start_at:.6f}"]
    return subprocess.Popen([str(part) for part in command], stdout=subprocess.PIPE)


def result(process):
    output, _ = process.communicate()
    if process.returncode != 0:
        sys.exit(f"compare: {' '.join(process.args)} ended with status {process.returncode}")
    return json.loads(output)


class Program:
    """A contender whose phases are those of main.cpp and python_contender.py."""

    keeps_files = True

    def __init__(self, name, program):
        base = name.removesuffix("-2threads")
        self.name, self.program = name, program
        self.setup = SETUPS[base] if base == name else f"`{base}`, read by two threads, each of which reads every other page"
        self.is_memory = base == "memcpy"
        self.is_shared = not name.startswith("rocksdb")

    def begin(self, folder):
        """Starts what the phases need."""

    def end(self):
        """Stops it."""

    def command(self, phase, at):
        command = self.program + [
            self.name, phase, "--dir", at.folder, "--pages", at.pages_file, "--page-bytes", at.page_bytes,
            "--count", at.count]
        return command + (["--prefix-pages", at.prefix_pages] if self.name == "safetensors" else [])

    def put(self, at):
        return result(run(self.command("put", at)))

    def start_get(self, at, start_at=None):
        return run(self.command("get", at), start_at)

    def finish_get(self, process):
        return result(process)

    def open(self, at):
        return result(run(self.command("open", at)))


class Redis(Program):
    """A server of its own for each folder."""

    keeps_files = False

    def begin(self, folder):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.server = subprocess.Popen(
            ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no",
             "--dir", str(folder), "--loglevel", "warning"], stdout=subprocess.DEVNULL)
        for _ in range(100):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.05)
        sys.exit("compare: redis-server does not answer")

    def end(self):
        self.server.terminate()
        self.server.wait()

    def command(self, phase, at):
        return super().command(phase, at) + ["--port", self.port]


class PrefixStore:
    """Ours: the phases of `pfx bench`."""

    keeps_files, is_shared, is_memory = True, True, False

    def __init__(self, name, pfx):
        self.name, self.codec, self.pfx = name, name.removeprefix("prefixstore-"), pfx
        self.setup = SETUPS["prefixstore"] + f"; codec `{self.codec}`"

    def begin(self, folder):
        pass

    def end(self):
        pass

    def command(self, phase, at):
        return [
            self.pfx, "bench", "--phase", phase, "--store", os.path.join(at.folder, "store"), "--pages-file",
            at.pages_file, "--codec", self.codec, "--sequence-pages", at.prefix_pages, "--tokens",
            at.count * at.shape["tokens"]] + shape_arguments(at.shape)

    def put(self, at):
        found = result(run(self.command("fill", at)))
        return {
            "put_seconds": found["put_seconds"], "put_sync_seconds": found["put_flush_seconds"], "bytes_elsewhere": 0}

    def start_get(self, at, start_at=None):
        return run(self.command("load-warm", at), start_at)

    def finish_get(self, process):
        found = result(process)
        return {
            "get_seconds": found["match_seconds"] + found["load_seconds"], "began": found["began"],
            "ended": found["ended"], "exact": found["is_exact"]}

    def open(self, at):
        return result(run(self.command("restart", at)))


def shape_arguments(shape):
    """The options of `pfx bench` for a page's shape."""
    return [
        "--layers", shape["layers"], "--kv-heads", shape["kv_heads"], "--head-dimension", shape["head_dimension"],
        "--page-size", shape["tokens"], "--element", shape["element"]]


def page_bytes(shape):
    """Bytes of a page."""
    width = {"bf16": 2, "fp16": 2, "fp32": 4}[shape["element"]]
    return 2 * shape["layers"] * shape["kv_heads"] * shape["head_dimension"] * shape["tokens"] * width


def contender(name, program, pfx):
    """The contender of a name."""
    if name.startswith("prefixstore-"):
        return PrefixStore(name, pfx)
    base = name.removesuffix("-2threads")
    if base not in SETUPS or base == "prefixstore":
        sys.exit(f"compare: there is no contender {name}; there are {', '.join(SETUPS)}-CODEC, and files-2threads")
    if name in ("diskcache", "safetensors"):
        return Program(name, [sys.executable, HERE / "python_contender.py"])
    return (Redis if name == "redis" else Program)(name, [program])
