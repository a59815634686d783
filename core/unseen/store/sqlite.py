"""The embedded store: one SQLite file in the data directory. The server holds it.

A stolen file gives names, counts, sizes, epochs and pseudonymous row ids; vectors and records are ciphertext.

    opening      the file is ours -> the master key opens the store key -> only then anything is written
    a mutation   carried out before? -> checks -> slots, epoch, seals -> one commit -> answer
    erasing      overwrite in place -> commit -> empty the log -> answer
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import apsw
import numpy as np

from unseen.entropy import random_uid
from unseen.errors import CollectionExists, CollectionNotFound, InvalidInput, Mismatch, SealBroken
from unseen.store import schema, sealing, sqlite_facts, sqlite_requests, sqlite_rows, sqlite_slots
from unseen.store.interface import (
    VECTORS_AT_ONCE,
    Change,
    Fact,
    NewCollection,
    PlacedRow,
    SlottedVectors,
    Store,
    StoredCollection,
)
from unseen.store.sqlite_file import SqliteFile
from unseen.store.sqlite_requests import Finished
from unseen.types import CatalogueChanges, CatalogueEntry, Int16Matrix, RowBatch

FILE_NAME = "unseen.sqlite"
ERASED_IDS_PER_PAGE = 32768
"""Half a MiB of row ids."""


class SqliteStore(Store):
    """See the module: a ``Store`` in ``directory``, sealed under ``master_key`` (32 bytes)."""

    def __init__(self, directory: Path, master_key: bytes) -> None:
        """Open or make the store; InvalidConfiguration for a file that is not ours, WrongKey before any write."""
        self._master_key = master_key
        self._seals: dict[bytes, sealing.CollectionSeal] = {}
        self._file = SqliteFile(directory / FILE_NAME)
        try:
            self._uid, self._store_key = self._make() if self._file.is_blank else self._open()
            self._facts_seal = sealing.facts_seal(self._store_key)
        except BaseException:
            self._file.close()
            raise

    def _make(self) -> tuple[bytes, bytes]:
        uid = random_uid()
        wrapped = sealing.new_store_key(self._master_key, uid)
        self._file.accept()
        self._file.write_schema(uid, wrapped)
        return uid, sealing.open_store_key(self._master_key, uid, wrapped)

    def _open(self) -> tuple[bytes, bytes]:
        with self._file.reading() as db:
            uid, wrapped = sqlite_rows.read_store(db)
        store_key = sealing.open_store_key(self._master_key, uid, wrapped)
        self._file.accept()
        return uid, store_key

    @property
    def uid(self) -> bytes:
        return self._uid

    def close(self) -> None:
        self._file.close()

    # Collections

    def collections(self) -> tuple[StoredCollection, ...]:
        with self._file.reading() as db:
            return sqlite_rows.read_collections(db)

    def create(self, request_id: bytes, new: NewCollection) -> StoredCollection:
        digest = self._digest("create", new.tenant, new.name, new.dimension, new.parameter_id, new.model_id)
        with self._file.changing() as db:
            if done := sqlite_requests.find_finished(db, request_id, "create", digest):
                return self._standing(db, done)[1]
            if db.execute("SELECT 1 FROM collections WHERE tenant = ? AND name = ?", (new.tenant, new.name)).get:
                raise CollectionExists(f"there is a collection named {new.name!r} already; choose another name")
            uid = random_uid()
            wrapped = sealing.new_collection_key(self._master_key, self._uid, uid)
            db.execute(
                "INSERT INTO collections (uid, tenant, name, dimension, parameter_id, model_id, packing_factor,"
                " packed_at_slots, wrapped_key, live_rows, slots, epoch) VALUES (?, ?, ?, ?, ?, ?, ?, 0, ?, 0, 0, 0)",
                (uid, new.tenant, new.name, new.dimension, new.parameter_id, new.model_id, new.packing_factor, wrapped),
            )
            db.execute(schema.tables_for(db.last_insert_rowid()))
            sqlite_requests.remember_finished(db, request_id, "create", digest, Finished(uid, 0, 0))
            return sqlite_rows.find_collection(db, uid)[1]

    def delete(self, request_id: bytes, uid: bytes) -> None:
        digest = self._digest("delete", uid)
        with self._file.changing() as db:
            if sqlite_requests.find_finished(db, request_id, "delete", digest) is None:
                number, _ = sqlite_rows.find_collection(db, uid)
                db.execute(schema.drop_tables_of(number))
                db.execute("DELETE FROM collections WHERE number = ?", (number,))
                sqlite_requests.remember_finished(db, request_id, "delete", digest, Finished(uid, 0, 0))
        self._seals.pop(uid, None)
        self._file.empty_log()

    def repacked(self, uid: bytes, packing_factor: int, at_slots: int) -> StoredCollection:
        with self._file.changing() as db:
            db.execute(
                "UPDATE collections SET packing_factor = ?, packed_at_slots = ? WHERE uid = ?",
                (packing_factor, at_slots, uid),
            )
            return sqlite_rows.find_collection(db, uid)[1]

    # Rows

    def enrol(self, request_id: bytes, uid: bytes, batch: RowBatch, compartment: int = 0) -> Change:
        sqlite_rows.require_distinct(batch.row_ids)
        vectors = np.ascontiguousarray(batch.vectors, dtype="<i2")
        consents = batch.consents or (b"",) * len(batch.row_ids)
        digest = self._digest(
            "enrol", uid, b"".join(batch.row_ids), vectors.tobytes(), compartment, *batch.sealed_records, *consents
        )
        with self._file.changing() as db:
            if done := sqlite_requests.find_finished(db, request_id, "enrol", digest):
                number, stored = self._standing(db, done)
                sqlite_requests.require_enrolment_stands(db, number, done)
                return _repetition(done, stored)
            number, stored = sqlite_rows.find_collection(db, uid)
            _require_shape(vectors, batch, stored.info.dimension)
            sqlite_rows.require_absent(db, number, batch.row_ids)
            count, epoch = len(batch.row_ids), stored.info.epoch + 1
            slots, handed_out = sqlite_slots.take_slots(db, number, stored.info.slots, count, compartment)
            self._write_vectors(db, number, uid, epoch, batch.row_ids, slots, vectors)
            records = sqlite_rows.write_records(db, number, batch.sealed_records)
            db.executemany(
                "INSERT INTO live_rows VALUES (?, ?, ?, ?, ?, ?, 0)",
                zip([number] * count, slots, batch.row_ids, [epoch] * count, records, consents, strict=True),
            )
            sqlite_rows.update_counts(db, number, handed_out, stored.info.rows + count, epoch)
            sqlite_requests.remember_finished(db, request_id, "enrol", digest, Finished(uid, epoch, count))
            _, after = sqlite_rows.find_collection(db, uid)
        return Change(epoch, np.array(slots, np.int64), after, repeated=False)

    def _write_vectors(
        self,
        db: apsw.Connection,
        number: int,
        uid: bytes,
        epoch: int,
        row_ids: Sequence[bytes],
        slots: Sequence[int],
        vectors: Int16Matrix,
    ) -> None:
        seal = self._seal_of(db, uid).seal_vector
        # A slot that is used again has a cell of this very length: it is overwritten where it lies.
        db.executemany(
            f"INSERT INTO {schema.vectors_table(number)} VALUES (?, ?)"  # noqa: S608 - a number, see schema.py
            " ON CONFLICT (slot) DO UPDATE SET sealed = excluded.sealed",
            (
                (slot, seal(row_id, slot, epoch, vector.tobytes()))
                for row_id, slot, vector in zip(row_ids, slots, vectors, strict=True)
            ),
        )

    def withhold(self, request_id: bytes, uid: bytes, row_ids: tuple[bytes, ...]) -> Change:
        sqlite_rows.require_distinct(row_ids)
        digest = self._digest("withhold", uid, b"".join(row_ids))
        with self._file.changing() as db:
            if done := sqlite_requests.find_finished(db, request_id, "withhold", digest):
                return _repetition(done, self._standing(db, done)[1])
            number, stored = sqlite_rows.find_collection(db, uid)
            epoch, count = stored.info.epoch + 1, len(row_ids)
            slots = [place.slot for place in sqlite_rows.require_live(db, number, row_ids)]
            sqlite_rows.withhold(db, number, slots)
            sqlite_rows.remember_erasures(db, number, epoch, row_ids)
            sqlite_rows.update_counts(db, number, stored.info.slots, stored.info.rows - count, epoch)
            sqlite_requests.remember_finished(db, request_id, "withhold", digest, Finished(uid, epoch, count))
            _, after = sqlite_rows.find_collection(db, uid)
        return Change(epoch, np.array(slots, np.int64), after, repeated=False)

    def erase(self, request_id: bytes, uid: bytes, row_ids: tuple[bytes, ...]) -> Change:
        sqlite_rows.require_distinct(row_ids)
        digest = self._digest("erase", uid, b"".join(row_ids))
        with self._file.changing() as db:
            done = sqlite_requests.find_finished(db, request_id, "erase", digest)
            if done:
                number, stored = self._standing(db, done)
                sqlite_requests.require_erasure_stands(db, number, done)
                change = _repetition(done, stored)
            else:
                change = self._erase(db, uid, row_ids)
                done = Finished(uid, change.epoch, len(row_ids))
                sqlite_requests.remember_finished(db, request_id, "erase", digest, done)
        self._file.empty_log()
        return change

    def _erase(self, db: apsw.Connection, uid: bytes, row_ids: Sequence[bytes]) -> Change:
        number, stored = sqlite_rows.find_collection(db, uid)
        epoch, count = stored.info.epoch + 1, len(row_ids)
        places = sqlite_rows.require_rows(db, number, row_ids)
        slots, records = [place.slot for place in places], [place.record for place in places]
        # A withheld row is gone for mirrors already, and no longer counted.
        seen = [row_id for row_id, place in zip(row_ids, places, strict=True) if not place.withheld]
        sqlite_rows.overwrite(db, schema.vectors_table(number), slots)
        sizes = sqlite_rows.overwrite(db, schema.records_table(number), records)
        db.executemany("DELETE FROM live_rows WHERE collection = ? AND slot = ?", [(number, slot) for slot in slots])
        sqlite_slots.free(db, number, slots)
        db.executemany("INSERT INTO free_records VALUES (?, ?, ?)", zip([number] * count, sizes, records, strict=True))
        sqlite_rows.remember_erasures(db, number, epoch, row_ids)
        sqlite_rows.update_counts(db, number, stored.info.slots, stored.info.rows - len(seen), epoch)
        return Change(epoch, np.array(slots, np.int64), sqlite_rows.find_collection(db, uid)[1], repeated=False)

    # Reading

    def knows_request(self, request_id: bytes) -> bool:
        with self._file.reading() as db:
            return bool(db.execute("SELECT 1 FROM requests WHERE request_id = ?", (request_id,)).get)

    def extents(self, uid: bytes) -> tuple[int, ...]:
        with self._file.reading() as db:
            return sqlite_slots.read_extents(db, sqlite_rows.find_collection(db, uid)[0])

    def rows_resting_on(self, uid: bytes, consent: bytes) -> tuple[PlacedRow, ...]:
        with self._file.reading() as db:
            return sqlite_rows.rows_resting_on(db, sqlite_rows.find_collection(db, uid)[0], consent)

    def vectors(self, uid: bytes) -> Iterator[SlottedVectors]:
        next_slot = 0
        while True:
            with self._file.reading() as db:
                number, stored = sqlite_rows.find_collection(db, uid)
                seal = self._seal_of(db, uid)
                found = sqlite_rows.read_vectors(db, number, next_slot, VECTORS_AT_ONCE)
            if not found:
                return
            yield _opened(seal, found, stored.info.dimension)
            next_slot = found[-1][0] + 1

    def changes(
        self, uid: bytes, since_epoch: int, until_epoch: int, page_bytes: int, rows: int
    ) -> Iterator[CatalogueChanges]:
        with self._file.reading() as db:
            number, stored = sqlite_rows.find_collection(db, uid)
            if since_epoch > stored.info.epoch:
                raise Mismatch(
                    f"the mirror is at epoch {since_epoch} and the collection at {stored.info.epoch}: the server went "
                    "back to an older state; drop the mirror and synchronise from 0"
                )
            enough = sqlite_rows.epoch_after(db, number, since_epoch, rows) or until_epoch
        until = max(since_epoch, min(until_epoch, stored.info.epoch, enough))
        nothing = True
        for erased in self._erased(uid, since_epoch, until):
            nothing = False
            yield CatalogueChanges(until, (), erased)
        for added in self._added(uid, since_epoch, until, page_bytes):
            nothing = False
            yield CatalogueChanges(until, added, ())
        if nothing:
            yield CatalogueChanges(until, (), ())

    def _erased(self, uid: bytes, since_epoch: int, until_epoch: int) -> Iterator[tuple[bytes, ...]]:
        if not since_epoch:
            return  # who has no row yet needs none taken away
        after = (since_epoch, sqlite_rows.BEYOND_ANY_ROW_ID)
        while True:
            with self._file.reading() as db:
                number, _ = sqlite_rows.find_collection(db, uid)
                found = sqlite_rows.read_erased(db, number, after, until_epoch, ERASED_IDS_PER_PAGE)
            if not found:
                return
            yield tuple(row_id for _, row_id in found)
            after = found[-1]

    def _added(
        self, uid: bytes, since_epoch: int, until_epoch: int, page_bytes: int
    ) -> Iterator[tuple[CatalogueEntry, ...]]:
        after = (since_epoch, sqlite_rows.BEYOND_ANY_SLOT)
        while True:
            with self._file.reading() as db:
                number, _ = sqlite_rows.find_collection(db, uid)
                entries = sqlite_rows.read_entries(db, number, after, until_epoch, page_bytes)
            if not entries:
                return
            yield tuple(entries)
            after = (entries[-1].epoch, entries[-1].slot)

    # Facts

    def append_fact(self, kind: str, key: bytes, body: bytes, request_id: bytes | None = None) -> Fact:
        digest = self._digest("fact", kind, key, body)
        with self._file.changing() as db:
            done = request_id and sqlite_requests.find_finished(db, request_id, "fact", digest)
            if done:
                fact = sqlite_facts.at(db, self._facts_seal, done.epoch)
                if fact is None:
                    raise sqlite_requests.replayed("what it wrote down was forgotten since")
                return fact
            fact = sqlite_facts.append(db, self._facts_seal, kind, key, body)
            if request_id:
                sqlite_requests.remember_finished(db, request_id, "fact", digest, Finished(b"", fact.sequence, 1))
            return fact

    def facts(self, kind: str, key: bytes | None = None, after: int = 0) -> tuple[Fact, ...]:
        with self._file.reading() as db:
            return tuple(sqlite_facts.read(db, self._facts_seal, kind, key, after))

    def forget_facts(self, kind: str, key: bytes) -> int:
        with self._file.changing() as db:
            count = sqlite_facts.forget(db, kind, key)
        self._file.empty_log()
        return count

    # Shared steps

    def _digest(self, kind: str, *content: bytes | int | str) -> bytes:
        return sealing.request_digest(self._store_key, (kind, *content))

    def _standing(self, db: apsw.Connection, done: Finished) -> tuple[int, StoredCollection]:
        try:
            return sqlite_rows.find_collection(db, done.collection_uid)
        except CollectionNotFound:
            raise sqlite_requests.replayed("its collection was deleted since") from None

    def _seal_of(self, db: apsw.Connection, uid: bytes) -> sealing.CollectionSeal:
        if uid not in self._seals:
            wrapped = db.execute("SELECT wrapped_key FROM collections WHERE uid = ?", (uid,)).get
            self._seals[uid] = sealing.open_collection_seal(self._master_key, self._uid, uid, wrapped)
        return self._seals[uid]


def _require_shape(vectors: Int16Matrix, batch: RowBatch, dimension: int) -> None:
    count = len(batch.row_ids)
    if batch.consents and len(batch.consents) != count:
        raise InvalidInput(f"got {len(batch.consents)} consents for {count} rows; give one for each, or none at all")
    if not count or vectors.shape != (count, dimension) or len(batch.sealed_records) != count:
        raise InvalidInput(
            f"got vectors of shape {vectors.shape} and {len(batch.sealed_records)} records for {count} rows; "
            f"expected at least one row, dimension {dimension}, one record a row"
        )


def _repetition(done: Finished, stored: StoredCollection) -> Change:
    return Change(done.epoch, np.empty(0, np.int64), stored, repeated=True)


def _opened(seal: sealing.CollectionSeal, found: Sequence[sqlite_rows.VectorRow], dimension: int) -> SlottedVectors:
    opened = b"".join(seal.open_vector(row_id, slot, epoch, sealed) for slot, row_id, epoch, sealed in found)
    if len(opened) != len(found) * dimension * 2:
        raise SealBroken(
            f"stored vectors have {len(opened)} bytes, {len(found)} rows need {len(found) * dimension * 2}"
        )
    slots = np.fromiter((row[0] for row in found), np.int64, len(found))
    return SlottedVectors(slots, np.frombuffer(opened, "<i2").reshape(len(found), dimension))
