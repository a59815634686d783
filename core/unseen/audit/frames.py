"""The file that an audit log's leaves lie in: frames that are on disk, each whole, before anybody is told of them.

The server holds it. Records come sealed; on disk there are their number and their sizes.

    "unseen-audit-log-1\n" | frame | frame | ...
    frame = "ULF1" | body bytes (4) | index of the first record (8) | records (4) | CRC-32 of those and the body (4)
            | body
    body  = length (4) | record, for each

One frame is one group of records and one fsync. So a damaged frame with a whole one after it was acknowledged: damage.
A damaged last frame is a write that a crash cut short, which nobody was told of: it is cut off.
"""

from __future__ import annotations

import fcntl
import os
import struct
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from unseen.errors import AuditUnavailable, IntegrityError, InvalidConfiguration, StoreFailed

HEADER = b"unseen-audit-log-1\n"
MAGIC = b"ULF1"
MOST_BODY_BYTES = 16 << 20
"""A group of a few thousand records; more are never written at once."""

_HEAD = struct.Struct("<4sIQI")
_CRC = struct.Struct("<I")
_LENGTH = struct.Struct("<I")
FRAME_HEAD_BYTES = _HEAD.size + _CRC.size


@dataclass(frozen=True)
class Frame:
    """One group of records as it was read."""

    first_index: int
    records: tuple[bytes, ...]
    end: int
    """The offset after it."""


class FrameFile:
    """One process has it at a time. Appending belongs to one thread; reading may go on beside it."""

    def __init__(self, path: Path) -> None:
        """Open the file, or make it; raises InvalidConfiguration when another process has it or it is no log."""
        self._path = path
        self._failed = False
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            self._lock()
            self.end = self._open()
        except BaseException:
            os.close(self._descriptor)
            raise

    def _lock(self) -> None:
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InvalidConfiguration(f"the audit log {self._path} is in use by another process; stop it") from None

    def _open(self) -> int:
        start = os.pread(self._descriptor, len(HEADER), 0)
        if start == HEADER:
            return len(HEADER)
        if not HEADER.startswith(start):
            raise InvalidConfiguration(
                f"{self._path} is not an audit log of this release; move it away or run the release that wrote it"
            )
        # New, or its making was cut short. Its name must last as well, before anything in it counts.
        os.pwrite(self._descriptor, HEADER, 0)
        os.fsync(self._descriptor)
        _sync_folder(self._path.parent)
        return len(HEADER)

    def recover(self, offset: int) -> Iterator[Frame]:
        """Every frame from an offset on; a torn last one is cut off, damage before that raises IntegrityError.

        To be run to its end before the first ``append``.
        """
        size = self.size_on_disk
        self.end = offset
        for frame in self.read(offset, size):
            self.end = frame.end
            yield frame
        if self.end < size:
            if has_frame_behind(self._descriptor, self.end + 1, size):
                raise IntegrityError(
                    f"the audit log {self._path} is damaged at byte {self.end}: restore it from a backup "
                    "(docs/operations.md, When something fails)"
                )
            os.ftruncate(self._descriptor, self.end)
            os.fsync(self._descriptor)

    @property
    def size_on_disk(self) -> int:
        """Bytes of the file, a torn last frame included."""
        return os.fstat(self._descriptor).st_size

    def goes_on_at(self, offset: int, index: int) -> bool:
        """Whether the file ends at an offset, or a frame whose first record has this index begins there."""
        frame = self._frame(offset, self.size_on_disk)
        return offset == self.size_on_disk or (frame is not None and frame.first_index == index)

    def read(self, offset: int, end: int) -> Iterator[Frame]:
        """Every frame between two offsets, until one is not whole."""
        while (frame := self._frame(offset, end)) is not None:
            yield frame
            offset = frame.end

    def append(self, first_index: int, records: Sequence[bytes]) -> None:
        """Write records as one frame; on disk when this returns.

        AuditUnavailable when there is no room: nothing was kept, a later call may find some. StoreFailed when the disk
        may have kept something else than it was given: from then on for good.
        """
        if self._failed:
            raise StoreFailed("the audit log has stopped after a failed write; restart the server")
        frame = _framed(first_index, records)
        try:
            self._write(frame)
        except OSError as error:
            self._cut_back()
            raise AuditUnavailable(
                f"the audit log cannot be written ({os.strerror(error.errno or 0)}), so nothing is done that it would "
                "have to say; make room on its disk"
            ) from error
        try:
            os.fsync(self._descriptor)
        except OSError as error:
            self._failed = True
            raise StoreFailed(
                f"the disk did not keep the audit log ({type(error).__name__}); check space and hardware, then restart"
            ) from error
        self.end += len(frame)

    def copy_to(self, path: Path, end: int) -> None:
        """Copy what lies before ``end``, the end of some frame, to a new file; on disk when this returns."""
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            offset = 0
            while offset < end:
                part = os.pread(self._descriptor, min(1 << 20, end - offset), offset)
                if not part:
                    raise IntegrityError("the audit log became shorter while it was copied")
                _write_all(descriptor, part, offset)
                offset += len(part)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        _sync_folder(path.parent)

    def close(self) -> None:
        """Let go of the file; a second call does nothing."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor, self._failed = -1, True

    def _write(self, frame: bytes) -> None:
        _write_all(self._descriptor, frame, self.end)

    def _cut_back(self) -> None:
        """Take away what a failed write may have left; without that, nothing after it could be told from damage."""
        try:
            os.ftruncate(self._descriptor, self.end)
        except OSError:
            self._failed = True

    def _frame(self, offset: int, end: int) -> Frame | None:
        return read_frame(self._descriptor, offset, end)


def read_frame(descriptor: int, offset: int, end: int) -> Frame | None:
    """The frame at an offset of an open file, None when it is not whole."""
    head = os.pread(descriptor, FRAME_HEAD_BYTES, offset)
    if len(head) < FRAME_HEAD_BYTES:
        return None
    magic, body_bytes, first_index, count = _HEAD.unpack_from(head)
    after = offset + FRAME_HEAD_BYTES + body_bytes
    if magic != MAGIC or body_bytes > MOST_BODY_BYTES or after > end:
        return None
    body = os.pread(descriptor, body_bytes, offset + FRAME_HEAD_BYTES)
    if _CRC.unpack_from(head, _HEAD.size)[0] != zlib.crc32(body, zlib.crc32(head[: _HEAD.size])):
        return None
    records = tuple(_records(body))
    return Frame(first_index, records, after) if len(records) == count else None


def has_frame_behind(descriptor: int, offset: int, end: int) -> bool:
    """Whether a whole frame stands anywhere behind an offset: then what is before it was acknowledged."""
    rest = os.pread(descriptor, end - offset, offset)
    at = rest.find(MAGIC)
    while at >= 0:
        if read_frame(descriptor, offset + at, end) is not None:
            return True
        at = rest.find(MAGIC, at + 1)
    return False


def _framed(first_index: int, records: Sequence[bytes]) -> bytes:
    body = b"".join(_LENGTH.pack(len(record)) + record for record in records)
    head = _HEAD.pack(MAGIC, len(body), first_index, len(records))
    return head + _CRC.pack(zlib.crc32(body, zlib.crc32(head))) + body


def _records(body: bytes) -> Iterator[bytes]:
    at = 0
    while at + _LENGTH.size <= len(body):
        (length,) = _LENGTH.unpack_from(body, at)
        at += _LENGTH.size
        yield body[at : at + length]
        at += length


def _write_all(descriptor: int, data: bytes, offset: int) -> None:
    written = 0
    while written < len(data):
        written += os.pwrite(descriptor, data[written:], offset + written)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
