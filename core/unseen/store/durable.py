"""A store over a database: what every kind of store does alike. The server holds it.

Whoever takes the database gets names, counts, sizes, epochs and pseudonymous row ids; vectors, facts and records are
ciphertext.

    opening      the database is ours -> the master key opens the store key -> only then anything is written
    a mutation   one transaction (``mutations.py``) -> answer
    erasing      overwrite in place -> commit -> nothing older left behind -> answer
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from unseen.entropy import random_uid
from unseen.errors import SealBroken
from unseen.store import catalogue, collections, facts, mutations, requests, rows, sealing, slots
from unseen.store.database import Database, Transaction
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
from unseen.store.requests import Finished, Request
from unseen.store.schema import records_table, vectors_table
from unseen.types import CatalogueChanges, RowBatch


class DurableStore(Store):
    """See the module: a ``Store`` in ``database``, sealed under ``master_key`` (32 bytes)."""

    def __init__(self, database: Database, master_key: bytes) -> None:
        """Open or make the store; WrongKey before any write. Takes the database over, also when it refuses it."""
        self._master_key = master_key
        self._seals: dict[bytes, sealing.CollectionSeal] = {}
        self._database = database
        try:
            self._uid, self._store_key = self._make() if database.is_blank else self._open()
            self._facts_seal = sealing.facts_seal(self._store_key)
        except BaseException:
            database.close()
            raise

    def _make(self) -> tuple[bytes, bytes]:
        uid = random_uid()
        wrapped = sealing.new_store_key(self._master_key, uid)
        self._database.accept()
        self._database.make(uid, wrapped)
        return uid, sealing.open_store_key(self._master_key, uid, wrapped)

    def _open(self) -> tuple[bytes, bytes]:
        with self._database.reading() as tx:
            uid, wrapped = collections.read_store(tx)
        store_key = sealing.open_store_key(self._master_key, uid, wrapped)
        self._database.accept()
        return uid, store_key

    @property
    def uid(self) -> bytes:
        return self._uid

    def close(self) -> None:
        self._database.close()

    # Collections

    def collections(self) -> tuple[StoredCollection, ...]:
        with self._database.reading() as tx:
            return collections.read_collections(tx)

    def create(self, request_id: bytes, new: NewCollection) -> StoredCollection:
        request = self._request(
            request_id, "create", new.tenant, new.name, new.dimension, new.parameter_id, new.model_id
        )
        with self._database.changing() as tx:
            if done := requests.find_finished(tx, request):
                return mutations.standing(tx, done)[1]
            collections.require_free_name(tx, new.tenant, new.name)
            uid = random_uid()
            wrapped_key = sealing.new_collection_key(self._master_key, self._uid, uid)
            collections.insert_collection(tx, uid, new, wrapped_key)
            requests.remember_finished(tx, request, Finished(uid, 0, 0))
            return collections.find_collection(tx, uid)[1]

    def delete(self, request_id: bytes, uid: bytes) -> None:
        request = self._request(request_id, "delete", uid)
        with self._database.changing() as tx:
            if requests.find_finished(tx, request) is None:
                collections.remove_collection(tx, uid)
                requests.remember_finished(tx, request, Finished(uid, 0, 0))
        self._seals.pop(uid, None)
        self._database.scrub()

    def repacked(self, uid: bytes, packing_factor: int, at_slots: int) -> StoredCollection:
        with self._database.changing() as tx:
            collections.update_packing(tx, uid, packing_factor, at_slots)
            return collections.find_collection(tx, uid)[1]

    # Rows

    def enrol(self, request_id: bytes, uid: bytes, batch: RowBatch, compartment: int = 0) -> Change:
        rows.require_distinct(batch.row_ids)
        batch = replace(batch, vectors=np.ascontiguousarray(batch.vectors, dtype="<i2"))
        consents = batch.consents or (b"",) * len(batch.row_ids)
        row_ids, vectors = b"".join(batch.row_ids), batch.vectors.tobytes()
        request = self._request(
            request_id, "enrol", uid, row_ids, vectors, compartment, *batch.sealed_records, *consents
        )
        with self._database.changing() as tx:
            if known := mutations.repeated_enrolment(tx, request):
                return known
            dimension = collections.find_collection(tx, uid)[1].info.dimension
            mutations.require_shape(batch.vectors, batch, dimension)
            return mutations.enrol(tx, request, uid, batch, self._seal_of(tx, uid), compartment)

    def withhold(self, request_id: bytes, uid: bytes, row_ids: tuple[bytes, ...]) -> Change:
        rows.require_distinct(row_ids)
        request = self._request(request_id, "withhold", uid, b"".join(row_ids))
        with self._database.changing() as tx:
            return mutations.withhold(tx, request, uid, row_ids)

    def erase(self, request_id: bytes, uid: bytes, row_ids: tuple[bytes, ...]) -> Change:
        rows.require_distinct(row_ids)
        request = self._request(request_id, "erase", uid, b"".join(row_ids))
        with self._database.changing() as tx:
            change = mutations.erase(tx, request, uid, row_ids)
            number, _ = collections.find_collection(tx, uid)
        self._database.scrub((vectors_table(number), records_table(number)))
        return change

    # Reading

    def knows_request(self, request_id: bytes) -> bool:
        with self._database.reading() as tx:
            return requests.is_known(tx, request_id)

    def extents(self, uid: bytes) -> tuple[int, ...]:
        with self._database.reading() as tx:
            return slots.read_extents(tx, collections.find_collection(tx, uid)[0])

    def rows_resting_on(self, uid: bytes, consent: bytes) -> tuple[PlacedRow, ...]:
        with self._database.reading() as tx:
            return rows.rows_resting_on(tx, collections.find_collection(tx, uid)[0], consent)

    def vectors(self, uid: bytes) -> Iterator[SlottedVectors]:
        next_slot = 0
        while True:
            with self._database.reading() as tx:
                number, stored = collections.find_collection(tx, uid)
                seal = self._seal_of(tx, uid)
                found = rows.read_vectors(tx, number, next_slot, VECTORS_AT_ONCE)
            if not found:
                return
            yield _opened(seal, found, stored.info.dimension)
            next_slot = found[-1][0] + 1

    def changes(
        self, uid: bytes, since_epoch: int, until_epoch: int, page_bytes: int, rows: int
    ) -> Iterator[CatalogueChanges]:
        return catalogue.changes(self._database, uid, since_epoch, until_epoch, page_bytes, rows)

    # Facts

    def append_fact(self, kind: str, key: bytes, body: bytes, request_id: bytes | None = None) -> Fact:
        request = self._request(request_id or b"", "fact", kind, key, body)
        with self._database.changing() as tx:
            done = request_id and requests.find_finished(tx, request)
            if done:
                fact = facts.at(tx, self._facts_seal, done.epoch)
                if fact is None:
                    raise requests.replayed("what it wrote down was forgotten since")
                return fact
            fact = facts.append(tx, self._facts_seal, kind, key, body)
            if request_id:
                requests.remember_finished(tx, request, Finished(b"", fact.sequence, 1))
            return fact

    def facts(self, kind: str, key: bytes | None = None, after: int = 0) -> tuple[Fact, ...]:
        with self._database.reading() as tx:
            return tuple(facts.read(tx, self._facts_seal, kind, key, after))

    def forget_facts(self, kind: str, key: bytes) -> int:
        with self._database.changing() as tx:
            count = facts.forget(tx, kind, key)
        self._database.scrub(("facts",))
        return count

    # Shared steps

    def _request(self, request_id: bytes, kind: str, *content: bytes | int | str) -> Request:
        return Request(request_id, kind, sealing.request_digest(self._store_key, (kind, *content)))

    def _seal_of(self, tx: Transaction, uid: bytes) -> sealing.CollectionSeal:
        if uid not in self._seals:
            wrapped = collections.read_wrapped_key(tx, uid)
            self._seals[uid] = sealing.open_collection_seal(self._master_key, self._uid, uid, wrapped)
        return self._seals[uid]


def _opened(seal: sealing.CollectionSeal, found: Sequence[rows.VectorRow], dimension: int) -> SlottedVectors:
    opened = b"".join(seal.open_vector(row_id, slot, epoch, sealed) for slot, row_id, epoch, sealed in found)
    if len(opened) != len(found) * dimension * 2:
        raise SealBroken(
            f"stored vectors have {len(opened)} bytes, {len(found)} rows need {len(found) * dimension * 2}"
        )
    slots_found = np.fromiter((row[0] for row in found), np.int64, len(found))
    return SlottedVectors(slots_found, np.frombuffer(opened, "<i2").reshape(len(found), dimension))
