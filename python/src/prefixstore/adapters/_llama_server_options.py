"""The command line of `prefixstore llama-server`."""

from __future__ import annotations

import argparse
import os
import re
from pathlib import Path
from typing import List, NoReturn, Tuple

from ._llama_server_process import CommandError

_USAGE = "prefixstore llama-server [options] -- llama-server -m model.gguf"


_UNITS = {"": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise CommandError(f"{message[:1].upper()}{message[1:]}. Write: {_USAGE}")


def _size(text: str) -> int:
    found = re.fullmatch("([0-9]{1,19}) ?([KMGT]iB|)", text)
    if not found:
        raise argparse.ArgumentTypeError(f"{text} is no size; give bytes, or a number with KiB, MiB, GiB or TiB")
    return int(found[1]) * _UNITS[found[2]]


def parse(arguments: List[str]) -> argparse.Namespace:
    """The options, and behind -- the command of the server. Raises CommandError for what it does not know, and without
    the two dashes."""
    parser = _Parser(
        prog="prefixstore llama-server", usage=_USAGE, allow_abbrev=False,
        description="Stands before an unmodified llama-server, and keeps the keys and values of its prompts through "
        "restarts.")
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    parser.add_argument(
        "--store", metavar="FOLDER", default=f"{cache}/prefixstore/llama-server",
        help="folder of the store (%(default)s)")
    parser.add_argument(
        "--quota", type=_size, metavar="SIZE", help="room on disk, for all processes: bytes, or such as 20GiB")
    parser.add_argument("--salt-file", type=Path, metavar="FILE", help="a tenant's secret: a file of 16 bytes or more")
    parser.add_argument(
        "--key-file", type=Path, metavar="FILE",
        help="the key that seals what is stored: a file of 32 random bytes, mode 0600; without it, PFX_KEY")
    parser.add_argument(
        "--remote", metavar="URL",
        help="a Redis or Valkey server that hosts share, such as redis://cache:6379; its password in REDISCLI_AUTH")
    parser.add_argument(
        "--slots", type=Path, metavar="FOLDER", default=Path("/dev/shm"),
        help="where slot files pass, in memory (%(default)s)")
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
