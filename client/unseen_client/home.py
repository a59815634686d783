"""Where a device keeps what only it may hold: record keys and mirrors. Folders 0700, files 0600, others refused."""

from __future__ import annotations

import itertools
import os
import secrets
import stat
import sys
from pathlib import Path

from unseen.errors import InvalidConfiguration, StoreFailed

HOME_VARIABLE = "UNSEEN_HOME"
_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def default_home() -> Path:
    """``$UNSEEN_HOME``, else the platform's folder for an application's own data."""
    if named := os.environ.get(HOME_VARIABLE):
        return Path(named)
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "unseen"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "unseen"
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "unseen"


def private_folder(folder: Path) -> Path:
    """Make the folder for its owner alone, or check that it is; raises InvalidConfiguration, StoreFailed.

    Folders above it that are missing are made for the owner alone as well; those that are there are left as they are.
    """
    missing = list(itertools.takewhile(lambda level: not level.exists(), folder.parents))
    try:
        for level in reversed(missing):
            level.mkdir(mode=0o700, exist_ok=True)
        folder.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise StoreFailed(
            f"cannot make the folder {folder}: {error.strerror}; set {HOME_VARIABLE} elsewhere"
        ) from error
    refuse_others(folder, "700")
    return folder


def refuse_others(path: Path, wanted: str) -> None:
    """Raise InvalidConfiguration when anyone but the owner may reach the path."""
    if sys.platform == "win32":
        return  # access lists rule there, and the profile folder has them
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & _OTHERS:
        raise InvalidConfiguration(
            f"{path} has mode {mode:03o}, so others can reach what only this device may hold; chmod {wanted} {path}"
        )


def write_private(path: Path, data: bytes) -> None:
    """Put ``data`` at ``path`` whole or not at all, on disk when this returns; raises StoreFailed."""
    fresh = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            fresh.replace(path)
        except BaseException:
            fresh.unlink(missing_ok=True)
            raise
        sync_folder(path.parent)
    except OSError as error:
        raise StoreFailed(f"cannot write {path}: {error.strerror}") from error


def sync_folder(folder: Path) -> None:
    """Make a rename in the folder last; does nothing where folders cannot be opened."""
    if sys.platform == "win32":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
