"""Reads secrets (passwords and tokens), each in a file of its own."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

MOST_BYTES = 65_536  # more than any password; rejects files named by mistake


def read_secret(path: Path) -> str:
    """Return a secret's text without line ends and byte order mark.

    Raises `OSError` where the file is missing, unreadable, not regular (a pipe would block), too long, or not
    UTF-8 (Windows editors call UTF-16 "Unicode"). The error contains nothing of the file.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "is not a regular file", str(path))
        content = file.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        raise OSError(errno.EFBIG, f"is longer than {MOST_BYTES} bytes, which is no secret", str(path))
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = ""
        content = b"\0"
    if b"\0" in content:
        raise OSError(errno.EILSEQ, "is not UTF-8 text; save it as UTF-8", str(path))
    return text.rstrip("\r\n")
