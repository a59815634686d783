"""Finished mutations: how a repeated request is told from a replayed one. Runs inside the store's transactions.

    request id unknown                                   carry it out
    known, same content, its effect stands               answer again, change nothing
    known, other content; or its effect was undone       RequestReplayed

They are kept as long as the store: about 120 bytes each, and no caption, vector or caller in them.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from typing import Any

import apsw

from unseen.errors import RequestReplayed


@dataclass(frozen=True)
class Finished:
    """A mutation that was carried out."""

    collection_uid: bytes
    epoch: int
    row_count: int


def find_finished(db: apsw.Connection, request_id: bytes, kind: str, digest: bytes) -> Finished | None:
    """The mutation that carried this request id, or None; RequestReplayed when it was another one."""
    found: list[tuple[Any, ...]] = db.execute(
        "SELECT kind, digest, collection_uid, epoch, row_count FROM requests WHERE request_id = ?", (request_id,)
    ).fetchall()
    if not found:
        return None
    known_kind, known_digest, uid, epoch, row_count = found[0]
    if known_kind != kind or not hmac.compare_digest(known_digest, digest):
        raise RequestReplayed("this request id was used for another request before; draw 16 new random bytes")
    return Finished(uid, epoch, row_count)


def remember_finished(db: apsw.Connection, request_id: bytes, kind: str, digest: bytes, done: Finished) -> None:
    """Write a mutation down, in the transaction that carries it out."""
    db.execute(
        "INSERT INTO requests VALUES (?, ?, ?, ?, ?, ?)",
        (request_id, kind, digest, done.collection_uid, done.epoch, done.row_count),
    )


def require_enrolment_stands(db: apsw.Connection, collection: int, done: Finished) -> None:
    """RequestReplayed when one of the rows that an enrolment added was erased since."""
    standing = db.execute(
        "SELECT count(*) FROM live_rows WHERE collection = ? AND epoch = ?", (collection, done.epoch)
    ).get
    if standing != done.row_count:
        raise replayed("rows of this enrolment were erased since")


def require_erasure_stands(db: apsw.Connection, collection: int, done: Finished) -> None:
    """RequestReplayed when one of the rows that an erasure took was enrolled again."""
    back = db.execute(
        "SELECT count(*) FROM erasures JOIN live_rows USING (collection, row_id)"
        " WHERE collection = ? AND erasures.epoch = ?",
        (collection, done.epoch),
    ).get
    if back:
        raise replayed("rows of this erasure were enrolled again since")


def replayed(why: str) -> RequestReplayed:
    """The refusal of a request that was carried out and then undone."""
    return RequestReplayed(f"this request was carried out before and {why}; a new request needs a new request id")
