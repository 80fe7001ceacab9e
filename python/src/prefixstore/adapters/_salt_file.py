"""A tenant's secret from a file, as every face of the store reads it."""

import os
from typing import Optional, Union


def read_salt(path: Union[str, "os.PathLike[str]", None]) -> Optional[bytes]:
    """The bytes of a file without the line end that editors add; None without a path.

    Raises OSError when the file cannot be read. The store refuses a secret of fewer than 16 bytes.
    """
    if not path:
        return None
    with open(path, "rb") as file:
        return file.read().rstrip(b"\r\n")
