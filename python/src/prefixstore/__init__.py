"""PrefixStore: a durable store of attention keys and values (KV) that all processes of a host share.

There are two levels, and an engine uses one of them.

- Token level: the engine gives token ids and rows of KV, and `Store.space` finds the longest stored prefix, to the
  token.
- Block level: the engine names blocks of bytes by keys of its own; the `Queue` of `Store.blocks` moves them without
  blocking.

A miss, and a damaged page or block, is a smaller number and never an exception. Everything is thread-safe, and no call
holds Python's global lock while it works. A forked child cannot use objects of its parent: see `ForkedError`.
"""

from ._blocks import Blocks
from ._errors import (
    AlreadyOpenError, CallerError, ClosedError, DamagedError, DiskFailureError, DiskFullError,
    FileReplacedError, ForkedError, FormatMismatchError, InvalidArgumentError, InvalidBlockError,
    InvalidHandleError, InvalidIdentityError, InvalidKeyError, InvalidLayoutError, InvalidNameError,
    InvalidOptionError, InvalidPagesError, InvalidSideStateError, InvalidTokensError, LibraryError,
    MachineError, MapFullError, NetworkFileSystemError, NoMemoryError, NoSuchNameError, NoSuchPageError,
    NoSuchSpaceError, NotAFolderError, NotAStoreError, OperatorError, PermissionsError, PrefixStoreError,
    QuotaFullError, ReadOnlyError, ReadersFullError, RemoteFailureError, SealedSpaceError, SystemCallError, TimedOutError,
    TooManyError, TooManyNamesError, WriterBusyError, WrongKeyError,
)
from ._identity import Element, Identity, Plane, kv_planes
from ._match import Loading, Match, MatchInfo
from ._queue import Completion, Queue
from ._rows import PackedRows, Rows
from ._sequence import Sequence
from ._space import Space
from ._store import Store, file_digest, info, open
from ._version import __version__

__all__ = [
    "Blocks", "Completion", "Element", "Identity", "Loading", "Match", "MatchInfo", "PackedRows", "Plane", "Queue",
    "Rows", "Sequence", "Space", "Store", "__version__", "file_digest", "info", "kv_planes",
    "open",
    "AlreadyOpenError", "CallerError", "ClosedError", "DamagedError", "DiskFailureError", "DiskFullError",
    "FileReplacedError", "ForkedError", "FormatMismatchError", "InvalidArgumentError", "InvalidBlockError",
    "InvalidHandleError", "InvalidIdentityError", "InvalidKeyError", "InvalidLayoutError", "InvalidNameError",
    "InvalidOptionError", "InvalidPagesError", "InvalidSideStateError", "InvalidTokensError", "LibraryError",
    "MachineError", "MapFullError", "NetworkFileSystemError", "NoMemoryError", "NoSuchNameError",
    "NoSuchPageError", "NoSuchSpaceError", "NotAFolderError", "NotAStoreError", "OperatorError",
    "PermissionsError", "PrefixStoreError", "QuotaFullError", "ReadOnlyError", "ReadersFullError", "RemoteFailureError",
    "SealedSpaceError", "SystemCallError", "TimedOutError", "TooManyError", "TooManyNamesError",
    "WriterBusyError", "WrongKeyError",
]
