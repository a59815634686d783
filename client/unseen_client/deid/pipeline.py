"""The seam between the walk over files and what is done to one file: every kind of file has a pipeline of this shape.

Runs where the images are. A pipeline takes the bytes of one file and gives back the bytes of another, or refuses; it
reads and writes no file of the user's. Who writes, where, and what is skipped is decided once, for every kind.

    bytes of a file -> kind_of -> PhotoPipeline | DicomPipeline -> Cleaned -> written whole or not at all, and reported
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

Facts = Mapping[str, Any]
"""Plain numbers, strings, lists and dictionaries, ready for JSON."""


@dataclass(frozen=True)
class Cleaned:
    """One file that went through every step of its pipeline."""

    data: bytes
    """The file to write."""
    suffix: str
    """What ``data`` is, with its dot: ``.jpg``. The written file keeps its source's name where that says the same."""
    facts: Facts
    """What was found and what was covered or removed. Stays on the device; holds no value that was removed."""
    covered: int = 0
    """Places covered in the picture: faces, regions, lines of text. For totals."""


class Pipeline(Protocol):
    """One kind of file. Opened models and child processes belong to it; safe for several threads."""

    @property
    def largest_file_bytes(self) -> int:
        """Larger files are refused before they are read."""

    def description(self) -> Facts:
        """Return versions and settings that decide the output, release and model hashes among them.

        It is written into every report; work is done again when it changes.
        """

    def clean(self, data: bytes) -> Cleaned:
        """Return the de-identified file; ImageRefused, with the reason, when any step could not do its work."""

    def preview(self, data: bytes) -> Cleaned:
        """Return a PNG of the picture with boxes and scores drawn, and the same facts: for a dry run. ImageRefused."""

    def close(self) -> None:
        """End child processes and let go of models; a later call starts them again."""
