"""A store: one folder on a local disk, which any number of processes share."""

from __future__ import annotations

import ctypes
import os
from typing import Any, Dict, List, Optional, Sequence, Union

from ._blocks import Blocks
from ._checks import INT63, UINT32, milliseconds, number, text
from ._errors import InvalidArgumentError, InvalidOptionError, PrefixStoreError, TimedOutError
from ._handle import Handle
from ._identity import Element, Identity, Plane, element_of, layout_struct
from ._library import check, json_of, library, text_of
from ._space import Space
from ._structs import DROP_WHEN_FULL, KEEP_LOADED, Options, sized
from ._waiting import wait

_CODECS = {"auto": 0, "zstd": 1, "kbit": 2, "raw": 3}
_POLICIES = {"write_through": 0, "write_back": 1, "after_hits": 2}
_REMOTE_PUTS = {"all": 0, "after_hits": 1, "pinned": 2, "none": 3}
_WHEN_FULL = {"wait": 0, "drop": DROP_WHEN_FULL}

Path = Union[str, "os.PathLike[str]"]


def _choice(value: Any, name: str, choices: Dict[str, int]) -> int:
    if not isinstance(value, str) or value not in choices:
        raise InvalidOptionError(f"{name} is {value!r}. Give one of {', '.join(map(repr, choices))}.")
    return choices[value]


def _path(path: Path, name: str) -> bytes:
    found = os.fsencode(path)
    if b"\0" in found or not found:
        raise InvalidArgumentError(f"{name} is empty or has a NUL character. Name a path.")
    return found


