"""Rows on their way in: quantised and sealed on the device, sent in streams that are carried out whole or not at all.

The server learns the rows' vectors (it holds them in memory to score them), their number, and the padded length of
each record. With noise it gets noised vectors only: each is charged to the device's ledger, drawn once and kept until
the server has acknowledged it (``unseen_client.privacy``), then quantised and sent like any other.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from unseen.dp.ledger import LONGEST_NAME
from unseen.errors import (
    BlockChanged,
    InvalidInput,
    InvalidVector,
    ModelMismatch,
    RowExists,
    RowNotFound,
    UnseenError,
)
from unseen.v1 import index_pb2
from unseen.wire import require_epoch
from unseen_client import rpcs
from unseen_client.flows import collections, consents, owner, pack
from unseen_client.flows.consents import NOTHING, Given
from unseen_client.flows.enrol_stream import MOST_TRIES, Row, entries_of, require_sendable, seal_stream
from unseen_client.flows.rows import erase
from unseen_client.flows.standing import Standing, as_given
from unseen_client.flows.sync import Place, look_again, open_current, take_own
from unseen_client.privacy.book import Asked
from unseen_client.records import Record, require_id, row_id
from unseen_client.report import Duplicate, EnrolReport, ServerInfo
from unseen_client.retrieval.metric import COSINE, comparable
from unseen_client.retry import ask_one
from unseen_client.session import Session
from unseen_client.steps import Flow, Progress, local

if TYPE_CHECKING:
    from unseen.dp.mechanism import Mechanism

Float32Array = npt.NDArray[np.float32]

ROWS_PER_STREAM = 1000
"""One stream is one transaction on the server: large enough to be quick, small enough to repeat."""


def enrol_vectors(
    session: Session,
    name: str,
    ids: Sequence[str],
    vectors: Float32Array,
    records: Sequence[Record] | None,
    noise: Mechanism | None = None,
    given: Given = NOTHING,
    *,
    update: bool = False,
) -> Flow[EnrolReport]:
    """Enrol vectors of the caller's own; ids that are there already are reported and left as they are.

    ``update``: those that are there with another vector or description are erased and enrolled anew.
    """
    _require_vectors(ids, vectors, records)
    subjects = subjects_of(given.subject, len(ids))
    place = yield from open_current(session, name)
    if place.collection.model_id != collections.NO_MODEL:
        raise ModelMismatch(
            f"collection {name!r} holds vectors of model {place.collection.model_id!r}: use enrol_images, or create a "
            "collection with dimension= for vectors of your own"
        )
    if vectors.shape[1] != place.dimension:
        raise InvalidVector(
            f"got vectors of {vectors.shape[1]} coordinates; collection {name!r} takes {place.dimension}"
        )
    if noise is not None and place.metric.name != COSINE:
        raise InvalidInput(
            f"collection {name!r} is compared by {place.metric.name}, and noise is made for directions; enrol without "
            "noise, or into a collection that is compared by cosine"
        )
    compared = yield from local(partial(comparable, place.metric, vectors))
    bases = yield from consents.bases(session, place, given, len(ids), noise)
    enrolment = Enrolment(session, place, len(ids), noise, (yield from standing_of(place, update)))
    at_once = enrolment.at_once(ROWS_PER_STREAM)
    for start in range(0, len(ids), at_once):
        stop = min(start + at_once, len(ids))
        rows: list[Row] = []
        for at in range(start, stop):
            record = replace(named(records[at] if records else Record(), ids[at]), content=b"", given=b"")
            if update:
                record = as_given(replace(record, content=hashlib.sha256(compared[at].tobytes()).digest()))
                if not (yield from enrolment.needs(ids[at], record)):
                    continue
            rows.append(Row(compared[at], record, subjects[at], bases[at]))
        yield from enrolment.send(rows)
        yield Progress(stop, len(ids), "rows")
    return enrolment.report()


def named(record: Record, row: str) -> Record:
    """The record under the id that its row has; raises InvalidInput when it names another."""
    if record.id not in ("", row):
        raise InvalidInput("a record names another id than its row; leave Record.id empty or make them equal")
    return replace(record, id=row)


def _require_vectors(ids: Sequence[str], vectors: Float32Array, records: Sequence[Record] | None) -> None:
    if vectors.ndim != 2 or len(vectors) != len(ids):
        raise InvalidVector(f"got vectors of shape {vectors.shape} for {len(ids)} ids; give one row per id: (n, d)")
    require_one_each("ids", len(ids), records)
    for row in ids:
        require_id(row)
    if len(set(ids)) != len(ids):
        raise InvalidInput(f"got {len(ids)} ids of which {len(set(ids))} differ; every row needs an id of its own")


def require_one_each(what: str, count: int, records: Sequence[Record] | None) -> None:
    """Refuse records that do not stand one beside each input; raises InvalidInput."""
    if records is not None and len(records) != count:
        raise InvalidInput(f"got {len(records)} records for {count} {what}; give one Record for each, in their order")


def subjects_of(subject: str | Sequence[str] | None, count: int) -> Sequence[str]:
    """Whose privacy each of ``count`` rows costs: one for all, one for each, or nobody named (empty texts)."""
    subjects = [subject or ""] * count if subject is None or isinstance(subject, str) else subject
    if len(subjects) != count:
        raise InvalidInput(f"got {len(subjects)} subjects for {count} rows; give one for all, or one each in order")
    if subject is not None and not all(map(_is_name, subjects)):
        raise InvalidInput(f"a subject is a pseudonym of 1 to {LONGEST_NAME} characters")
    return subjects


def _is_name(subject: object) -> bool:
    return isinstance(subject, str) and 0 < len(subject) <= LONGEST_NAME


def standing_of(place: Place, update: bool) -> Flow[Standing | None]:
    """The rows that are there, to be held against those that are given; None when those there stay as they are."""
    return (yield from local(partial(Standing, place))) if update else None


class Enrolment:
    """Sends rows in streams and keeps count of what became of them."""

    def __init__(
        self, session: Session, place: Place, total: int, noise: Mechanism | None, standing: Standing | None = None
    ) -> None:
        """With ``standing``, rows that are there with other content or another description are replaced."""
        self._session = session
        self._place = place
        self._total = total
        self._noise = noise
        self._standing = standing
        self._made_from = {} if standing is None else standing.made_from()
        self._given: dict[str, bytes] = {}
        self._changed: set[str] = set()
        self.enrolled: dict[str, None] = {}
        self.already: list[str] = []
        self.replaced: list[str] = []
        self.duplicates: list[Duplicate] = []

    def report(self) -> EnrolReport:
        return EnrolReport(
            tuple(self.enrolled), tuple(self.already), (), 0, tuple(self.replaced), tuple(self.duplicates)
        )

    def needs(self, source: str, record: Record) -> Flow[bool]:
        """Whether this row is to be made: it was not given before, and is not there, or not as it is given now.

        Notes what has the content of a row that is there or was given before. Raises InvalidInput when something else
        was given under its id before: one of them would be lost.
        """
        given_before = record.id in self._given
        if self._given.setdefault(record.id, record.content) != record.content:
            raise InvalidInput("its id was given to something else before; every row needs an id of its own")
        first = self._made_from.setdefault(record.content, record.id)
        if first != record.id or given_before:
            self.duplicates.append(Duplicate(source, first))
        if not given_before and not (yield from self.has(record.id)):
            return True
        if not given_before and self._standing is not None and self._standing.changed(record):
            self._changed.add(record.id)
            return True
        self.already.append(record.id)
        return False

    def at_once(self, about: int) -> int:
        """How many rows to send together, about so many: whole blocks, for a part is written anew with what follows."""
        block = owner.layout_of(self._place).whole.rows_per_block if self._place.is_owner else 1
        return min(max(1, about // block) * block, ROWS_PER_STREAM)

    def has(self, row: str) -> Flow[bool]:
        """Whether this id needs no work: the server has it, or this enrolment has just sent it."""
        known = row_id(self._place.key.record_key, row)
        return row in self.enrolled or bool((yield from local(lambda: self._place.mirror.has([known]))))

    def send(self, rows: Sequence[Row]) -> Flow[None]:
        """Enrol rows, leaving out those that are there; their ids differ."""
        server = yield from collections.server_info(self._session)
        yield from self._erase_changed(server, [row for row in rows if row.record.id in self._changed])
        most = min(self.at_once(ROWS_PER_STREAM), server.max_rows_per_enrolment)
        try:
            for alike in _alike(rows):
                for start in range(0, len(alike), most):
                    yield from self._send_stream(server, alike[start : start + most])
            yield from self._pack()
        except UnseenError as error:
            error.add_note(
                f"{len(self.enrolled)} of {self._total} are enrolled; run it again to go on, those will be skipped"
            )
            raise

    def _pack(self) -> Flow[None]:
        """Move rows out of side blocks when these fill up; rows that others change at the same time stay."""
        if not self._place.is_owner or not (yield from local(partial(owner.is_worth_packing, self._place))):
            return
        with suppress(BlockChanged, RowNotFound):
            yield from pack.move_side_rows(self._session, self._place)

    def _erase_changed(self, server: ServerInfo, rows: Sequence[Row]) -> Flow[None]:
        """Erase rows that come again: a kill between this and their stream leaves rows that a next run enrols.

        First what they need is spent and tried, so that a budget or a record that is too long costs no row. Noise that
        is drawn here is the noise that they are sent with: the book keeps it until they are.
        """
        if rows:
            yield from local(lambda: require_sendable(self._place, server, self._released(rows)))
            ids = [row.record.id for row in rows]
            yield from erase(self._session, self._place.collection.name, ids, None)
            self._changed.difference_update(ids)
            self.replaced += ids

    def _send_stream(self, server: ServerInfo, rows: Sequence[Row]) -> Flow[None]:
        new = yield from self._leave_out_known(rows)
        new = yield from local(partial(self._released, new))
        for tries in itertools.count(1):
            if not new:
                return
            since = yield from local(lambda: self._place.mirror.epoch)
            messages = yield from local(partial(seal_stream, self._place, server, new))
            try:
                reply = yield from ask_one(
                    self._session.patience, rpcs.ENROL_ROWS, messages, index_pb2.EnrolRowsResponse
                )
            except RowExists:  # another device was faster
                before = len(new)
                yield from look_again(self._session, self._place)
                new = yield from self._leave_out_known(new)
                if len(new) == before:
                    raise
            except BlockChanged:  # another device wrote into the same block
                if tries == MOST_TRIES:
                    raise
                yield from look_again(self._session, self._place)
                new = yield from self._leave_out_known(new)
            else:
                self.enrolled.update(dict.fromkeys(row.record.id for row in new))
                yield from local(partial(self._acknowledged, new))
                if self._place.is_owner:  # a server that goes back behind its word is noticed
                    epoch = require_epoch(reply.epoch, "an enrolment")
                    yield from take_own(self._session, self._place, since, epoch, entries_of(messages, epoch))
                return

    def _leave_out_known(self, rows: Sequence[Row]) -> Flow[list[Row]]:
        key = self._place.key.record_key
        row_ids = {row.record.id: row_id(key, row.record.id) for row in rows}
        there = yield from local(lambda: self._place.mirror.has(row_ids.values()))
        self.already += [row for row, known in row_ids.items() if known in there]
        yield from local(partial(self._acknowledged, [row for row in rows if row_ids[row.record.id] in there]))
        return [row for row in rows if row_ids[row.record.id] not in there]

    def _released(self, rows: Sequence[Row]) -> list[Row]:
        """The rows as they may be sent: with noise that was charged, or with the record's word that there is none."""
        if self._noise is None or not rows:
            return [replace(row, record=replace(row.record, noise=None)) for row in rows]
        vectors, event = self._session.book().release(
            self._noise,
            Asked(
                self._place.collection.uid,
                self._place.key.record_key,
                self._row_ids(rows),
                np.stack([row.vector for row in rows]),
                [row.subject or _unnamed(row.record.id) for row in rows],
            ),
        )
        return [
            # Members could hold a hash of the true vector's source against their guesses of it.
            replace(row, vector=vector, record=replace(row.record, noise=event, content=b""))
            for row, vector in zip(rows, vectors, strict=True)
        ]

    def _acknowledged(self, rows: Sequence[Row]) -> None:
        if self._noise is not None:
            self._session.book().acknowledged(self._place.collection.uid, self._row_ids(rows))

    def _row_ids(self, rows: Sequence[Row]) -> list[bytes]:
        return [row_id(self._place.key.record_key, row.record.id) for row in rows]


def _unnamed(row: str) -> str:
    """Who is charged for a row without a subject: the row itself, by its id or, where that is long, by its hash."""
    return row if len(row) <= LONGEST_NAME else hashlib.sha256(row.encode()).hexdigest()


def _alike(rows: Sequence[Row]) -> list[list[Row]]:
    """Rows apart by what they may be searched for: a stream is for one set of purposes."""
    apart: dict[frozenset[str] | None, list[Row]] = {}
    for row in rows:
        apart.setdefault(None if row.basis is None else row.basis.purposes, []).append(row)
    return list(apart.values())
