"""Where a device keeps what only it may hold: record keys and mirrors. Folders 0700, files 0600, others refused."""

from __future__ import annotations

import itertools
import os
import secrets
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from unseen.errors import AlreadyExists, InvalidConfiguration, StoreFailed

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
    with _waiting(path, data) as fresh:
        fresh.replace(path)


def write_over_private(path: Path, data: bytes) -> None:
    """The same in place of a file whose content may not stay on the disk: that is overwritten afterwards.

    As far as the file system lets it: a copying one, a snapshot or a worn flash cell may keep what was there.
    """
    if sys.platform == "win32" or not path.exists():
        write_private(path, data)
        return
    with _overwritten_afterwards(path):
        write_private(path, data)


def destroy_private(path: Path) -> None:
    """Remove a file whose content may not stay on the disk, as far as ``write_over_private`` can; on disk then.

    Nothing happens when there is none; raises StoreFailed.
    """
    if not path.exists():
        return
    if sys.platform == "win32":
        path.unlink(missing_ok=True)
        return
    with _overwritten_afterwards(path):
        path.unlink(missing_ok=True)
        sync_folder(path.parent)


@contextmanager
def _overwritten_afterwards(path: Path) -> Iterator[None]:
    """A block that takes a file's name away; then what the file held is overwritten; raises StoreFailed.

    Never before: a crash between the two leaves the content, but no file that is damaged.
    """
    try:
        with path.open("r+b") as past:
            yield
            past.write(bytes(os.fstat(past.fileno()).st_size))
            past.flush()
            os.fsync(past.fileno())
    except OSError as error:
        raise StoreFailed(f"cannot write over {path}: {error.strerror}; look at its disk") from error


def write_new_private(path: Path, data: bytes) -> None:
    """The same under a name that nothing has yet; raises AlreadyExists, StoreFailed."""
    with _waiting(path, data) as fresh:
        name_anew(fresh, path)


@contextmanager
def _waiting(path: Path, data: bytes) -> Iterator[Path]:
    """``data``, on disk beside the path for the length of a block, which gives it its name; else nothing is left."""
    fresh = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            yield fresh
        finally:
            fresh.unlink(missing_ok=True)
    except OSError as error:
        raise StoreFailed(f"cannot write {path}: {error.strerror}; nothing of it was written") from error
    try:
        sync_folder(path.parent)
    except OSError as error:
        raise StoreFailed(f"{path} is written, and a crash may undo it: {error.strerror}; look at its disk") from error


@contextmanager
def disk_failures(path: Path) -> Iterator[None]:
    """A block whose OSErrors are StoreFailed: a disk that fails, where what is on it is not lost with that."""
    try:
        yield
    except OSError as error:
        raise StoreFailed(f"cannot use {path}: {error.strerror}; look at its disk") from error


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """A block that one thread of one process is in at a time, by a lock on a file; waits for it; StoreFailed.

    Not for a thread that is in one already. Keeps nobody out where there are no such locks: not a POSIX system.
    """
    try:
        import fcntl
    except ImportError:
        yield
        return
    with disk_failures(path):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        with disk_failures(path):
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.flock(descriptor, fcntl.LOCK_UN)  # also for a process that was forked meanwhile and has it open
    finally:
        os.close(descriptor)


def name_anew(fresh: Path, path: Path) -> None:
    """Give a file that is whole a name that nothing has yet; raises AlreadyExists, OSError."""
    try:
        _link(fresh, path)
    except FileExistsError as error:
        raise AlreadyExists(f"{path} is there already, and stays as it is; give another name") from error


def _link(fresh: Path, path: Path) -> None:
    try:
        os.link(fresh, path)
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links: take the name first, then put the file there
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        try:
            fresh.replace(path)
        except BaseException:
            path.unlink()
            raise


def sync_folder(folder: Path) -> None:
    """Make a rename in the folder last; does nothing where folders cannot be opened."""
    if sys.platform == "win32":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
