"""One append-only file of lines that are on disk before anybody acts on them. Knows nothing of privacy.

Every operation opens the file anew and locks it, so threads, processes and forks exclude each other. A line carries a
hash over itself and all lines before it: a line that is altered, left out or moved is noticed. Lines cut off at the end
of the file, or a whole older file put in place, are not. Format: docs/differential-privacy.md.

A last line without its newline is a write that a crash cut short: nobody acted on it, and it is cut off. A whole line
that does not fit the chain is damage: everything is refused.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from unseen.errors import IntegrityError, StoreFailed

FORMAT = "unseen-privacy-ledger-1"
CHAIN_HEX = 32
"""Half of SHA-256: enough against damage; who may write the file can forge it anyway."""
FIRST_CHAIN = hashlib.sha256(FORMAT.encode("ascii")).hexdigest()[:CHAIN_HEX]


class LedgerFile:
    """The lines that were read so far, and the place in the file up to which they go. Guarded by ``locked``."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._chain = FIRST_CHAIN
        self._offset = 0
        self._identity: tuple[int, int] | None = None
        self._failed = False
        self._descriptor = -1

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the file alone. Raises StoreFailed when the disk refuses, from then on for good."""
        if self._failed:
            raise StoreFailed("the ledger has stopped after a failure: start anew to read what is on disk")
        try:
            self._descriptor = self._open()
            try:
                fcntl.flock(self._descriptor, fcntl.LOCK_EX)
                yield
            finally:
                os.close(self._descriptor)
        except OSError as error:
            self._failed = True
            raise StoreFailed(
                f"the disk refused the ledger ({type(error).__name__}): nothing was released; check space and hardware"
            ) from error

    def stop(self) -> None:
        """Refuse every later operation: what was read is not what was counted."""
        self._failed = True

    def read_new(self) -> list[str]:
        """Lines that came since the last call. Raises IntegrityError for damage."""
        status = os.fstat(self._descriptor)
        identity = (status.st_dev, status.st_ino)
        if self._identity not in (None, identity) or status.st_size < self._offset:
            raise IntegrityError("the ledger was replaced or cut while it was in use: put the true one back")
        self._identity = identity
        data = self._read_from(self._offset, status.st_size - self._offset)
        whole = data[: data.rfind(b"\n") + 1]
        lines = []
        for line in whole.splitlines(keepends=True):
            lines.append(self._checked(line))
            self._offset += len(line)
        if len(whole) < len(data):
            os.ftruncate(self._descriptor, self._offset)
        return lines

    def append(self, text: str) -> None:
        """Write one line and wait until it is on disk; call ``read_new`` before, under the same lock."""
        chain = _next_chain(self._chain, text)
        line = f"{chain} {text}\n".encode()
        written = 0
        while written < len(line):
            written += os.write(self._descriptor, line[written:])
        os.fsync(self._descriptor)
        self._chain, self._offset = chain, self._offset + len(line)

    def _open(self) -> int:
        flags = os.O_RDWR | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
        if self._identity is not None:
            return os.open(self._path, flags)
        descriptor = os.open(self._path, flags | os.O_CREAT, 0o600)
        # Also when the file was there: whoever made it may have crashed before its name was on disk.
        folder = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        return descriptor

    def _read_from(self, offset: int, size: int) -> bytes:
        parts = []
        while size > 0 and (part := os.pread(self._descriptor, size, offset)):
            parts.append(part)
            offset, size = offset + len(part), size - len(part)
        return b"".join(parts)

    def _checked(self, line: bytes) -> str:
        try:
            chain, _, text = line.decode().rstrip("\n").partition(" ")
        except UnicodeDecodeError:
            chain, text = "", ""
        if chain != _next_chain(self._chain, text):
            raise IntegrityError(
                f"the ledger is damaged at byte {self._offset}: what was spent cannot be told, nothing more is released"
            )
        self._chain = chain
        return text


def _next_chain(chain: str, text: str) -> str:
    return hashlib.sha256(f"{chain} {text}".encode()).hexdigest()[:CHAIN_HEX]
