"""A collection in memory is what the store says, at every moment, for every reader."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import apsw
import numpy as np
import pytest

from tests.key_rings import rings_beside
from tests.noise import MOST_COSINE_ERROR
from unseen import params
from unseen.entropy import random_uid
from unseen.errors import (
    CollectionNotFound,
    InvalidVector,
    LimitExceeded,
    MalformedMessage,
    PackingChanged,
    RequestReplayed,
    StoreFailed,
)
from unseen.he import quantise
from unseen.he.mask import MaskSource
from unseen.he.scan_threads import ScanThreads
from unseen.he.secret import PreparedQuery
from unseen.store.interface import NewCollection, Store
from unseen.store.sqlite import SqliteStore
from unseen.types import RowBatch
from unseen_server.live_collection import ReplyStart
from unseen_server.masks_ahead import MasksAhead
from unseen_server.sealed_collection import SealedCollection

Make = Callable[..., Any]

PARAMETERS = params.DEFAULT
DIMENSION = 16


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = SqliteStore(tmp_path, rings_beside(tmp_path))
    yield store
    store.close()


@pytest.fixture(scope="module")
def masks() -> Iterator[MasksAhead]:
    source = MaskSource(PARAMETERS)
    yield MasksAhead(source)
    source.close()


@pytest.fixture
def live(store: Store, masks: MasksAhead) -> SealedCollection:
    new = NewCollection("photos", DIMENSION, PARAMETERS.id, "none", packing_factor=16)
    return SealedCollection(store, store.create(random_uid(), new), PARAMETERS, masks, threads=ScanThreads(1))


def search(live: SealedCollection, vector: np.ndarray) -> tuple[ReplyStart, np.ndarray]:
    """A whole search without the network."""
    query, key = PreparedQuery.prepare(PARAMETERS, live.packing).encrypt(quantise.quantise_query(PARAMETERS, vector))
    starts: list[ReplyStart] = []
    blocks: list[bytes] = []
    live.answer(live.packing.factor, query, starts.append, blocks.append, lambda: False)
    start = starts[0]
    raw = key.decrypt(b"".join(blocks))[: start.slots] if start.slots else np.empty(0, np.int64)
    return start, quantise.to_cosines(PARAMETERS, raw)


def test_every_answer_is_the_state_of_exactly_one_epoch(live: SealedCollection, make_rows: Make) -> None:
    """Searches run while rows come and go; afterwards each answer is compared with the rows of the epoch it names."""
    states: dict[int, dict[int, np.ndarray]] = {0: {}}
    finished = threading.Event()
    query = make_rows(1)[0][0]

    def change() -> None:
        slots: dict[bytes, int] = {}
        try:
            for step in range(120):
                state = dict(states[live.info.epoch])
                if step % 3 == 2:
                    victims = tuple(list(slots)[step % 5 :][:2])
                    done = live.erase(random_uid(), victims)
                    for row_id in victims:
                        del state[slots.pop(row_id)]
                else:
                    vectors, batch = make_rows(1 + step % 4)
                    done = live.enrol(random_uid(), batch)
                    slots |= dict(zip(batch.row_ids, done.slots.tolist(), strict=True))
                    state |= dict(zip(done.slots.tolist(), vectors, strict=True))
                states[done.epoch] = state
        finally:
            finished.set()

    def look() -> list[tuple[ReplyStart, np.ndarray]]:
        seen = [search(live, query)]
        while not finished.is_set():
            seen.append(search(live, query))
        return seen

    with ThreadPoolExecutor(3) as pool:
        writer = pool.submit(change)
        looks = [pool.submit(look) for _ in range(2)]
        writer.result()
        seen = [answer for done in looks for answer in done.result()]
    assert len({start.epoch for start, _ in seen}) > 1
    for start, scores in seen:
        expected = np.zeros(start.slots)
        for slot, vector in states[start.epoch].items():
            expected[slot] = vector @ query
        assert np.abs(scores - expected).max(initial=0) < MOST_COSINE_ERROR


@pytest.mark.parametrize("erased", [slice(5, 50), slice(100, 1200), slice(0, 1200)], ids=["some", "the tail", "all"])
def test_loaded_collection_answers_as_the_one_that_was_filled(
    store: Store, live: SealedCollection, masks: MasksAhead, make_rows: Make, erased: slice
) -> None:
    vectors, batch = make_rows(1200)
    live.enrol(random_uid(), batch)
    live.erase(random_uid(), batch.row_ids[erased])
    loaded = SealedCollection(store, store.collections()[0], PARAMETERS, masks, threads=ScanThreads(2))
    loaded.load()
    (_, before), (start, after) = search(live, vectors[3]), search(loaded, vectors[3])
    assert (start.epoch, start.slots) == (2, 1200)
    assert np.abs(before - after).max() < 2 * MOST_COSINE_ERROR
    assert np.abs(after[erased]).max() < MOST_COSINE_ERROR


def test_row_above_the_norm_cap_reaches_neither_disk_nor_memory(
    store: Store, live: SealedCollection, make_rows: Make
) -> None:
    _, batch = make_rows(2)
    loud = RowBatch(batch.row_ids, batch.vectors * 2, batch.sealed_records)
    with pytest.raises(InvalidVector):
        live.enrol(random_uid(), loud)
    assert store.collections()[0].info.epoch == live.info.epoch == 0


def test_repeated_enrolment_leaves_memory_as_it_is(live: SealedCollection, make_rows: Make) -> None:
    vectors, batch = make_rows(3)
    request_id = random_uid()
    live.enrol(request_id, batch)
    assert live.enrol(request_id, batch).repeated
    live.erase(random_uid(), batch.row_ids[:1])
    with pytest.raises(RequestReplayed):
        live.enrol(request_id, batch)
    start, scores = search(live, vectors[0])
    assert (start.epoch, start.slots) == (2, 3)
    assert abs(scores[0]) < MOST_COSINE_ERROR


def test_cancelled_answer_stops_before_its_last_block(live: SealedCollection, make_rows: Make) -> None:
    for _ in range(4):
        live.enrol(random_uid(), make_rows(1024)[1])
    vector = make_rows(1)[0][0]
    query, _ = PreparedQuery.prepare(PARAMETERS, live.packing).encrypt(quantise.quantise_query(PARAMETERS, vector))
    starts: list[ReplyStart] = []
    emitted: list[bytes] = []
    live.answer(live.packing.factor, query, starts.append, emitted.append, lambda: bool(emitted))
    assert sum(map(len, emitted)) < starts[0].blocks * len(emitted[0])
    live.answer(live.packing.factor, query, starts.append, emitted.append, lambda: True)
    assert len(emitted) == 1


def test_query_for_another_packing_is_refused_before_it_is_read(live: SealedCollection) -> None:
    with pytest.raises(PackingChanged):
        live.answer(8, b"", lambda start: None, lambda blocks: None, lambda: False)
    with pytest.raises(MalformedMessage):
        live.answer(16, b"", lambda start: None, lambda blocks: None, lambda: False)


def test_deleted_collection_neither_answers_nor_takes_rows(live: SealedCollection, make_rows: Make) -> None:
    live.enrol(random_uid(), make_rows(3)[1])
    live.delete(random_uid())
    with pytest.raises(CollectionNotFound):
        search(live, make_rows(1)[0][0])
    with pytest.raises(CollectionNotFound):
        live.enrol(random_uid(), make_rows(1)[1])


def test_change_that_memory_does_not_take_counts_as_a_failed_store(
    live: SealedCollection, make_rows: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_room(*_: Any) -> None:
        raise MemoryError

    monkeypatch.setattr(live._index, "put", no_room)
    with pytest.raises(StoreFailed, match="on disk but not in memory"):
        live.enrol(random_uid(), make_rows(1)[1])


def test_after_a_change_that_memory_did_not_take_nothing_is_answered(
    live: SealedCollection, make_rows: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An erased row must not score again, and no later change may hide that one is missing."""
    vectors, batch = make_rows(5)
    live.enrol(random_uid(), batch)

    def no_room(*_: Any) -> None:
        raise MemoryError

    with monkeypatch.context() as patched:
        patched.setattr(live._index, "clear", no_room)
        with pytest.raises(StoreFailed):
            live.erase(random_uid(), batch.row_ids[3:4])
    with pytest.raises(StoreFailed, match="restart"):
        search(live, vectors[3])
    with pytest.raises(StoreFailed, match="restart"):
        live.enrol(random_uid(), make_rows(1)[1])


