"""Pictures in a zip file, read from it one by one: nothing is unpacked to a disk, so no name in it can lead anywhere.

A zip file is not trusted: members have a size limit that holds whatever the file says of them, may unfold to at most
200 times their size, and are stored or deflated (other methods let a small file ask for gigabytes of memory).
"""

from __future__ import annotations

import hashlib
import stat
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from threading import Lock

from unseen.errors import ImageRefused, InvalidInput
from unseen_client.bring.brought import Brought
from unseen_client.decode_child import LARGEST_FILE_BYTES
from unseen_client.records import Record
from unseen_client.source_file import PictureFile

MOST_MEMBERS = 200_000
LARGEST_RATIO = 200
"""Deflate reaches 1032; pictures are compressed already."""
SMALLEST_SUSPECT_BYTES = 1 << 20
METHODS = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})
ENCRYPTED = 0x1


@dataclass(frozen=True, eq=False)
class Member:
    """One file of an open archive."""

    archive: zipfile.ZipFile
    lock: Lock
    info: zipfile.ZipInfo

    @property
    def name(self) -> str:
        return PurePosixPath(self.info.filename).name

    def __str__(self) -> str:
        return f"{Path(self.archive.filename or '').name}:{self.info.filename}"

    def content(self) -> bytes:
        """SHA-256 of the picture; ImageRefused as ``read``."""
        return hashlib.sha256(self.read()).digest()

    def read(self) -> bytes:
        """The bytes of a picture; ImageRefused for what is encrypted, damaged, too large or a bomb."""
        if reason := _refused(self.info):
            raise ImageRefused(reason)
        try:
            with self.lock, self.archive.open(self.info) as file:
                data = file.read(LARGEST_FILE_BYTES + 1)
        except (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, NotImplementedError) as error:
            raise ImageRefused("got a member of a zip file that is damaged; pack it anew") from error
        if len(data) > LARGEST_FILE_BYTES:
            raise ImageRefused(f"got a member of a zip file of more than {LARGEST_FILE_BYTES} bytes")
        return data


def read_zip(path: Path, suffixes: frozenset[str], tags: tuple[str, ...] = ()) -> Brought:
    """The pictures of a zip file, by their suffixes, in the order of their names; raises InvalidInput."""
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise InvalidInput(f"cannot read {path} as a zip file") from error
    infos = [one for one in archive.infolist() if PurePosixPath(one.filename).suffix.lower() in suffixes]
    if len(archive.infolist()) > MOST_MEMBERS:
        raise InvalidInput(f"{path} has {len(archive.infolist())} members, at most {MOST_MEMBERS} are taken; cut it")
    lock = Lock()
    pictures: list[tuple[PictureFile, Record]] = [
        (Member(archive, lock, one), Record(tags=tags)) for one in sorted(infos, key=lambda one: one.filename)
    ]
    return Brought(pictures)


def _refused(info: zipfile.ZipInfo) -> str:
    """Why a member is not even opened, or nothing."""
    place = PurePosixPath(info.filename.replace("\\", "/"))
    if place.is_absolute() or ".." in place.parts or ":" in place.parts[0]:
        return "got a member of a zip file whose name leads out of it; pack it anew"
    if stat.S_ISLNK(info.external_attr >> 16):
        return "got a member of a zip file that is a link; pack the file itself"
    if info.flag_bits & ENCRYPTED:
        return "got a member of a zip file that is encrypted; unpack it first"
    if info.compress_type not in METHODS:
        return "got a member of a zip file that is packed in a rare way; pack it with deflate"
    if info.file_size > LARGEST_FILE_BYTES:
        return f"got a member of a zip file of {info.file_size} bytes, at most {LARGEST_FILE_BYTES} are taken"
    if info.file_size > max(SMALLEST_SUSPECT_BYTES, LARGEST_RATIO * info.compress_size):
        return f"got a member of a zip file that unfolds to {info.file_size} bytes of {info.compress_size}: no picture"
    return ""
