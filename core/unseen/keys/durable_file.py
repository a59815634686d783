"""A small file that is replaced whole, and whose past content is overwritten: what the key ring lies in.

    NAME.next   the new content, written and synced
    NAME.past   a second name of the old file, so that a crash cannot lose track of it
    NAME        becomes the new one by a rename, and the folder is synced: from here on the change stands
    NAME.past   overwritten with zeros, synced, removed

Overwriting reaches the blocks that the file system shows. A copying file system, a snapshot or a worn flash cell may
keep what was there: docs/keys.md says so.
"""

from __future__ import annotations

import os
from pathlib import Path


def replace(path: Path, content: bytes) -> None:
    """Put ``content`` in place of the file, or make it; on disk when this returns. OSError when the disk refuses."""
    forget_leftovers(path)
    _write_new(_next(path), content)
    if path.exists():
        _past(path).hardlink_to(path)
    _next(path).rename(path)
    _sync_folder(path)
    _destroy(_past(path))


def forget_leftovers(path: Path) -> None:
    """Destroy what a crash in the middle of a replacement left beside the file."""
    _destroy(_next(path))
    past = _past(path)
    if past.exists() and path.exists() and past.samefile(path):
        past.unlink()  # the crash came before the rename: this is the file itself
    else:
        _destroy(past)


def _next(path: Path) -> Path:
    return path.with_name(f"{path.name}.next")


def _past(path: Path) -> Path:
    return path.with_name(f"{path.name}.past")


def _write_new(path: Path, content: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(descriptor)


def _destroy(path: Path) -> None:
    try:
        with path.open("r+b") as file:
            file.write(bytes(os.fstat(file.fileno()).st_size))
            file.flush()
            os.fsync(file.fileno())
    except FileNotFoundError:
        return
    path.unlink()


def _sync_folder(path: Path) -> None:
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
