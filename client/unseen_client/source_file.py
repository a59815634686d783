"""Reading a file that somebody named: plain files of bearable size only, with the reason when not.

Runs where the images are.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader, FileIO
from pathlib import Path
from typing import Protocol

from unseen.errors import ImageRefused


class Packed(Protocol):
    """A file that lies within another one."""

    @property
    def name(self) -> str:
        """Its own name, for people."""

    def content(self) -> bytes:
        """SHA-256 of what it is, 32 bytes; ImageRefused as ``read``."""

    def read(self) -> bytes:
        """Its bytes, at most those of the largest picture; ImageRefused for what should not be unpacked."""


PictureFile = Path | Packed


def readable_name(file: PictureFile) -> str:
    """A file's name as text: one in another encoding than UTF-8 keeps the file from nothing."""
    return file.name.encode(errors="replace").decode()


def read_source(path: str | os.PathLike[str], largest_bytes: int) -> bytes:
    """Return a file's bytes; ImageRefused for what is no plain file (a pipe would be waited for) or too large."""
    with opened_source(path) as file:
        size = os.fstat(file.fileno()).st_size
        if size > largest_bytes:
            raise ImageRefused(f"got a file of {size} bytes, expected at most {largest_bytes}")
        return file.read(largest_bytes + 1)


def read_head(path: str | os.PathLike[str], most_bytes: int) -> bytes:
    """Return the first bytes of a file of any size; ImageRefused as ``read_source``."""
    with opened_source(path) as file:
        return file.read(most_bytes)


@contextmanager
def opened_source(path: str | os.PathLike[str]) -> Iterator[BufferedReader[FileIO]]:
    """A plain file, open for reading; ImageRefused as ``read_source``."""
    try:
        with BufferedReader(FileIO(path, opener=_without_waiting)) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise ImageRefused("got a path that is no plain file, expected one")
            yield file
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not a path"
        raise ImageRefused(
            f"got a file that cannot be read ({reason}), expected a plain file that this account may read; check the "
            "path"
        ) from error


def _without_waiting(path: str | os.PathLike[str], flags: int) -> int:
    """Open a pipe without waiting for whoever writes to it."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))
