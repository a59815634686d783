"""Finished mutations: how a repeated request is told from a replayed one. Runs inside the store's transactions.

    request id unknown                                   carry it out
    known, same content, its effect stands               answer again, change nothing
    known, other content; or its effect was undone       RequestReplayed

They are kept as long as the store: about 120 bytes each, and no caption, vector or caller in them.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass

from unseen.errors import RequestReplayed
from unseen.store.database import Transaction


@dataclass(frozen=True)
class Finished:
    """A mutation that was carried out."""

    collection_uid: bytes
    epoch: int
    row_count: int


@dataclass(frozen=True)
class Request:
    """A mutation as it is asked for."""

    request_id: bytes
    kind: str
    digest: bytes
    """Stands for its content: see ``sealing.request_digest``."""


def is_known(tx: Transaction, request_id: bytes) -> bool:
    """Whether a mutation with this id was ever carried out."""
    return bool(tx.fetch("SELECT epoch FROM requests WHERE request_id = ?", (request_id,)))


def find_finished(tx: Transaction, request: Request) -> Finished | None:
    """The mutation that carried this request's id, or None; RequestReplayed when it was another one."""
    found = tx.fetch(
        "SELECT kind, digest, collection_uid, epoch, row_count FROM requests WHERE request_id = ?",
        (request.request_id,),
    )
    if not found:
        return None
    known_kind, known_digest, uid, epoch, row_count = found[0]
    if known_kind != request.kind or not hmac.compare_digest(known_digest, request.digest):
        raise another_request()
    return Finished(uid, epoch, row_count)


def remember_finished(tx: Transaction, request: Request, done: Finished) -> None:
    """Write a mutation down, in the transaction that carries it out."""
    tx.run(
        "INSERT INTO requests VALUES (?, ?, ?, ?, ?, ?)",
        (request.request_id, request.kind, request.digest, done.collection_uid, done.epoch, done.row_count),
    )


def require_enrolment_stands(tx: Transaction, collection: int, done: Finished) -> None:
    """RequestReplayed when one of the rows that an enrolment added, or moved, was erased or moved since."""
    standing = tx.fetch("SELECT count(*) FROM live_rows WHERE collection = ? AND epoch = ?", (collection, done.epoch))[
        0
    ][0]
    if standing != done.row_count:
        raise replayed("rows of this enrolment were moved or erased since")


def require_erasure_stands(tx: Transaction, collection: int, done: Finished) -> None:
    """RequestReplayed when one of the rows that an erasure took was enrolled again."""
    back = tx.fetch(
        "SELECT count(*) FROM erasures JOIN live_rows USING (collection, row_id)"
        " WHERE collection = ? AND erasures.epoch = ?",
        (collection, done.epoch),
    )[0][0]
    if back:
        raise replayed("rows of this erasure were enrolled again since")


def another_request() -> RequestReplayed:
    """The refusal of a request under an id that stands for another one."""
    return RequestReplayed("this request id was used for another request before; draw 16 new random bytes")


def replayed(why: str) -> RequestReplayed:
    """The refusal of a request that was carried out and then undone."""
    return RequestReplayed(f"this request was carried out before and {why}; a new request needs a new request id")
