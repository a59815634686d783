"""A hub of models with the interface of Hugging Face's: which commit, which files, what each must hash to.

Runs where the images are; the hub learns this device's address and which model it takes, and nothing else. Every byte
is held against what the hub's listing said: SHA-256 for large files, git's name for small ones.

    GET HUB/api/models/OWNER/NAME/revision/REVISION?blobs=true      {"sha": commit, "siblings": [{"rfilename", "size",
                                                                    "blobId", "lfs": {"sha256"}}], "cardData"}
    GET HUB/OWNER/NAME/resolve/COMMIT/FILE                          the bytes, perhaps on another host
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from unseen.errors import IntegrityError, InvalidInput, LimitExceeded, NotFound
from unseen.json_text import read_json
from unseen.weights import PinnedFile
from unseen_client.models.arriving import Hashes, Watch, write_arriving
from unseen_client.models.fetching import pieces, read_small
from unseen_client.models.sources import LARGEST_CONFIGURATION_BYTES, LARGEST_FILE_BYTES

DEFAULT_HUB = "https://huggingface.co"
LARGEST_LISTING_BYTES = 16 << 20
REPOSITORY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}/[A-Za-z0-9][A-Za-z0-9._-]{0,95}")
_REVISION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,99}")
_COMMIT = re.compile(r"[0-9a-f]{40}")
_LONGEST_LICENCE = 60


@dataclass(frozen=True)
class HubFile:
    """What a hub says of a file."""

    size_bytes: int
    sha256: str
    """Of large files; "" for those that git holds itself."""
    git_blob: str


@dataclass(frozen=True)
class Listing:
    """What a hub says of a commit."""

    commit: str
    licence: str
    files: dict[str, HubFile]


class HubSource:
    """A repository at one commit."""

    def __init__(self, hub: str, repository: str, revision: str = "main") -> None:
        """Ask which commit a revision is, and what it holds; raises NotFound, ServerUnavailable, InvalidInput."""
        if not REPOSITORY.fullmatch(repository) or not _REVISION.fullmatch(revision) or ".." in revision:
            raise InvalidInput(f"got {repository[:80]!r} at {revision[:80]!r}, expected OWNER/NAME and a revision")
        self._at = f"{hub.rstrip('/')}/{repository}"
        asked = f"{hub.rstrip('/')}/api/models/{repository}/revision/{quote(revision, safe='')}?blobs=true"
        self._listing = read_listing(read_small(asked, LARGEST_LISTING_BYTES))
        if _COMMIT.fullmatch(revision) and revision != self._listing.commit:
            raise IntegrityError("the hub answered with another commit than the one asked for; do not trust it")

    @property
    def origin(self) -> str:
        """Hub and repository."""
        return self._at

    @property
    def revision(self) -> str:
        """The commit."""
        return self._listing.commit

    @property
    def licence(self) -> str:
        """As the repository's card says."""
        return self._listing.licence

    def names(self) -> frozenset[str]:
        """The files of the commit."""
        return frozenset(self._listing.files)

    def small(self, name: str) -> bytes:
        """The bytes of a configuration."""
        hashes = Hashes(self._told(name).size_bytes)
        came = b"".join(self._pieces(name, LARGEST_CONFIGURATION_BYTES))
        hashes.add(came)
        self._require_as_told(name, hashes)
        return came

    def size_bytes(self, name: str) -> int:
        """As the listing says."""
        return self._listing.files[name].size_bytes if name in self._listing.files else 0

    def lay_down(self, name: str, path: Path, watch: Watch, largest_bytes: int = LARGEST_FILE_BYTES) -> PinnedFile:
        """Fetch a file."""
        hashes = Hashes(self._told(name).size_bytes)
        write_arriving(self._pieces(name, largest_bytes), path, hashes, watch)
        self._require_as_told(name, hashes)
        return hashes.pinned(name)

    def _told(self, name: str) -> HubFile:
        if name not in self._listing.files:
            raise NotFound(f"{self._at} has no {name} at {self.revision}; check name and revision")
        return self._listing.files[name]

    def _pieces(self, name: str, largest_bytes: int) -> Iterator[bytes]:
        told = self._told(name).size_bytes
        if told > largest_bytes:
            raise LimitExceeded(f"got a {name} of {told} bytes, expected at most {largest_bytes}")
        return pieces(f"{self._at}/resolve/{self.revision}/{quote(name)}", told)

    def _require_as_told(self, name: str, got: Hashes) -> None:
        told = self._told(name)
        same = got.sha256 == told.sha256 if told.sha256 else got.git_blob == told.git_blob
        if got.size_bytes != told.size_bytes or not same:
            raise IntegrityError(f"{name} is not what the hub's listing says it is; try again, or do not trust it")


def read_listing(answer: bytes) -> Listing:
    """Read a hub's answer; raises IntegrityError for one that is no listing of a commit."""
    try:
        told = read_json(answer)
        commit = str(told["sha"])
        files = {str(one["rfilename"]): _file(one) for one in told["siblings"]}
        licence = str((told.get("cardData") or {}).get("license") or "")[:_LONGEST_LICENCE]
        "".join((licence, *files)).encode()  # JSON can name halves of characters; no file and no address can
    except (AttributeError, KeyError, OverflowError, TypeError, ValueError) as error:
        raise IntegrityError("got an answer that is no listing of a model; is that address a hub of models?") from error
    if not _COMMIT.fullmatch(commit):
        raise IntegrityError("got a listing without a commit; is that address a hub of models?")
    return Listing(commit, licence, files)


def _file(told: dict[str, Any]) -> HubFile:
    return HubFile(int(told["size"]), str((told.get("lfs") or {}).get("sha256") or ""), str(told["blobId"]))
