"""What the tests share: KV that can be computed again from its tokens, and other processes."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Callable, List, Optional, Sequence

import prefixstore
from prefixstore import Identity, Plane, Space, Store

DIGEST = hashlib.sha256(b"a model").digest()
IDENTITY = Identity(weights=DIGEST, tokenizer=DIGEST, positions="rope theta=500000", engine="tests", label="a model")
#: Rows of 64 bytes: keys and values of two layers.
PLANES = prefixstore.kv_planes(layers=2, kv_heads=2, head_dim=16, element="bf16")
ROW = 64
PAGE = 16
MIB = 1 << 20


def open_store(folder: Any, **options: Any) -> Store:
    """A store of 64 MiB."""
    return prefixstore.open(folder, **{"quota": 64 * MIB, **options})


def space_of(store: Store, identity: Identity = IDENTITY, planes: Sequence[Plane] = PLANES) -> Space:
    """The space of the tests' model."""
    return store.space(identity, planes, page_tokens=PAGE)


def prompt(count: int, seed: int = 0) -> List[int]:
    """Token ids; those of two seeds share no beginning."""
    return [(seed * 1_000_003 + 7 * at) % 50_000 + at for at in range(count)]


def kv(tokens: Sequence[int], planes: Sequence[Plane] = PLANES) -> List[bytearray]:
    """The rows of all tokens, per plane. A row depends on its token and all before it, as in a model."""
    rows = [bytearray() for _ in planes]
    state = b""
    for token in tokens:
        state = hashlib.sha256(state + token.to_bytes(4, "little")).digest()
        for at, plane in enumerate(planes):
            rows[at] += hashlib.shake_128(state + bytes([at])).digest(plane.row_bytes)
    return rows


def room(tokens: int, planes: Sequence[Plane] = PLANES) -> List[bytearray]:
    """Empty memory for rows."""
    return [bytearray(tokens * plane.row_bytes) for plane in planes]


def load(space: Space, tokens: Sequence[int], planes: Sequence[Plane] = PLANES) -> int:
    """Loads what is stored of a prompt, checks every byte of it, and says how many tokens it was."""
    with space.match(tokens) as match:
        into = room(len(tokens), planes)
        loaded = match.load(into)
        for got, right, plane in zip(into, kv(tokens[:loaded], planes), planes):
            assert got[: loaded * plane.row_bytes] == right
        return loaded


def start(code: str, *arguments: Any, **options: Any) -> "subprocess.Popen[str]":
    """Another Python process with the same packages, at work on `code`; `arguments` are its `sys.argv[1:]`."""
    paths = [str(Path(__file__).parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), **options.pop("env", {})}
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", "import sys\nfrom support import *\n" + code, *map(str, arguments)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, **options)


def run(code: str, *arguments: Any, **options: Any) -> str:
    """The output of another Python process that must end well and say nothing on standard error."""
    child = start(code, *arguments, **options)
    output, errors = child.communicate(timeout=120)
    assert (child.returncode, errors) == (0, ""), errors
    return str(output)


def until(condition: Callable[[], bool], seconds: float = 60) -> None:
    """Waits until a condition holds, and fails when it does not come."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.005)


def line_of(child: "subprocess.Popen[str]") -> Optional[str]:
    """The next line that a process prints."""
    assert child.stdout is not None
    return child.stdout.readline().strip() or None
