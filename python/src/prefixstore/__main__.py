"""The command `prefixstore`, also `python -m prefixstore`:

    prefixstore llama-server --help    a llama-server that keeps its prompts through restarts
    prefixstore info FOLDER            how full a store is, and who uses it
    prefixstore --version              the version of the package and its library
"""

from __future__ import annotations

import sys
from typing import List, Optional

from ._errors import PrefixStoreError
from ._exit_status import status_of
from ._store import info
from ._version import __version__


def main(arguments: Optional[List[str]] = None) -> int:
    """Runs a program by its name. Exit status: 2 when there is none of that name, otherwise that of the program."""
    given = sys.argv[1:] if arguments is None else arguments
    if given[:1] == ["llama-server"]:
        try:
            from .adapters.llama_server import main as llama_server
        except ModuleNotFoundError as missing:
            print(f"prefixstore: {missing}", file=sys.stderr)
            return 2
        return llama_server(given[1:])
    if given[:1] == ["info"] and len(given) == 2 and not given[1].startswith("-"):
        return _info(given[1])
    if given == ["--version"]:
        print(f"prefixstore {__version__}")
        return 0
    print(__doc__.strip(), file=sys.stderr)
    return 0 if given[:1] in (["-h"], ["--help"]) else 2


def _info(folder: str) -> int:
    try:
        found = info(folder)
    except PrefixStoreError as problem:
        print(f"prefixstore: {problem}", file=sys.stderr)
        return status_of(problem)
    for name, value in found.items():
        print(f"{name:18} {', '.join(map(str, value)) if isinstance(value, list) else value}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