class Store(Handle):
    """An open store. Make it with `prefixstore.open`.

    Thread-safe. `close`, the end of a `with` block, and the end of the interpreter write what waits. A store that the
    garbage collector finds is closed too. Where nobody can catch an error, a RuntimeWarning says what was not written.
    """

    _name = "store"

    def __init__(
        self, folder: Path, *, quota: Optional[int] = None, hot_capacity: int = 0,
        queue_capacity: Optional[int] = None, spill_rate: Optional[int] = None, codec: str = "auto",
        write_policy: str = "write_through", write_after_hits: int = 0, keep_loaded: bool = False,
        when_queue_full: str = "wait", key: Optional[bytes] = None, key_file: Optional[Path] = None,
        remote: Optional[str] = None, remote_puts: str = "all", remote_put_after_hits: int = 0,
    ) -> None:
        secret = None if key is None else bytes(key)
        options = sized(
            Options,
            # In C, 0 stands for the default, which is None here.
            quota=0 if quota is None else number(quota, "quota", INT63, lowest=1),
            hot_capacity=number(hot_capacity, "hot_capacity", INT63),
            queue_capacity=0 if queue_capacity is None else number(queue_capacity, "queue_capacity", INT63, lowest=1),
            spill_rate=0 if spill_rate is None else number(spill_rate, "spill_rate", INT63, lowest=1),
            codec=_choice(codec, "codec", _CODECS), write_policy=_choice(write_policy, "write_policy", _POLICIES),
            write_after_hits=number(write_after_hits, "write_after_hits", UINT32),
            flags=_choice(when_queue_full, "when_queue_full", _WHEN_FULL) | (KEEP_LOADED if keep_loaded else 0),
            key_file=None if key_file is None else _path(key_file, "key_file"),
            key=None if secret is None else ctypes.cast(ctypes.c_char_p(secret), ctypes.c_void_p),
            key_bytes=0 if secret is None else len(secret),
            remote=None if remote is None else text(remote, "remote"),
            remote_puts=_choice(remote_puts, "remote_puts", _REMOTE_PUTS),
            remote_put_after_hits=number(remote_put_after_hits, "remote_put_after_hits", UINT32))
        self.folder = os.fspath(folder)
        handle = ctypes.c_void_p()
        check(library.pfx_open(_path(folder, "folder"), ctypes.byref(options), ctypes.byref(handle)))
        super().__init__(handle.value or 0, library.pfx_close)
        # What `_loss` has found and no `flush` has raised.
        self._unraised: Optional[PrefixStoreError] = None

    def __repr__(self) -> str:
        return f"<prefixstore.Store {self.folder!r}{' closed' if self.closed else ''}>"

    def space(self, identity: Identity, planes: Sequence[Plane], page_tokens: int = 64) -> Space:
        """The pages of one identity and layout. The first call of all processes registers the space in the folder.

        `planes` are the rows of a token, in their order; `page_tokens`, 1 to 4096, is the size of a page.

        Raises `InvalidIdentityError`, `InvalidLayoutError`.
        """
        store = self._use()
        layout, kept = layout_struct(planes, page_tokens)
        handle = ctypes.c_void_p()
        given = ctypes.byref(identity._struct())
        check(library.pfx_space_open(store, given, ctypes.byref(layout), ctypes.byref(handle)))
        return Space(handle.value or 0, self, kept, page_tokens)

    def blocks(self, identity: Identity, element: Union[Element, str] = Element.BYTES) -> Blocks:
        """The blocks of one identity, for an engine that names its KV by keys of its own.

        `element` says what the numbers in a block are stored as; it counts as part of the identity.

        Raises `InvalidIdentityError`, `InvalidLayoutError`.
        """
        store = self._use()
        handle = ctypes.c_void_p()
        given = ctypes.byref(identity._struct())
        check(library.pfx_blocks_open(store, given, element_of(element), ctypes.byref(handle)))
        return Blocks(handle.value or 0, self)

    def flush(self, timeout: Optional[float] = None) -> None:
        """Waits until everything that was stored so far is on disk: it survives a kill and a power cut then.

        Waits for `timeout` seconds at most. Raises `TimedOutError`, which loses nothing: the writing goes on. Any
        other error is what kept a page from being written.
        """
        wait(library.pfx_flush, self, timeout)
        self._raise_loss()

    def close(self, timeout: Optional[float] = None) -> None:
        """Writes what waits, and closes the store. Raises what kept a page from being written since the last `flush`.
        Closing twice does no harm, and neither does closing in a forked child.

        Takes `timeout` seconds at most, and a batch that is being written longer. Raises `TimedOutError` when the time
        was up before everything was on disk: the store is closed, and what was flushed stays.
        """
        limit = milliseconds(timeout, "timeout")
        # In C, 0 stands for no limit.
        self._close(None if limit is None else lambda handle: int(library.pfx_close_within(handle, limit)))
        self._raise_loss()

    def _loss(self) -> Optional[PrefixStoreError]:
        """What has kept pages from being written, for adapters. The next `flush` of whoever relies on one raises it all
        the same: the library says it only once. Raises `TimedOutError` after about a millisecond."""
        try:
            wait(library.pfx_flush, self, 0)
        except TimedOutError:
            raise
        except PrefixStoreError as problem:
            self._unraised = problem
        return self._unraised

    def _raise_loss(self) -> None:
        problem, self._unraised = self._unraised, None
        if problem is not None and self._process == os.getpid():
            raise problem

    @property
    def set_aside_notice(self) -> Optional[str]:
        """Set when this opening found a store that was too damaged to be used, moved it aside and began a new one: a
        sentence for the operator, with the reason and the folder in which the damaged store is now."""
        return text_of(library.pfx_set_aside_notice, self._use()) or None

    def statistics(self) -> Dict[str, Any]:
        """What this process has done with the store: counts, bytes and nanoseconds under the names of the C library."""
        return dict(json_of(library.pfx_statistics, self._use()))

    def file_digest(self, path: Path) -> bytes:
        """SHA-256 of a file: 32 bytes, for `Identity.weights`.

        Remembered in the store's folder under the file's device, inode, size and times, so that the next process does
        not read gigabytes.
        """
        return _digest(self._use(), path)

    def names(self) -> List[Dict[str, Any]]:
        """The names of prefixes: "name", "hash", "space", and "is_stored", which is false when the pages are gone."""
        return list(json_of(library.pfx_names, self._use()))

    def remove_name(self, name: str) -> None:
        """Takes a name away; its prefix stays, pins included. Raises `NoSuchNameError`."""
        check(library.pfx_name_remove(self._use(), text(name, "name")))


