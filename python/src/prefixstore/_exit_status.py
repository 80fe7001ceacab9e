"""The statuses with which the programs of this package end when a store cannot be used: those of `pfx`."""

from __future__ import annotations

from typing import List, Tuple, Type

from ._errors import (
    AlreadyOpenError, DamagedError, DiskFullError, FileReplacedError, InvalidKeyError, MachineError, MapFullError,
    NotAFolderError, OperatorError, PrefixStoreError, QuotaFullError, ReadersFullError, WriterBusyError)

#: The status of each kind of error; what comes first counts.
_STATUSES: List[Tuple[Tuple[Type[PrefixStoreError], ...], int]] = [
    ((InvalidKeyError,), 2),
    ((NotAFolderError,), 66),
    ((OperatorError, AlreadyOpenError, DamagedError, ReadersFullError, WriterBusyError, FileReplacedError), 69),
    ((DiskFullError, QuotaFullError, MapFullError), 73),
    ((MachineError,), 74),
]


def status_of(problem: Exception) -> int:
    """The status for an error: 66 to 74 as in docs/operations.md, and 2 for a wrong command line."""
    for kinds, status in _STATUSES:
        if isinstance(problem, kinds):
            return status
    return 2
