"""An erased row is gone when the answer comes: from every file of the data, every later score, and every older copy."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.noise import MOST_COSINE_ERROR
from unseen.entropy import random_uid
from unseen.errors import SealBroken
from unseen.keys.provider import HeldKey
from unseen.keys.ring import KeyRings
from unseen.store import row_keys
from unseen.store.sqlite import SqliteStore
from unseen_server.keys.choice import RING_FOLDER
from unseen_server.master_key import open_master_key

Make = Callable[..., Any]


def disk(server: Any) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(server.data.rglob("*")) if path.is_file())


def opened(server: Any, data: Path | None = None, ring: Path | None = None) -> SqliteStore:
    """The store while no server runs."""
    provider = HeldKey("file", open_master_key(server.master_key, make=False))
    return SqliteStore(data or server.data, KeyRings(ring or server.folder / RING_FOLDER, provider))


def sealed_row(server: Any, slot: int) -> tuple[bytes, bytes]:
    """A row's sealed vector and record as they lie on disk."""
    store = opened(server)
    with store._database.reading() as tx:
        vector = tx.fetch("SELECT sealed FROM vectors_1 WHERE slot = ?", (slot,))[0][0]
        record = tx.fetch("SELECT sealed FROM records_1 JOIN live_rows USING (record) WHERE slot = ?", (slot,))[0][0]
    store.close()
    assert isinstance(vector, bytes)
    assert isinstance(record, bytes)
    return vector, record


def test_erased_row_is_found_nowhere_in_the_data_directory(make_server: Make, call: Make, make_rows: Make) -> None:
    server = make_server().start()
    caller = call(server)
    uid = caller.create().uid
    vectors, batch = make_rows(60, 16, 700)
    caller.enrol(uid, batch)
    caller.close()
    server.stop()
    erased, kept = sealed_row(server, 7), sealed_row(server, 8)
    caller = call(server.start())
    before = disk(server)
    assert all(part in before for part in erased + kept)
    caller.erase(uid, batch.row_ids[7:8])
    after = disk(server)
    assert not any(part[:24] in after or part[-24:] in after for part in erased)
    assert all(part in after for part in kept)
    scores = caller.search(caller.collection(), vectors[7])
    assert abs(scores[7]) < MOST_COSINE_ERROR
    assert abs(scores[8] - vectors[8] @ vectors[7]) < MOST_COSINE_ERROR
    assert np.argmax(scores) != 7


def test_no_vector_and_no_record_is_on_disk_as_it_came(make_server: Make, call: Make, make_rows: Make) -> None:
    server = make_server().start()
    caller = call(server)
    vectors, batch = make_rows(60, 64)
    caller.enrol(caller.create(dimension=64).uid, batch)
    everything = disk(server)
    for quantised, vector, record in zip(batch.vectors, vectors, batch.sealed_records, strict=True):
        assert quantised.tobytes()[:16] not in everything
        assert vector.tobytes()[:16] not in everything
        assert record[:16] not in everything


@pytest.fixture
def erased_after_a_backup(make_server: Make, call: Make, make_rows: Make) -> tuple[Any, Any, Any, bytes]:
    """A stopped server whose rows 7 and 9 were erased after its data and its key ring were copied."""
    server = make_server().start()
    caller = call(server)
    uid = caller.create().uid
    vectors, batch = make_rows(60, 16, 700)
    caller.enrol(uid, batch)
    server.stop()
    shutil.copytree(server.data, server.folder / "old-data")
    shutil.copytree(server.folder / RING_FOLDER, server.folder / "old-ring")
    caller = call(server.start())
    request_id = random_uid()
    caller.erase(uid, (batch.row_ids[7], batch.row_ids[9]), request_id)
    caller.close()
    server.stop()
    return server, vectors, batch, request_id


def test_backup_from_before_the_erasure_does_not_bring_the_row_back_with_todays_keys(
    erased_after_a_backup: tuple[Any, Any, Any, bytes], call: Make
) -> None:
    server, vectors, batch, request_id = erased_after_a_backup
    shutil.rmtree(server.data)
    shutil.copytree(server.folder / "old-data", server.data)
    caller = call(server.start())
    collection = caller.collection()
    _, entries, _ = caller.sync(collection.uid)
    assert set(entries) == set(batch.row_ids) - {batch.row_ids[7], batch.row_ids[9]}
    assert all(entries[row].sealed_record == batch.sealed_records[batch.row_ids.index(row)] for row in entries)
    for row in range(60):
        scores = caller.search(collection, vectors[row])
        expected = [0 if slot in (7, 9) else vectors[slot] @ vectors[row] for slot in range(60)]
        np.testing.assert_allclose(scores[:60], expected, atol=0.02)
    assert '"rows": 2, "collections": 0' in server.log()
    assert caller.refusal_if_any(caller.erase, collection.uid, (batch.row_ids[7], batch.row_ids[9]), request_id) is None
    assert server.stop() == 0


def test_nothing_in_todays_ring_opens_the_row_in_the_old_copy_and_everything_opens_the_others(
    erased_after_a_backup: tuple[Any, Any, Any, bytes],
) -> None:
    """Without the server, as a thief of everything would try: the copy's bytes, today's ring, today's master key."""
    server, _, batch, _ = erased_after_a_backup
    with_old_ring = opened(server, server.folder / "old-data", server.folder / "old-ring")
    today = opened(server)
    with with_old_ring._database.reading() as tx:
        tree_id = row_keys.read_tree_id(tx, with_old_ring.collections()[0].info.uid)
        (places, _), *_ = row_keys.sealed_rows(tx, 1)
        cells = row_keys.read_cells(tx, "vectors_1", "slot", [place.slot for place in places])
    uid = today.collections()[0].info.uid
    before, now = (store._seals.collection(uid, tree_id) for store in (with_old_ring, today))
    for place, sealed in zip(places, cells, strict=True):
        vector = batch.vectors[place.slot].astype("<i2").tobytes()
        assert before.open_vectors([place], [sealed]) == [vector], "who keeps a copy of the ring undoes erasure"
        if place.slot in (7, 9):
            with pytest.raises(SealBroken, match="key was destroyed"):
                now.open_vectors([place], [sealed])
        else:
            assert now.open_vectors([place], [sealed]) == [vector]
    tree = today._seals.ring.tree(tree_id)
    doomed = {(1 << 60) + place.serial >> levels for place in places if place.slot in (7, 9) for levels in range(61)}
    assert tree is not None
    assert doomed.isdisjoint(tree.numbers), "a node above an erased row is still in the ring"
    with_old_ring.close()
    today.close()


def test_copy_from_before_a_deletion_does_not_bring_the_collection_back(
    make_server: Make, call: Make, make_rows: Make
) -> None:
    server = make_server().start()
    caller = call(server)
    doomed, kept = caller.create("doomed"), caller.create("kept")
    for collection in (doomed, kept):
        caller.enrol(collection.uid, make_rows(5)[1])
    server.stop()
    shutil.copytree(server.data, server.folder / "old-data")
    caller = call(server.start())
    caller.delete(doomed.uid)
    server.stop()
    shutil.rmtree(server.data)
    (server.folder / "old-data").rename(server.data)
    caller = call(server.start())
    assert caller.refusal(caller.collection, "doomed").code == "COLLECTION_NOT_FOUND"
    assert caller.collection("kept").rows == 5
    assert '"rows": 0, "collections": 1' in server.log()
