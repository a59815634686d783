"""What calls give back to people: hits, reports, warnings, the server's facts. Stays on the device."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from unseen_client.describing.tagger import Tag
from unseen_client.records import Record


class StoreWentBack(UserWarning):
    """The server refused an epoch that it had named before: its store was restored from a backup.

    Two histories that have the same epoch cannot be told apart: no warning then, and a hit may carry a wrong record.
    """


class OnlyKeyHere(UserWarning):
    """An owner-encrypted collection has a new key, which is on this device alone: losing it loses the collection."""


@dataclass(frozen=True)
class Hit:
    """One result of a search."""

    id: str
    score: float
    """More is better: the cosine, -1 to 1, or what the collection's metric and the query's weights make of it."""
    record: Record
    relevance: float | None = None
    """This row's part of the softmax over all rows considered, where a temperature was given: docs/search.md."""


@dataclass(frozen=True)
class Refusal:
    """One input that was not enrolled, and why."""

    source: str
    """The path or id as the caller gave it."""
    code: str
    """Stable name of the reason, such as IMAGE_REFUSED: see ``unseen.errors``."""
    reason: str


@dataclass(frozen=True)
class Duplicate:
    """One input with the very content of another."""

    source: str
    """The path or id as the caller gave it."""
    of: str
    """The row that was made from the same content."""


@dataclass(frozen=True)
class Tagged:
    """The tags of one picture or row, best first."""

    source: str
    """The path or id that was asked about."""
    tags: tuple[Tag, ...] = ()
    refusal: Refusal | None = None
    """Why there are none, for a picture that a step refused."""


@dataclass(frozen=True)
class EnrolReport:
    """What became of an enrolment. ``enrolled`` rows are on the server's disk and searchable."""

    ids: tuple[str, ...]
    """Ids enrolled by this call, in the order of the input."""
    already: tuple[str, ...]
    """Ids that were there before, or stood earlier in the same call: left as they are."""
    refused: tuple[Refusal, ...]
    faces_covered: int
    """Faces found and covered before embedding, over all enrolled images."""
    replaced: tuple[str, ...] = ()
    """Of ``ids`` those that were there with other content or another description, and were erased first."""
    duplicates: tuple[Duplicate, ...] = ()
    """Inputs with the content of another one or of a row that is there. Those with an id of their own are rows too."""

    @property
    def enrolled(self) -> int:
        """How many rows this call added."""
        return len(self.ids)

    @property
    def complete(self) -> bool:
        """Whether nothing was refused."""
        return not self.refused

    def __str__(self) -> str:
        replaced = f" ({len(self.replaced)} in place of older ones)" if self.replaced else ""
        return (
            f"{self.enrolled} enrolled{replaced}, {len(self.already)} already there, {len(self.refused)} refused, "
            f"{self.faces_covered} faces covered" + (f", {len(self.duplicates)} duplicates" if self.duplicates else "")
        )


@dataclass(frozen=True)
class DicomEnrolReport(EnrolReport):
    """What became of an enrolment of DICOM objects; rows are pictures and reports of them."""

    objects: int = 0
    """Objects of which the attributes could be read and cleaned, whatever became of their pixels."""
    studies: int = 0
    series: int = 0
    stood_for: int = 0
    """Objects of which no picture was taken, because other slices stand for their volume, or of which a copy was."""
    passed_over: int = 0
    """Files in folders that are no DICOM objects."""
    places_covered: int = 0
    """Places in the pixels that were painted before embedding: lines of text and faces."""
    searchable: int = 0
    """Pictures and reports of these objects that can be searched now: enrolled by this call or there before."""
    reports: int = 0
    """Rows of this call that are the words of a report."""

    def __str__(self) -> str:
        return (
            f"{self.objects} objects of {self.series} series in {self.studies} studies: {self.enrolled} rows "
            f"enrolled ({self.reports} reports), {len(self.already)} already there, {self.stood_for} objects stood for "
            f"by others, {len(self.refused)} refused, {self.passed_over} files passed over; "
            f"{self.places_covered} places covered"
        )


@dataclass(frozen=True)
class LogCheck:
    """What a server's audit log was found to be."""

    leaves: int
    """How many acts it holds now."""
    since: int
    """How many it held when this device saw it last; 0 for never. It was shown to have only grown since."""
    head: str
    """The signed head: hand it to others, who can compare it with what they are shown."""


@dataclass(frozen=True)
class BackupMade:
    """A backup that is on this machine's disk, read again and found to be what the server sent."""

    path: Path
    size_bytes: int
    sha256: bytes
    store_uid: bytes
    """Whose key ring a restore needs."""


@dataclass(frozen=True)
class ServerInfo:
    """What a server is and takes."""

    version: str
    store_uid: bytes
    """Names the store: mirrors of another store are never mixed in."""
    parameter_ids: tuple[str, ...]
    max_rows_per_enrolment: int
    max_message_bytes: int
    max_record_bytes: int
    signing_keys: tuple[bytes, ...] = ()
    """Ed25519 keys that its receipts and certificates are signed with, the newest last."""
