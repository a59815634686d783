"""Objects that the gateway has accepted and not yet enrolled, and those that were refused: sealed files, one for each.

    waiting/<accepted, ns>-<random>.<tries>      sealed: header {sender, accepted at}, the object    sorted by age
    refused/<accepted, ns>-<random>              the same bytes
    refused/<accepted, ns>-<random>.reason       sealed JSON {code, reason}

Runs at the edge of the site: the processes that listen and that pull put objects in, the one that enrols takes them
out. Held are whole studies, so every file is sealed with AES-256-GCM under a key derived from the site key, which lies
elsewhere: whoever steals the queue's disk alone learns how many objects there were, how large, and when they came.

An object is accepted when it and its name are synced to the disk, and gone when its rows are on the server's. A crash
between the two leaves it in the queue; enrolling it again finds its rows there. Removing is an unlink: what a disk
keeps of unlinked files is sealed.
"""

from __future__ import annotations

import json
import os
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from unseen.entropy import random_bytes
from unseen.envelope import SEAL_OVERHEAD_BYTES, SealingKey, context, derive_key
from unseen.errors import ImageRefused, InvalidInput, NotFound, SealBroken, StoreFailed
from unseen.json_text import read_json
from unseen_client.deid.kinds import HEAD_BYTES
from unseen_client.gateway.quarantine import Bounds, Held, Refused
from unseen_client.gateway.queue_files import (
    REASON,
    REFUSED,
    WAITING,
    accepted_at_s,
    is_name,
    name_of,
    names_in,
    sizes_in,
)
from unseen_client.home import disk_failures, private_folder, sync_folder, write_private

_HEADER = struct.Struct("<I")
_MOST_HEADER_BYTES = 4096
RESERVE_BYTES = 256 << 20
"""Left free on the queue's disk: the mirror and the server's index may be on it, and without them nothing drains."""
RESERVE_SHARE = 0.1
"""Of a smaller disk no more than this."""
COUNTED_FOR_S = 1.0
"""How long a count of the files is believed, with what this process has put in since."""


@dataclass(frozen=True)
class Counts:
    """How much lies in the queue."""

    waiting: int
    refused: int
    size_bytes: int
    oldest_s: float
    """When the oldest waiting object was accepted, seconds since 1970; 0 for none."""


@dataclass(frozen=True)
class _Counted:
    """A count of the files, and what is to be known to believe it for a while."""

    counts: Counts
    at_s: float
    """Of the monotonic clock."""
    put_bytes: int
    """What this process had put in before. What it puts in later is added, and rather counted twice than not at all."""


def queue_key(site_key: bytes) -> bytes:
    """The key of a site's queue."""
    return derive_key(site_key, b"unseen/gateway/queue")


