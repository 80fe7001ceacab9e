"""A tenant's secret from a file, as every face of the store reads it."""

import os
from typing import Optional, Union

from .. import InvalidIdentityError

_LEAST, _MOST = 16, 4096


def read_salt(path: Union[str, "os.PathLike[str]", None]) -> Optional[bytes]:
    """The bytes of a file without the line end that editors add; None without a path.

    Raises OSError when the file cannot be read, and `InvalidIdentityError` for a secret that the store would refuse:
    an engine had better hear of it before it loads a model.
    """
    if not path:
        return None
    with open(path, "rb") as file:
        salt = file.read().rstrip(b"\r\n")
    if not _LEAST <= len(salt) <= _MOST:
        raise InvalidIdentityError(
            f"The salt in {os.fspath(path)} has {len(salt)} bytes. Give a secret of {_LEAST} to {_MOST} bytes.")
    return salt