def test_after_a_change_that_the_disk_refused_nothing_is_answered(
    store: SqliteStore, live: SealedCollection, make_rows: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An erasure may be committed although its log could not be emptied: memory does not know."""
    vectors, batch = make_rows(5)
    live.enrol(random_uid(), batch)

    database: Any = store._database

    def full(tables: object) -> None:
        with database._failures():
            raise apsw.FullError

    monkeypatch.setattr(database, "scrub", full)
    with pytest.raises(StoreFailed):
        live.erase(random_uid(), batch.row_ids[3:4])
    with pytest.raises(StoreFailed, match="restart"):
        search(live, vectors[3])


def test_repeated_enrolment_that_filled_the_last_slots_is_answered_again(
    live: SealedCollection, make_rows: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("unseen_server.limits.MAX_SLOTS", 3)
    request_id, batch = random_uid(), make_rows(3)[1]
    live.enrol(request_id, batch)
    assert live.enrol(request_id, batch).repeated
    with pytest.raises(LimitExceeded):
        live.enrol(random_uid(), make_rows(1)[1])


def test_memory_is_handed_back_after_rows_are_gone_and_while_others_may_change(
    live: SealedCollection, make_rows: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[bool] = []
    for module in ("live_collection", "sealed_collection"):
        monkeypatch.setattr(
            f"unseen_server.{module}.hand_back_freed_memory",
            lambda: calls.append(live._mutating._is_owned()),  # type: ignore[attr-defined]
        )
    batch = make_rows(3)[1]
    live.enrol(random_uid(), batch)
    assert calls == []
    live.erase(random_uid(), batch.row_ids[:1])
    live.delete(random_uid())
    assert calls == [False, False]
