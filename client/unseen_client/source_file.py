"""Reading a file that somebody named: plain files of bearable size only, with the reason when not.

Runs where the images are.
"""

from __future__ import annotations

import os
import stat

from unseen.errors import ImageRefused


def read_source(path: str | os.PathLike[str], largest_bytes: int) -> bytes:
    """Return a file's bytes; ImageRefused for what is no plain file (a pipe would be waited for) or too large."""
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
        with os.fdopen(descriptor, "rb") as file:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise ImageRefused("got a path that is no plain file, expected a picture file")
            if status.st_size > largest_bytes:
                raise ImageRefused(f"got a file of {status.st_size} bytes, expected at most {largest_bytes}")
            return file.read(largest_bytes + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not a path"
        raise ImageRefused(f"got a file that cannot be read ({reason}), expected a picture; check the path") from error