def _digest(store: Optional[int], path: Path) -> bytes:
    digest = (ctypes.c_uint8 * 32)()
    check(library.pfx_file_digest(store, _path(path, "path"), digest))
    return bytes(digest)


def file_digest(path: Path) -> bytes:
    """SHA-256 of a file: 32 bytes, for `Identity.weights`. `Store.file_digest` remembers it as well."""
    return _digest(None, path)


def info(folder: Path) -> Dict[str, Any]:
    """How full a store is, and who uses it: "used_bytes" of "quota_bytes", "pages", "tokens", "open_in" (the ids of the
    processes that have it open) and more, under the names of the C library.

    Changes nothing and needs no key; other processes may use the store meanwhile. Raises `AlreadyOpenError` in a
    process that has it open, and the errors of `open`.
    """
    return dict(json_of(library.pfx_info, _path(folder, "folder")))


def open(
    folder: Path, *, quota: Optional[int] = None, hot_capacity: int = 0, queue_capacity: Optional[int] = None,
    spill_rate: Optional[int] = None, codec: str = "auto", write_policy: str = "write_through",
    write_after_hits: int = 0, keep_loaded: bool = False, when_queue_full: str = "wait",
    key: Optional[bytes] = None, key_file: Optional[Path] = None, remote: Optional[str] = None,
    remote_puts: str = "all", remote_put_after_hits: int = 0,
) -> Store:
    """Opens the store in `folder`, which is made when it is missing or empty. A process opens a folder once.

    All sizes are in bytes. The defaults suit an engine that has a cache of its own in RAM.

    `quota`: limit on disk, for all processes; None: as stored, or the default of a new store.
    `hot_capacity`: RAM for pages in this process.
    `queue_capacity`: pages that may wait for the disk; None: 384 MiB.
    `spill_rate`: encoded bytes per second written at most; None: no limit.
    `codec`: how pages are encoded on disk, without loss: "auto", "zstd", "kbit" or "raw".
    `write_policy`: "write_through" (at once, in the background), "write_back" (when RAM needs the place, on flush and
    close) or "after_hits" (after a page was matched `write_after_hits` times).
    `keep_loaded`: whether pages from disk are kept in RAM too; needs `hot_capacity`.
    `when_queue_full`: "wait" for the disk, or "drop" new pages.
    `key_file`: a file with the key that seals what is stored: 32 random bytes or 64 hexadecimal digits, mode 0600.
    `key`: the key itself, 32 bytes. With a key, spaces that are not sealed are not found.
    `remote`: the URL of a Redis, Valkey or S3 server that other hosts use too, such as "redis://host:6379" or
    "s3://bucket/prefix?endpoint=https://host:9000". Its password comes from REDISCLI_AUTH, or from a file that the URL
    names; credentials of S3 come from AWS_ACCESS_KEY_ID and its like, or from ~/.aws/credentials.
    `remote_puts`: what goes there: "all", "after_hits" (what was matched `remote_put_after_hits` times), "pinned", "none".

    A store that is too damaged to be used is moved aside, and a new one is begun: `Store.set_aside_notice` says so.

    Raises `InvalidOptionError`, `InvalidKeyError`, `AlreadyOpenError`, and any `OperatorError` or `MachineError`; nothing was changed then.
    """
    return Store(
        folder, quota=quota, hot_capacity=hot_capacity, queue_capacity=queue_capacity, spill_rate=spill_rate,
        codec=codec, write_policy=write_policy, write_after_hits=write_after_hits, keep_loaded=keep_loaded,
        when_queue_full=when_queue_full, key=key, key_file=key_file, remote=remote, remote_puts=remote_puts,
        remote_put_after_hits=remote_put_after_hits)
