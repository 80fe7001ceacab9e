"""One exception per error code of the C library, and the mistakes that this package finds before it calls the library.

The text of every exception says what happened and what to do about it. `code` is the library's number: the same in all
versions, for logs and metrics.
"""

from __future__ import annotations

from typing import Dict, Iterator, Type


class PrefixStoreError(Exception):
    """Any error of the store. A miss is not an error, and neither is damage: both are a smaller number of tokens."""

    #: The number of the error in `prefixstore.h`, negative; 0 for a code that this version does not know.
    code: int = 0


class LibraryError(PrefixStoreError, ImportError):
    """`libprefixstore.so` is missing, does not load, or is of another version than this package."""


class CallerError(PrefixStoreError):
    """The program is wrong: the call does not fit, or comes at the wrong time."""


class OperatorError(PrefixStoreError):
    """The folder, its permissions or its format do not allow what was asked: for the person who runs the program."""


class MachineError(PrefixStoreError):
    """A resource is used up, a file is damaged, or the system refused a call: for the person who runs the machine."""


class InvalidArgumentError(CallerError, ValueError):
    """A number outside its range, or a text that cannot be passed on."""

    code = -1


class TimedOutError(PrefixStoreError, TimeoutError):
    """The time that the caller allowed has passed. Nothing is lost, and the work goes on."""

    code = -3


class TooManyError(PrefixStoreError):
    """Too many open objects, or jobs that nobody drained: close some, or drain the queue."""

    code = -4


class NoMemoryError(MachineError, MemoryError):
    """The system has no memory, thread or descriptor to give."""

    code = -5


class InvalidLayoutError(CallerError, ValueError):
    """Planes or a page size that the store does not accept; the text says which number."""

    code = -101


class InvalidIdentityError(CallerError, ValueError):
    """An identity that the store does not accept; the text says which field."""

    code = -102


class InvalidOptionError(CallerError, ValueError):
    """An option of `open` is out of its range; the text says which."""

    code = -103


class InvalidTokensError(CallerError, ValueError):
    """Too many token ids, or one outside 0 to 2**31 - 1."""

    code = -104


class InvalidPagesError(CallerError, ValueError):
    """Memory that does not fit the tokens or the layout: too small, read-only, other rows; the text says how."""

    code = -105


class InvalidSideStateError(CallerError, ValueError):
    """A side state whose name or size is outside the limits."""

    code = -106


class AlreadyOpenError(CallerError):
    """This process has the folder open already. Share the `Store`."""

    code = -107


class ForkedError(CallerError):
    """The object was made before a fork. A child process opens the store itself; `multiprocessing` needs "spawn"."""

    code = -108


class ClosedError(CallerError, ValueError):
    """The object, or the store that it came from, was closed."""

    code = -109


class InvalidHandleError(ClosedError):
    """The object was closed by another thread while this call began."""

    code = -2


class NoSuchPageError(CallerError, LookupError):
    """A page of the prefix is not on disk: store it, and call `Store.flush`, first."""

    code = -110


class NoSuchSpaceError(CallerError, LookupError):
    """The store has no such space."""

    code = -111


class InvalidBlockError(CallerError, ValueError):
    """A block whose key or size is outside the limits, or whose memory does not fit the call."""

    code = -112


class InvalidNameError(CallerError, ValueError):
    """A name of a prefix that is empty, too long, or has control characters."""

    code = -113


class TooManyNamesError(CallerError):
    """The store has as many names as it may have: remove some."""

    code = -114


class NoSuchNameError(CallerError, LookupError):
    """No prefix has this name."""

    code = -115


class NotAFolderError(OperatorError):
    """The path is not a folder, or its parent does not exist."""

    code = -201


class NotAStoreError(OperatorError):
    """The folder is not empty and holds no store."""

    code = -202


class ReadOnlyError(OperatorError):
    """This user cannot write the folder or its files."""

    code = -203


class PermissionsError(OperatorError):
    """This user cannot read the folder or its files, or others may write them."""

    code = -204


class NetworkFileSystemError(OperatorError):
    """The folder lies on a network file system."""

    code = -205


class FormatMismatchError(OperatorError):
    """The store was written by a version with another format."""

    code = -206


class SealedSpaceError(OperatorError):
    """The space is sealed, and the store was opened without its key. Give it to `open`."""

    code = -207


class WrongKeyError(OperatorError):
    """The spaces of the store are sealed with another key. Nothing was changed."""

    code = -208


class InvalidKeyError(OperatorError, ValueError):
    """What was given as a key is none, or its file is missing or open to others; the text says which."""

    code = -209


class DiskFullError(MachineError):
    """The disk is full. Nothing that was stored is lost."""

    code = -301


class QuotaFullError(MachineError):
    """The quota leaves no room, because everything else is pinned."""

    code = -302


class MapFullError(MachineError):
    """The address range of the store is used up."""

    code = -303


class ReadersFullError(MachineError):
    """Other processes use all places for readers."""

    code = -304


class DamagedError(MachineError):
    """The structure of the store's file is damaged. A damaged page or block alone is a miss and never raises this."""

    code = -305


class SystemCallError(MachineError):
    """The system refused a call."""

    code = -306


class WriterBusyError(MachineError):
    """Another process writes to the store and has not finished; the text names it. Loading goes on meanwhile."""

    code = -307


class DiskFailureError(MachineError):
    """The disk failed to read or write, twice. Nothing that was stored was given up for that."""

    code = -308


class FileReplacedError(MachineError):
    """A file of the store was deleted or replaced while the store was open: close it and open it again."""

    code = -309


class RemoteFailureError(MachineError):
    """A remote was asked for something and did not do it: look at the server, its address, its certificate and the
    user's rights. Look-ups and loads never raise it: they find less."""

    code = -310


def _all(kind: Type[PrefixStoreError]) -> Iterator[Type[PrefixStoreError]]:
    for below in kind.__subclasses__():
        yield below
        yield from _all(below)


#: The exception of each code.
BY_CODE: Dict[int, Type[PrefixStoreError]] = {kind.code: kind for kind in _all(PrefixStoreError) if kind.code != 0}


def error(code: int, text: str) -> PrefixStoreError:
    """The exception of a code. One that a later library has and this package does not know keeps its number."""
    kind = BY_CODE.get(code, PrefixStoreError)
    found = kind(text)
    found.code = code
    return found
