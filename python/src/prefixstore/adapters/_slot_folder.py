"""The folder in memory through which slot files pass: it goes when its program does, however that ends."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Optional, Type

_PREFIX = "prefixstore-slots-"
#: Another program may sweep a new folder away before it is locked; more often than once is unlikely.
_TRIES = 10


def _lock(folder: Path) -> Optional[int]:
    """A descriptor that locks a folder as long as it is open; None when another program has it, or it has gone."""
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Between the two calls another program may have removed it, and a new one of that name is another folder.
        if os.path.samestat(os.fstat(descriptor), os.stat(folder)):
            return descriptor
    except OSError:
        pass
    os.close(descriptor)
    return None


def _sweep(parent: Path) -> None:
    """Removes the folders of programs that were killed: those that nobody has locked."""
    for folder in parent.glob(_PREFIX + "*"):
        descriptor = _lock(folder)
        if descriptor is not None:
            shutil.rmtree(folder, ignore_errors=True)
            os.close(descriptor)


class SlotFolder:
    """A new folder below `parent`, which `with` removes. A program that is killed leaves it: the next one removes it.

    Raises OSError when none can be made.
    """

    def __init__(self, parent: Path) -> None:
        _sweep(parent)
        for _ in range(_TRIES):
            self.path = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent))
            descriptor = _lock(self.path)
            if descriptor is not None:
                self._descriptor = descriptor
                return
            shutil.rmtree(self.path, ignore_errors=True)
        raise OSError(f"A folder in {parent} cannot be locked. Name another one with --slots.")

    def __enter__(self) -> Path:
        return self.path

    def __exit__(
        self, kind: Optional[Type[BaseException]], problem: Optional[BaseException], trace: Optional[TracebackType],
    ) -> None:
        shutil.rmtree(self.path, ignore_errors=True)
        os.close(self._descriptor)
