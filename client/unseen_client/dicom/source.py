"""Where a DICOM object comes from when it is enrolled: a file, or somewhere that is not a plain file.

Runs where the images are. A source is read several times and holds nothing in between; the gateway's queue is one whose
objects lie sealed on the disk.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeGuard

from unseen_client.deid.dicom_file import LARGEST_FILE_BYTES
from unseen_client.deid.kinds import HEAD_BYTES, Kind, kind_of
from unseen_client.source_file import read_head, read_source

TEXT_SUFFIX = ".txt"
LARGEST_TEXT_BYTES = 1 << 20
CHANGED = "the file holds another object than a moment ago; enrol it again when it is at rest"


class DicomSource(Protocol):
    """One object, to be read as often as somebody needs it."""

    @property
    def name(self) -> str:
        """What a report calls it; different for every source of one call."""

    @property
    def origin(self) -> str:
        """Where it came from, as the crosswalk of this device keeps it."""

    def head(self) -> bytes:
        """The first HEAD_BYTES bytes; ImageRefused when they cannot be read."""

    def read(self) -> bytes:
        """A Part 10 file; ImageRefused when it cannot be read."""


@dataclass(frozen=True)
class PlainFile:
    """A file of this device."""

    path: Path

    @property
    def name(self) -> str:
        """The path as the caller gave it."""
        return str(self.path)

    @property
    def origin(self) -> str:
        """The same from the root of the file system."""
        return str(self.path.absolute())

    def head(self) -> bytes:
        """Its first bytes; ImageRefused."""
        return read_head(self.path, HEAD_BYTES)


class DicomFile(PlainFile):
    """A source that is a plain file."""

    def read(self) -> bytes:
        """All of it; ImageRefused."""
        return read_source(self.path, LARGEST_FILE_BYTES)


@dataclass(frozen=True)
class TextBeside(PlainFile):
    """A plain text in the folder of a study's objects: its report."""

    objects: tuple[DicomSource, ...]
    """Of that study, one of each series: whose tags are looked for in the text."""

    def read(self) -> bytes:
        """All of it; ImageRefused."""
        return read_source(self.path, LARGEST_TEXT_BYTES)


def is_text(source: DicomSource) -> TypeGuard[DicomFile]:
    """Whether a source is a file that is called a plain text; others may be called what they like."""
    return isinstance(source, DicomFile) and source.path.suffix.lower() == TEXT_SUFFIX


def is_dicom(source: DicomSource) -> bool:
    """Whether a source holds a DICOM object, by its first bytes; ImageRefused when it cannot be read."""
    return kind_of(source.head()) is Kind.DICOM