class Queue:
    """The folder of a gateway's objects. Safe for several threads, and for several processes of which one takes out."""

    def __init__(self, folder: Path, key: bytes, most_bytes: int) -> None:
        """Make the folders; InvalidConfiguration when others can reach them, StoreFailed."""
        self.folder = private_folder(folder)
        self._waiting = private_folder(folder / WAITING)
        self._refused = private_folder(folder / REFUSED)
        self._key = SealingKey(key)
        self._most_bytes = most_bytes
        self._putting = threading.Lock()
        self._put_bytes = 0
        self._counted = _Counted(Counts(0, 0, 0, 0.0), float("-inf"), 0)

    def put(self, data: bytes, sender: str) -> str:
        """Accept a Part 10 file, on the disk when this returns its name; StoreFailed, for want of room too."""
        name = f"{time.time_ns():020}-{random_bytes(8).hex()}"
        header = json.dumps({"sender": sender, "at_s": time.time()}).encode()
        with self._putting:  # one at a time: the room is looked at and taken, and the object is held several times over
            self._require_room(len(data))
            sealed = self._key.seal(b"".join((_HEADER.pack(len(header)), header, data)), _where(name))
            write_private(self._waiting / f"{name}.0", sealed)
            self._put_bytes += len(sealed)
        return name

    def waiting(self) -> list[QueuedObject]:
        """What waits, the oldest first."""
        return [QueuedObject(self, entry) for entry in sorted(names_in(self._waiting))]

    def sweep(self) -> None:
        """Remove what was being written when a process died; while nobody else puts anything in."""
        with disk_failures(self.folder):
            for folder in (self._waiting, self._refused):
                for path in folder.glob(".*"):
                    if path.is_file():  # file systems have folders of such names
                        path.unlink(missing_ok=True)

    def counts(self, believed_for_s: float = 0.0) -> Counts:
        """How much lies here, counted anew when the last count is older; StoreFailed."""
        return self._count(believed_for_s).counts

    def _count(self, believed_for_s: float) -> _Counted:
        if time.monotonic() - self._counted.at_s > believed_for_s:
            at_s, put_bytes = time.monotonic(), self._put_bytes
            waiting, refused = sizes_in(self._waiting), sizes_in(self._refused)
            objects = sum(not name.endswith(REASON) for name in refused)
            oldest_s = accepted_at_s(min(waiting)) if waiting else 0.0
            counts = Counts(len(waiting), objects, sum(waiting.values()) + sum(refused.values()), oldest_s)
            self._counted = _Counted(counts, at_s, put_bytes)  # at once, and only when all of it could be counted
        return self._counted

    def open(self, entry: str) -> tuple[str, float, bytes]:
        """Sender, time and bytes of an object by its file's name; ImageRefused when it was altered."""
        folder = self._waiting if "." in entry else self._refused
        with disk_failures(self.folder):
            try:
                sealed = (folder / entry).read_bytes()
            except FileNotFoundError:
                raise NotFound(f"there is no object {entry} in {self.folder}") from None
        try:
            plain = self._key.open(sealed, _where(name_of(entry)))
        except SealBroken:
            raise ImageRefused("the object does not open: it was altered, or put here under another site key") from None
        (size,) = _HEADER.unpack_from(plain)
        fields = json.loads(plain[_HEADER.size : _HEADER.size + size])
        return str(fields["sender"]), float(fields["at_s"]), plain[_HEADER.size + size :]

    def done(self, entry: str) -> None:
        """Let go of an object whose rows are on the server's disk."""
        with disk_failures(self.folder):
            (self._waiting / entry).unlink(missing_ok=True)

    def tried(self, entry: str, more: int) -> str:
        """Count tries of an object that may have brought the process down; gives its file's new name."""
        name, _, tries = entry.rpartition(".")
        counted = f"{name}.{int(tries) + more}"
        self._move(self._waiting / entry, self._waiting / counted)
        return counted

    def refuse(self, entry: str, code: str, reason: str) -> None:
        """Put an object into quarantine with its reason, both on the disk when this returns; StoreFailed."""
        name = name_of(entry)
        sealed = self._key.seal(json.dumps({"code": code, "reason": reason}).encode(), _where(name, "reason"))
        write_private(self._refused / f"{name}{REASON}", sealed)
        self._move(self._waiting / entry, self._refused / name)

    def refused(self) -> Iterator[Refused]:
        """What is in quarantine, the oldest first."""
        for name in sorted(names_in(self._refused)):
            if name.endswith(REASON):
                continue
            try:
                sender, at_s, data = self.open(name)
            except ImageRefused:
                sender, at_s, data = "", accepted_at_s(name), b""
            yield Refused(name, sender, at_s, len(data), self._refused_at_s(name), *self._reason(name))

    def release(self, name: str) -> None:
        """Let an object in quarantine wait again; NotFound."""
        self._require_refused(name)
        self._move(self._refused / name, self._waiting / f"{name}.0")
        with disk_failures(self.folder):
            (self._refused / f"{name}{REASON}").unlink(missing_ok=True)

    def drop(self, name: str) -> None:
        """Destroy an object in quarantine; NotFound."""
        self._require_refused(name)
        self._destroy(name)

    def expire(self, bounds: Bounds, now_s: float) -> int:
        """Destroy what has been in quarantine for too long, and the oldest of too much; how many that were.

        For the process that refuses. StoreFailed.
        """
        found = sizes_in(self._refused)
        held = [
            Held(name, found.get(name, 0) + found.get(f"{name}{REASON}", 0), self._refused_at_s(name))
            for name in set(map(name_of, found))
        ]
        beyond = bounds.beyond(held, now_s)
        for name in beyond:
            self._destroy(name)
        return len(beyond)

    def _destroy(self, name: str) -> None:
        with disk_failures(self.folder):
            for entry in (name, f"{name}{REASON}"):
                (self._refused / entry).unlink(missing_ok=True)

    def _refused_at_s(self, name: str) -> float:
        """When the reason was written; where it is gone, when the object was."""
        for entry in (f"{name}{REASON}", name):
            with suppress(OSError):
                return (self._refused / entry).stat().st_mtime
        return accepted_at_s(name)

    def _reason(self, name: str) -> tuple[str, str]:
        try:
            sealed = (self._refused / f"{name}{REASON}").read_bytes()
            fields = read_json(self._key.open(sealed, _where(name, "reason")))
            return str(fields["code"]), str(fields["reason"])
        except (OSError, SealBroken, ValueError, KeyError, TypeError):
            return "UNKNOWN", "the reason cannot be read"

    def _require_refused(self, name: str) -> None:
        if not is_name(name) or not (self._refused / name).is_file():
            raise NotFound(f"there is no object {name!r} in quarantine; `unseen gateway quarantine` lists them")

    def _require_room(self, size: int) -> None:
        counted = self._count(COUNTED_FOR_S)
        since_bytes = self._put_bytes - counted.put_bytes
        held = counted.counts.size_bytes + since_bytes + size + SEAL_OVERHEAD_BYTES
        with disk_failures(self.folder):
            disk = os.statvfs(self.folder)
        free, total = disk.f_bavail * disk.f_frsize, disk.f_blocks * disk.f_frsize
        reserve = min(RESERVE_BYTES, int(RESERVE_SHARE * total))
        if held > self._most_bytes or free - size < reserve:
            raise StoreFailed(
                f"the queue in {self.folder} is full; see that the server runs, and look at the quarantine"
            )

    def _move(self, source: Path, target: Path) -> None:
        with disk_failures(self.folder):
            source.replace(target)
            for folder in {source.parent, target.parent}:
                sync_folder(folder)


@dataclass(frozen=True)
class QueuedObject:
    """One waiting object, as a source that the enrolment reads: ``unseen_client.dicom.source``."""

    queue: Queue
    name: str

    @property
    def origin(self) -> str:
        """Who sent it: what the crosswalk keeps in place of a path."""
        return f"sent by {self.queue.open(self.name)[0]}"

    @property
    def stem(self) -> str:
        """Its name without the tries."""
        return name_of(self.name)

    @property
    def tries(self) -> int:
        """How often it was worked on alone."""
        return int(self.name.rpartition(".")[2])

    def head(self) -> bytes:
        """Its first bytes; ImageRefused."""
        return self.read()[:HEAD_BYTES]

    def read(self) -> bytes:
        """All of it; ImageRefused."""
        return self.queue.open(self.name)[2]


def require_size(gib: float, what: str = "queue") -> int:
    """Bytes of a queue of so many GiB; InvalidInput for none."""
    if not 0 < gib <= 1 << 20:
        raise InvalidInput(f"got a {what} of {gib} GiB, expected more than 0")
    return int(gib * (1 << 30))


def _where(name: str, kind: str = "object") -> bytes:
    return context("gateway", kind, name)
