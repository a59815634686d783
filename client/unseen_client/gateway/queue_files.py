"""The files of a queue by their names: which are ours, and what a name says. See ``queue``.

Runs at the edge of the site. Names and sizes only; what the files hold is sealed.
"""

from __future__ import annotations

import os
import re
from contextlib import suppress
from pathlib import Path

from unseen_client.home import disk_failures

WAITING, REFUSED, REASON = "waiting", "refused", ".reason"
_NAME = r"[0-9]{20}-[0-9a-f]{16}"
_FORMS = {WAITING: re.compile(rf"{_NAME}\.[0-9]+"), REFUSED: re.compile(rf"{_NAME}(?:\.reason)?")}
"""Of our own files. Beside them lie those that are being written, and what people and file systems put there."""


def is_name(name: str) -> bool:
    """Whether this could be the name of an object, as ``name_of`` gives it."""
    return re.fullmatch(_NAME, name) is not None


def name_of(entry: str) -> str:
    """What stays the same of a file's name, whatever became of the object."""
    return entry.partition(".")[0]


def accepted_at_s(name: str) -> float:
    """When an object was accepted, by its file's name, seconds since 1970."""
    return int(name.partition("-")[0]) / 1e9


def names_in(folder: Path) -> list[str]:
    """Our own files in one of the two folders; StoreFailed."""
    return [entry.name for entry in _entries(folder)]


def sizes_in(folder: Path) -> dict[str, int]:
    """The same with their bytes; StoreFailed."""
    found = {}
    with disk_failures(folder):
        for entry in _entries(folder):
            with suppress(FileNotFoundError):  # moved or done meanwhile
                found[entry.name] = entry.stat().st_size
    return found


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    with disk_failures(folder), os.scandir(folder) as entries:
        return [entry for entry in entries if _FORMS[folder.name].fullmatch(entry.name)]
