"""The command line of `prefixstore llama-server`."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import List, Tuple

from ._llama_server_process import CommandError

_USAGE = "prefixstore llama-server [options] -- llama-server -m model.gguf"


def parse(arguments: List[str]) -> argparse.Namespace:
    """The options, and behind -- the command of the server. Raises CommandError without the two dashes; argparse ends
    the program for what it does not know."""
    parser = argparse.ArgumentParser(
        prog="prefixstore llama-server", usage=_USAGE, allow_abbrev=False,
        description="Stands before an unmodified llama-server, and keeps the keys and values of its prompts through "
        "restarts.")
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    parser.add_argument(
        "--store", default=f"{cache}/prefixstore/llama-server", help="folder of the store (%(default)s)")
    parser.add_argument("--quota", type=int, help="bytes on disk, for all processes")
    parser.add_argument("--salt-file", type=Path, help="a tenant's secret: a file of 16 bytes or more")
    parser.add_argument(
        "--key-file", type=Path,
        help="the key that seals what is stored: a file of 32 random bytes, mode 0600; without it, PFX_KEY")
    parser.add_argument(
        "--slots", type=Path, default=Path("/dev/shm"), help="where slot files pass, in memory (%(default)s)")
    own, dashes, command = _split(arguments)
    if not dashes and not {"-h", "--help"} & set(own):
        raise CommandError(f"There is no -- before the command of the server. Write: {_USAGE}")
    options = parser.parse_args(own)
    options.command = command
    return options


def _split(arguments: List[str]) -> Tuple[List[str], bool, List[str]]:
    if "--" not in arguments:
        return arguments, False, []
    at = arguments.index("--")
    return arguments[:at], True, arguments[at + 1:]


def words_of(problem: Exception) -> str:
    """An error for the operator. The system's errors name the file, and no number."""
    if isinstance(problem, OSError) and problem.filename and problem.strerror:
        return f"{problem.filename} cannot be used: {problem.strerror}."
    return str(problem)
