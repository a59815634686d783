"""A store over a database: what every kind of store does alike. The server holds it.

Whoever takes the database gets names, counts, sizes, epochs and pseudonymous row ids; vectors, facts and records are
ciphertext.

    opening      the database is ours -> the master key opens the key ring -> only then anything is written
    a mutation   one transaction (``mutations.py``) -> answer
    erasing      cut the rows' keys from the ring -> overwrite in place -> commit -> nothing older left behind -> answer
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import numpy as np

from unseen.entropy import random_uid
from unseen.errors import BlockChanged, InvalidInput, SealBroken
from unseen.keys.ring import KeyRing, KeyRings
from unseen.keys.ring_content import Destroyed
from unseen.keys.serials import Serials
from unseen.store import (
    catalogue,
    collections,
    facts,
    migrations,
    mutations,
    owner_rows,
    requests,
    row_keys,
    rows,
    slots,
)
from unseen.store.database import Database, Transaction
from unseen.store.encrypted_rows import EncryptedRows
from unseen.store.interface import (
    VECTORS_AT_ONCE,
    Change,
    Fact,
    NewCollection,
    PlacedRow,
    SlottedVectors,
    StoredCollection,
)
from unseen.store.recovery import Recovery, bring_in_step, require_trees
from unseen.store.requests import Finished
from unseen.store.schema import SCHEMA_VERSION, records_table, vectors_table
from unseen.store.sealing import CollectionSeal, StoreSeals
from unseen.types import CatalogueChanges, CatalogueEntry, RowBatch


class DurableStore(EncryptedRows):
    """See the module: a ``Store`` in ``database``, whose keys are in a ring of ``rings``, which lies elsewhere."""

    recovery = Recovery()
    """What opening had to finish."""

    def __init__(self, database: Database, rings: KeyRings) -> None:
        """Open or make the store; InvalidConfiguration, WrongKey or KeyServiceFailed before any write.

        Takes the database over, also when it refuses it.
        """
        self._serials = Serials()
        self._database = database
        try:
            self._uid, self._seals = self._make(rings) if database.is_blank else self._open(rings)
        except BaseException:
            database.close()
            raise

    def _make(self, rings: KeyRings) -> tuple[bytes, StoreSeals]:
        uid = random_uid()
        ring = rings.make(uid)
        self._database.accept()
        self._database.make(uid, ring.content.state)
        return uid, StoreSeals(ring)

    def _open(self, rings: KeyRings) -> tuple[bytes, StoreSeals]:
        is_older = self._database.version != SCHEMA_VERSION
        with self._database.reading() as tx:
            uid = row_keys.read_uid(tx)
            ring = migrations.open_ring(tx, rings, self._database.version) if is_older else rings.open(uid)
            seals = StoreSeals(ring)
            if not is_older:
                require_trees(tx, seals)
        self._database.accept()
        ring.forget_leftovers()
        with self._database.changing() as tx:
            if is_older:
                migrations.migrate(tx, self._database, ring, rings.provider)
            self.recovery = bring_in_step(tx, seals)
        if is_older:
            self._database.accept()
        if is_older or self.recovery != Recovery():
            self._database.scrub()
        return uid, seals

    @property
    def uid(self) -> bytes:
        return self._uid

    @property
    def ring(self) -> KeyRing:
        """The open key ring: its provider can be changed at any time."""
        return self._seals.ring

    @property
    def size_bytes(self) -> int:
        return self._database.size_bytes

    def snapshot(self, path: Path, go_on: Callable[[], None] = lambda: None) -> None:
        self._database.snapshot(path, go_on)

    def when_failed(self, tell: Callable[[], None]) -> None:
        self._database.when_failed(tell)

    def close(self) -> None:
        self._database.close()

    # Collections

    def collections(self) -> tuple[StoredCollection, ...]:
        with self._database.reading() as tx:
            return collections.read_collections(tx)

    def create(self, request_id: bytes, new: NewCollection) -> StoredCollection:
        # Without a tenant the content is written as release 0.1.0 wrote it: a retry is known across an upgrade.
        tenant = (new.tenant,) if new.tenant else ()
        request = self._request(request_id, "create", *tenant, new.name, new.dimension, new.parameter_id, new.model_id)
        with self._database.changing() as tx:
            if done := requests.find_finished(tx, request):
                return mutations.standing(tx, done)[1]
            collections.require_free_name(tx, new.tenant, new.name)
            uid = random_uid()
            collections.insert_collection(tx, uid, new, self.ring.add_tree(uid))
            row_keys.note_ring_state(tx, self.ring.content.state)
            requests.remember_finished(tx, request, Finished(uid, 0, 0))
            return collections.find_collection(tx, uid)[1]

    def delete(self, request_id: bytes, uid: bytes) -> None:
        request = self._request(request_id, "delete", uid)
        with self._database.changing() as tx:
            if requests.find_finished(tx, request) is None:
                self._destroy(tx, uid)
                requests.remember_finished(tx, request, Finished(uid, 0, 0))
        self._database.scrub()

    def replace(
        self, request_id: bytes, uid: bytes, replaced_uid: bytes, replaced_epoch: int, name: str
    ) -> StoredCollection:
        request = self._request(request_id, "replace", uid, replaced_uid, replaced_epoch, name)
        with self._database.changing() as tx:
            if done := requests.find_finished(tx, request):
                return mutations.standing(tx, done)[1]
            tenant = collections.find_collection(tx, uid)[1].tenant
            replaced = next((one for one in collections.read_collections(tx) if one.info.uid == replaced_uid), None)
            if replaced is not None:
                if (replaced.tenant, replaced.info.name) != (tenant, name):
                    raise InvalidInput("the collection to be replaced is another tenant's, or has another name")
                if replaced.info.epoch != replaced_epoch:
                    raise BlockChanged("the collection to be replaced was changed since; bring the other up to it")
                self._destroy(tx, replaced_uid)
            collections.require_free_name(tx, tenant, name)
            collections.update_name(tx, uid, name)
            requests.remember_finished(tx, request, Finished(uid, 0, 0))
            stored = collections.find_collection(tx, uid)[1]
        self._database.scrub()
        return stored

    def _destroy(self, tx: Transaction, uid: bytes) -> None:
        """Take a collection away: its keys first, then all that they sealed."""
        collections.find_collection(tx, uid)
        owner_rows.forget_all(tx, uid, self._seals)
        self.ring.destroy(self.ring.trees_of(uid), Destroyed.COLLECTION_DELETED)
        row_keys.note_ring_state(tx, self.ring.content.state)
        collections.remove_collection(tx, uid)

    def repacked(self, uid: bytes, packing_factor: int, at_slots: int) -> StoredCollection:
        with self._database.changing() as tx:
            collections.update_packing(tx, uid, packing_factor, at_slots)
            return collections.find_collection(tx, uid)[1]

    # Rows

    def enrol(self, request_id: bytes, uid: bytes, batch: RowBatch, compartment: int = 0) -> Change:
        rows.require_distinct(batch.row_ids)
        batch = replace(batch, vectors=np.ascontiguousarray(batch.vectors, dtype="<i2"))
        row_ids, vectors = b"".join(batch.row_ids), batch.vectors.tobytes()
        since_0_2: tuple[bytes | int, ...] = ()  # left out as in ``create``
        if compartment or any(batch.consents):
            since_0_2 = (compartment, *batch.consents)
        request = self._request(request_id, "enrol", uid, row_ids, vectors, *since_0_2, *batch.sealed_records)
        with self._serials.change(), self._database.changing() as tx:
            if known := mutations.repeated_enrolment(tx, request):
                return known
            dimension = collections.find_collection(tx, uid)[1].info.dimension
            mutations.require_shape(batch.vectors, batch, dimension)
            serials = self._serials.take(len(batch.row_ids), lambda first: row_keys.claim_run(tx, first))
            return mutations.enrol(tx, request, uid, batch, self._seal_of(tx, uid), serials, compartment)

    def withhold(self, request_id: bytes, uid: bytes, row_ids: tuple[bytes, ...]) -> Change:
        rows.require_distinct(row_ids)
        request = self._request(request_id, "withhold", uid, b"".join(row_ids))
        with self._database.changing() as tx:
            return mutations.withhold(tx, request, uid, row_ids)

    def erase(self, request_id: bytes, uid: bytes, row_ids: tuple[bytes, ...]) -> Change:
        rows.require_distinct(row_ids)
        request = self._request(request_id, "erase", uid, b"".join(row_ids))
        with self._database.changing() as tx:
            change = mutations.erase(tx, request, uid, row_ids, self._seals)
            number, _ = collections.find_collection(tx, uid)
        self._database.scrub((vectors_table(number), records_table(number)))
        return change

    def renew_keys(self, uid: bytes) -> int:
        with self._database.changing() as tx:
            old, fresh = self._seal_of(tx, uid), self.ring.add_tree(uid)
            count = row_keys.reseal(tx, uid, old, fresh, self._seals)
            number, _ = collections.find_collection(tx, uid)
        self._database.scrub((vectors_table(number), records_table(number)))
        with self._database.changing() as tx:
            others = [tree_id for tree_id in self.ring.trees_of(uid) if tree_id != fresh]
            self.ring.destroy(others, Destroyed.KEYS_RENEWED)
            row_keys.note_ring_state(tx, self.ring.content.state)
        return count

    # Reading

    def key_tree(self, uid: bytes) -> bytes:
        with self._database.reading() as tx:
            return row_keys.read_tree_id(tx, uid)

    def knows_request(self, request_id: bytes) -> bool:
        with self._database.reading() as tx:
            return requests.is_known(tx, request_id)

    def extents(self, uid: bytes) -> tuple[int, ...]:
        with self._database.reading() as tx:
            return slots.read_extents(tx, collections.find_collection(tx, uid)[0])

    def rows_resting_on(self, uid: bytes, consent: bytes) -> tuple[PlacedRow, ...]:
        with self._database.reading() as tx:
            return rows.rows_resting_on(tx, collections.find_collection(tx, uid)[0], consent)

    def withheld(self, uid: bytes) -> tuple[PlacedRow, ...]:
        with self._database.reading() as tx:
            return rows.withheld(tx, collections.find_collection(tx, uid)[0])

    def entries(self, uid: bytes, row_ids: tuple[bytes, ...]) -> tuple[CatalogueEntry, ...]:
        return catalogue.entries(self._database, self._seal_of, uid, row_ids)

    def vectors(self, uid: bytes) -> Iterator[SlottedVectors]:
        next_slot = 0
        seal = None
        while True:
            with self._database.reading() as tx:
                number, stored = collections.find_collection(tx, uid)
                seal = seal or self._seal_of(tx, uid)
                found = rows.read_vectors(tx, number, next_slot, VECTORS_AT_ONCE)
            if not found:
                return
            yield _opened(seal, found, stored.info.dimension)
            next_slot = found[-1][0].slot + 1

    def changes(
        self, uid: bytes, since_epoch: int, until_epoch: int, page_bytes: int, rows: int
    ) -> Iterator[CatalogueChanges]:
        return catalogue.changes(self._database, self._seal_of, uid, since_epoch, until_epoch, page_bytes, rows)

    # Facts

    def append_fact(
        self, kind: str, key: bytes, body: bytes, request_id: bytes | None = None, own_key: bool = False
    ) -> Fact:
        request = self._request(request_id or b"", "fact", kind, key, body)
        with self._serials.change() if own_key else nullcontext(), self._database.changing() as tx:
            done = request_id and requests.find_finished(tx, request)
            if done:
                fact = facts.at(tx, self._seals, done.epoch)
                if fact is None:
                    raise requests.replayed("what it wrote down was forgotten since")
                return fact
            fact = facts.append(tx, self._seals, kind, key, body, self._draw_key(tx) if own_key else None)
            if request_id:
                requests.remember_finished(tx, request, Finished(b"", fact.sequence, 1))
            return fact

    def facts(self, kind: str, key: bytes | None = None, after: int = 0) -> tuple[Fact, ...]:
        with self._database.reading() as tx:
            return tuple(facts.read(tx, self._seals, kind, key, after))

    def forget_facts(self, kinds: str | tuple[str, ...], *keys: bytes) -> int:
        places = [(kind, key) for kind in ((kinds,) if isinstance(kinds, str) else kinds) for key in keys]
        with self._database.changing() as tx:
            count, ring_changed = facts.forget(tx, self._seals, places)
            if ring_changed:
                row_keys.note_ring_state(tx, self.ring.content.state)
        self._database.scrub(("facts",))
        return count


def _opened(seal: CollectionSeal, found: Sequence[rows.SealedRow], dimension: int) -> SlottedVectors:
    places = [place for place, _ in found]
    opened = b"".join(seal.open_vectors(places, (sealed for _, sealed in found)))
    if len(opened) != len(found) * dimension * 2:
        raise SealBroken(
            f"stored vectors have {len(opened)} bytes, {len(found)} rows need {len(found) * dimension * 2}"
        )
    slots_found = np.fromiter((place.slot for place in places), np.int64, len(found))
    return SlottedVectors(slots_found, np.frombuffer(opened, "<i2").reshape(len(found), dimension))
