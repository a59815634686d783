"""Where a model comes from: a folder, or an address with a manifest (``hub`` has the third).

Runs where the images are. A source says which files there are, reads small ones, and lays down large ones. What is
pinned is always the hash of the bytes that came.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol
from urllib.parse import quote

from unseen.errors import InvalidInput, LimitExceeded
from unseen.weights import MANIFEST_NAME, PinnedFile
from unseen_client.models.arriving import Hashes, Watch, write_arriving
from unseen_client.models.fetching import PIECE_BYTES, pieces, read_small

LARGEST_CONFIGURATION_BYTES = 64 << 20
"""The tokenizer.json of a quarter of a million pieces has 34 MB."""
LARGEST_FILE_BYTES = 8 << 30
"""Twice the largest model that anybody would run on a device's CPU."""
MOST_FILES = 10_000


class Source(Protocol):
    """A place that has a model's files."""

    @property
    def origin(self) -> str:
        """The place, for people."""

    @property
    def revision(self) -> str:
        """What pins the files there, "" where nothing does."""

    @property
    def licence(self) -> str:
        """What the place says, "" where it says nothing."""

    def names(self) -> frozenset[str]:
        """The files there are."""

    def small(self, name: str) -> bytes:
        """The bytes of a configuration; LimitExceeded when it is large."""

    def size_bytes(self, name: str) -> int:
        """How much will come, 0 where the place does not say."""

    def lay_down(self, name: str, path: Path, watch: Watch, largest_bytes: int = LARGEST_FILE_BYTES) -> PinnedFile:
        """Write a file, and return what it hashes to; IntegrityError when the place promised other bytes."""


class FolderSource:
    """A folder on this device: what upstream's own library saved, or what was fetched by hand."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        name = folder.resolve().name.encode("utf-8", "backslashreplace").decode()  # names of files are bytes
        self.origin = f"a folder named {name}"
        self.revision = ""
        self.licence = ""

    def names(self) -> frozenset[str]:
        """The plain files in it, and in folders one deep."""
        found = [path for pattern in ("*", "*/*") for path in self._folder.glob(pattern) if path.is_file()]
        if len(found) > MOST_FILES:
            raise InvalidInput(f"got a folder of {len(found)} files, expected a model's; give the folder it lies in")
        return frozenset(path.relative_to(self._folder).as_posix() for path in found)

    def small(self, name: str) -> bytes:
        """The bytes of a file."""
        return b"".join(self._pieces(name, LARGEST_CONFIGURATION_BYTES))

    def size_bytes(self, name: str) -> int:
        """The size of a file."""
        try:
            return (self._folder / name).stat().st_size
        except OSError:
            return 0

    def lay_down(self, name: str, path: Path, watch: Watch, largest_bytes: int = LARGEST_FILE_BYTES) -> PinnedFile:
        """Copy a file."""
        hashes = Hashes()
        write_arriving(self._pieces(name, largest_bytes), path, hashes, watch)
        return hashes.pinned(name)

    def _pieces(self, name: str, largest_bytes: int) -> Iterator[bytes]:
        done = 0
        try:
            with (self._folder / name).open("rb") as file:
                while piece := file.read(PIECE_BYTES):
                    done += len(piece)
                    if done > largest_bytes:
                        raise LimitExceeded(f"got a {name} of more than {largest_bytes} bytes; not taken")
                    yield piece
        except OSError as error:
            raise InvalidInput(f"cannot read {name} of that folder: {error.strerror}") from error


class AddressSource:
    """An address under which somebody published a model's folder, its manifest included."""

    def __init__(self, address: str) -> None:
        self._address = address.rstrip("/")
        self.origin = self._address
        self.revision = ""
        self.licence = ""

    def names(self) -> frozenset[str]:
        """The manifest; it names the others."""
        return frozenset([MANIFEST_NAME])

    def small(self, name: str) -> bytes:
        """The bytes of a small file."""
        return read_small(self._at(name), LARGEST_CONFIGURATION_BYTES)

    def size_bytes(self, name: str) -> int:
        """Not known: the manifest says it."""
        return 0

    def lay_down(self, name: str, path: Path, watch: Watch, largest_bytes: int = LARGEST_FILE_BYTES) -> PinnedFile:
        """Fetch a file."""
        hashes = Hashes()
        write_arriving(pieces(self._at(name), largest_bytes), path, hashes, watch)
        return hashes.pinned(name)

    def _at(self, name: str) -> str:
        return f"{self._address}/{quote(name)}"
