"""Which method leaves what in the audit log: the one table. A method that is not in it is refused, and a test says so.

A method that is added gets its line here (and its roles in the table of roles).
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum

from google.protobuf.message import Message

from unseen.audit.leaf import Details
from unseen.types import UID_BYTES


class Kind(Enum):
    """When a method's leaf has to be on disk."""

    CHANGE = "a leaf before it is tried, another before its answer leaves; the store knows it by its request id"
    READ = "a leaf before the first byte of its answer leaves"
    OPEN = "no leaf: it says nothing of anybody's data, only of the server or of the log itself"


ACTS: Mapping[str, Kind] = {
    "GetServerInfo": Kind.OPEN,
    "GetAccess": Kind.OPEN,
    "CreateToken": Kind.CHANGE,
    "ListTokens": Kind.READ,
    "RevokeToken": Kind.CHANGE,
    "CreateCollection": Kind.CHANGE,
    "GetCollection": Kind.READ,
    "ListCollections": Kind.READ,
    "DeleteCollection": Kind.CHANGE,
    "ReplaceCollection": Kind.CHANGE,
    "EnrolRows": Kind.CHANGE,
    "EraseRows": Kind.CHANGE,
    "SyncCatalogue": Kind.READ,
    "Search": Kind.READ,
    "GetTreeHead": Kind.OPEN,
    "ProveInclusion": Kind.OPEN,
    "ExportLeaves": Kind.READ,
    "GetStatus": Kind.READ,
    "CreateBackup": Kind.READ,
    "SetPolicy": Kind.CHANGE,
    "GetPolicy": Kind.READ,
    "AcceptPolicy": Kind.CHANGE,
    "GetPolicyHistory": Kind.READ,
    "RecordConsent": Kind.CHANGE,
    "WithdrawConsent": Kind.CHANGE,
    "ListConsents": Kind.READ,
    "EraseSubject": Kind.CHANGE,
    "ExportSubject": Kind.READ,
    "ListCertificates": Kind.READ,
    "SetHold": Kind.CHANGE,
    "ListHolds": Kind.READ,
    "BreakGlass": Kind.CHANGE,
    "ListBreakGlass": Kind.READ,
}
"""By the method's name in the contract. A leaf's act is that name."""


def details_of(message: Message) -> Details:
    """What a call's first message says of the act: the uids it names, nothing else."""
    header = getattr(message, "header", message)
    return Details(
        collection=_uid(header, "collection_uid"),
        request_id=_uid(header, "request_id"),
        rows=_rows(header),
    )


def _uid(message: Message, field: str) -> bytes:
    """A uid, or nothing: what has another length is no uid and could be anything."""
    value = getattr(message, field, b"")
    return value if isinstance(value, bytes) and len(value) == UID_BYTES else b""


def _rows(message: Message) -> int | None:
    if hasattr(message, "row_count"):
        return int(message.row_count)
    row_ids = getattr(message, "row_ids", None)
    return len(row_ids) // UID_BYTES if isinstance(row_ids, bytes) else None
