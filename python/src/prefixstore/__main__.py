"""The command `prefixstore`: programs that stand beside an engine.

    prefixstore llama-server --help
"""

from __future__ import annotations

import sys
from typing import List, Optional


def main(arguments: Optional[List[str]] = None) -> int:
    """Runs a program by its name. Exit status: 2 when there is none of that name, otherwise that of the program."""
    given = sys.argv[1:] if arguments is None else arguments
    if given[:1] == ["llama-server"]:
        try:
            from .adapters.llama_server import main as llama_server
        except ModuleNotFoundError as missing:
            print(f"prefixstore: the package {missing.name} is missing. Install it: pip install {missing.name}",
                  file=sys.stderr)
            return 2
        return llama_server(given[1:])
    print(__doc__.strip(), file=sys.stderr)
    return 0 if given[:1] in (["-h"], ["--help"]) else 2


if __name__ == "__main__":
    sys.exit(main())
