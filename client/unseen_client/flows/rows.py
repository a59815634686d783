"""Rows looked at and erased. Looking is done in the mirror: the server sees no more than a synchronisation."""

from __future__ import annotations

import itertools
import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from unseen.entropy import random_uid
from unseen.errors import (
    AlreadyExists,
    BlockChanged,
    IntegrityError,
    InvalidInput,
    RowNotFound,
    StoreFailed,
    UnseenError,
)
from unseen.governance.certificate import Asked
from unseen.v1 import index_pb2
from unseen.wire import block_to_message, join_row_ids, require_epoch
from unseen_client import rpcs
from unseen_client.flows import collections, owner, policies, rights
from unseen_client.flows.enrol_stream import MOST_TRIES
from unseen_client.flows.sync import Place, look_again, open_current, sync
from unseen_client.home import write_new_private, write_private
from unseen_client.records import Record, row_id
from unseen_client.retry import ask_one
from unseen_client.session import Session
from unseen_client.steps import Flow, local

ROWS_PER_ERASURE = 65_536
"""What fits a message of 1 MiB; the server takes no more."""


def list_records(session: Session, name: str, limit: int | None, offset: int) -> Flow[list[Record]]:
    """Records in the order of enrolment."""
    if offset < 0 or (limit is not None and limit < 0):
        raise InvalidInput(f"got limit={limit}, offset={offset}; neither can be below 0")
    place = yield from open_current(session, name)

    def read() -> list[Record]:
        rows = place.mirror.page(-1 if limit is None else limit, offset)
        return [place.opened(row, sealed) for row, sealed in rows]

    return (yield from local(read))


def get_record(session: Session, name: str, row: str) -> Flow[Record]:
    """The record of one row; raises RowNotFound."""
    place = yield from open_current(session, name)
    return (yield from local(lambda: read_record(place, row)))


def read_record(place: Place, row: str) -> Record:
    """The same from the mirror as it is; asks nobody."""
    name = row_id(place.key.record_key, row)
    sealed = place.mirror.sealed_record(name)
    if sealed is None:
        raise _not_found(place, [row])
    return place.opened(name, sealed)


def erase(session: Session, name: str, rows: Sequence[str], certificate: Path | None) -> Flow[int]:
    """Erase rows, from this device's mirror as well; gives how many. Erases nothing when one is not there.

    Every request's certificate is verified and kept, and written to the new file ``certificate``, one a line.

    More than ROWS_PER_ERASURE go in several requests: each is carried out whole or not at all, and an error says after
    how many rows it came.
    """
    if certificate is not None:
        yield from local(partial(require_new, certificate))
    place = yield from open_current(session, name)
    wanted = {row_id(place.key.record_key, row): row for row in rows}
    there = yield from local(lambda: place.mirror.has(wanted))
    if missing := [row for known, row in wanted.items() if known not in there]:
        raise _not_found(place, missing)
    ordered, done = list(wanted), 0
    certificates: list[bytes] = []
    for group in (yield from local(lambda: _groups(place, ordered))):
        try:
            request, reply = yield from _erase_group(session, place, group)
        except UnseenError as error:
            if done:
                error.add_note(f"{done} of {len(ordered)} were erased before this")
            raise
        done += len(group)
        yield from sync(session, place, require_epoch(reply.epoch, "an erasure"))
        if place.is_owner and (yield from local(partial(place.mirror.holds_erased, group))):
            raise IntegrityError("the server says that these rows are erased, and still names them; ask its operator")
        if reply.certificate or certificate is not None or (yield from policies.signing_keys(session)):
            erasure = yield from rights.checked(session, place, reply.certificate, request.request_id, Asked.ROWS)
            if certificate is not None:
                certificates.append(erasure.signed)
                yield from local(partial(write_certificates, certificate, certificates))
    return len(wanted)


def erase_rows(session: Session, place: Place, row_ids: list[bytes]) -> Flow[None]:
    """Erase rows that this device's mirror names, by the ids that the server knows; no certificates."""
    for group in (yield from local(lambda: _groups(place, row_ids))):
        _, reply = yield from _erase_group(session, place, group)
        yield from sync(session, place, require_epoch(reply.epoch, "an erasure"))


def _groups(place: Place, row_ids: list[bytes]) -> list[list[bytes]]:
    """What one request each erases: as much as fits, or the rows of one owner-encrypted block."""
    if place.is_owner:
        return owner.by_block(place, row_ids)
    return [row_ids[start : start + ROWS_PER_ERASURE] for start in range(0, len(row_ids), ROWS_PER_ERASURE)]


def _erase_group(
    session: Session, place: Place, row_ids: list[bytes]
) -> Flow[tuple[index_pb2.EraseRowsRequest, index_pb2.EraseRowsResponse]]:
    """One request and its answer; a block that another device has written since is encrypted anew."""
    copies: list[bytes] = []
    for tries in itertools.count(1):
        request = index_pb2.EraseRowsRequest(
            request_id=random_uid(), collection_uid=place.collection.uid, row_ids=join_row_ids(row_ids)
        )
        if place.is_owner:
            copies = yield from local(lambda: place.mirror.copies(row_ids))
            block = yield from local(lambda: owner.without(place, row_ids))
            request.block.CopyFrom(block_to_message(block))
        try:
            reply = yield from ask_one(session.patience, rpcs.ERASE_ROWS, [request], index_pb2.EraseRowsResponse)
        except BlockChanged:
            if tries == MOST_TRIES:
                raise
            yield from look_again(session, place)
        else:
            if place.is_owner:
                yield from local(partial(place.mirror.remember_erased, copies))
            return request, reply
    raise AssertionError("unreachable: the loop above ends by returning or raising")


def require_new(path: Path) -> None:
    """Raise InvalidInput, before anything is erased, for a file that is there: an earlier certificate is a proof."""
    if os.path.lexists(path):
        raise InvalidInput(f"{path} is there already, nothing was erased; give a new name for the certificate")


def write_certificates(path: Path, signed: Sequence[bytes]) -> None:
    """Write certificates to a file of the user's, one a line, new with the first one; raises StoreFailed."""
    write = write_new_private if len(signed) == 1 else write_private
    try:
        write(path, b"".join(one + b"\n" for one in signed))
    except (AlreadyExists, StoreFailed) as error:
        raise StoreFailed(
            f"erased, but not every certificate is in the file: {error}; this device keeps a copy"
        ) from error


def count(session: Session, name: str) -> Flow[int]:
    """Live rows, as the server counts them; needs no record key."""
    collection = yield from collections.get(session, name)
    return collection.rows


def _not_found(place: Place, rows: Sequence[str]) -> RowNotFound:
    more = f" and {len(rows) - 1} more" if len(rows) > 1 else ""
    return RowNotFound(
        f"collection {place.collection.name!r} has no row {rows[0]!r}{more}; `unseen list` shows the ids that it has"
    )
