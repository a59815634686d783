"""The master key: 32 random bytes in a file of its own, made at the first start, readable by the server's user alone.

Whoever holds it and the data directory reads every vector. Losing it loses them: keep a copy where the data is not.
The file is one line of text: a name, a version and 64 hexadecimal digits.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from unseen.entropy import random_bytes
from unseen.envelope import KEY_BYTES
from unseen.errors import InvalidConfiguration

HEADER = "unseen-master-key-1 "


def open_master_key(path: Path, make: bool) -> bytes:
    """The master key in ``path``; made there first when it is absent and ``make`` allows it.

    InvalidConfiguration when it is absent and the data is not, open to others, or not a master key.
    """
    if not exists(path):
        if not make:
            raise InvalidConfiguration(
                f"there is data, but no master key at {path}: give --master-key the file that was made with the data"
            )
        write_once(path, f"{HEADER}{random_bytes(KEY_BYTES).hex()}\n".encode("ascii"))
    return _parse(read_private(path, len(HEADER) + 2 * KEY_BYTES + 2), path)


def exists(path: Path) -> bool:
    """Whether there is a master key file; InvalidConfiguration when the system does not say."""
    try:
        return path.exists()
    except OSError as error:
        raise InvalidConfiguration(f"the master key {path} cannot be looked for: {error.strerror}") from error


def write_once(path: Path, content: bytes) -> None:
    """Make a private file, on disk when this returns. InvalidConfiguration when the disk refuses.

    It appears under its name whole or not at all: half of a key would block every later start.
    """
    try:
        _write_once(path, content)
    except OSError as error:
        raise InvalidConfiguration(f"the master key {path} cannot be made: {error.strerror}") from error


def _write_once(path: Path, content: bytes) -> None:
    unfinished = path.with_name(f".unfinished-{random_bytes(8).hex()}")
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(descriptor)
        os.link(unfinished, path)  # unlike a renaming it never replaces a key
    finally:
        unfinished.unlink()
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def read_private(path: Path, most_bytes: int) -> bytes:
    """The first bytes of a file that others cannot open; InvalidConfiguration when they can, or it cannot be read."""
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            content = file.read(most_bytes)
    except OSError as error:
        raise InvalidConfiguration(f"the master key {path} cannot be read: {error.strerror}") from error
    if mode & 0o077:
        raise InvalidConfiguration(f"the master key {path} is open to others (mode {mode:o}): chmod 600 it")
    return content


def _parse(line: bytes, path: Path) -> bytes:
    head, digits = line[: len(HEADER)], line[len(HEADER) :].rstrip(b"\n")
    try:
        key = bytes.fromhex(digits.decode("ascii"))
    except ValueError:
        key = b""
    if head != HEADER.encode("ascii") or len(key) != KEY_BYTES:
        raise InvalidConfiguration(f"{path} is not a master key: expected one line, {HEADER!r} and 64 hex digits")
    return key
