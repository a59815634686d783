"""An owner-encrypted collection in a server's memory: what it takes, what it answers, what it holds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.core.he.owner.slow_server import joined, opened
from tests.key_rings import rings_beside
from unseen.entropy import random_uid
from unseen.errors import (
    CollectionNotFound,
    IntegrityError,
    InvalidInput,
    LimitExceeded,
    MalformedMessage,
    PackingChanged,
    RowNotFound,
)
from unseen.he.owner.layout import SIDE_BLOCKS, Layout, choose
from unseen.he.owner.secret import OwnerKey
from unseen.he.quantise import quantise_query, quantise_rows, to_cosines
from unseen.he.scan_threads import ScanThreads
from unseen.params import OWNER_DEFAULT as OWNER
from unseen.store.interface import NewCollection, Store
from unseen.store.sqlite import SqliteStore
from unseen.types import EncryptedBlock, RowBatch
from unseen_server import limits
from unseen_server.live_collection import ReplyStart
from unseen_server.owner_collection import OwnerCollection

DIMENSION = 16
LAYOUT = Layout.of(OWNER, DIMENSION, choose(OWNER, DIMENSION))
FIRST_WHOLE = LAYOUT.side_slots
MOST_ERROR = OWNER.error_coins
"""Of one coefficient of a fresh encryption."""


@pytest.fixture(scope="module")
def key() -> Iterator[OwnerKey]:
    with OwnerKey.generate(OWNER) as one:
        yield one


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = SqliteStore(tmp_path, rings_beside(tmp_path))
    yield store
    store.close()


@pytest.fixture
def live(store: Store) -> OwnerCollection:
    new = NewCollection("secret", DIMENSION, OWNER.id, "none", LAYOUT.whole.factor)
    return loaded(store, store.create(random_uid(), new))


def loaded(store: Store, stored) -> OwnerCollection:
    live = OwnerCollection(store, stored, OWNER, ScanThreads(1))
    live.load()
    return live


def vectors(count: int, seed: int = 1) -> np.ndarray:
    drawn = np.random.default_rng(seed).normal(size=(count, DIMENSION))
    return (drawn / np.linalg.norm(drawn, axis=1, keepdims=True)).astype(np.float32)


def block(key: OwnerKey, number: int, rows: dict[int, np.ndarray], known_epoch: int = 0) -> EncryptedBlock:
    packing, first = LAYOUT.packing(number), LAYOUT.slots_of(number).start
    quantised = np.zeros((packing.rows_per_block, DIMENSION), np.int16)
    for slot, vector in rows.items():
        quantised[slot - first] = quantise_rows(OWNER, vector[None])[0]
    return EncryptedBlock(number, known_epoch, key.encrypt_rows(packing, quantised)[0])


def batch(slots: tuple[int, ...], *blocks: EncryptedBlock) -> RowBatch:
    ids = tuple(random_uid() for _ in slots)
    return RowBatch(ids, np.zeros((len(slots), 0), np.int16), tuple(b"r" for _ in slots), (), slots, blocks)


def search(live: OwnerCollection, key: OwnerKey, vector: np.ndarray) -> tuple[ReplyStart, np.ndarray, np.ndarray]:
    starts: list[ReplyStart] = []
    emitted: list[bytes] = []
    query = key.encrypt_query(LAYOUT.whole, quantise_query(OWNER, vector))
    assert len(query) == live.query_bytes
    live.answer(LAYOUT.whole.factor, query, starts.append, emitted.append, lambda: False)
    data, start = b"".join(emitted), starts[0]
    assert len(data) == live.reply_bytes
    end = LAYOUT.reply_bytes(start.side_blocks, 0)
    side, whole = (
        to_cosines(OWNER, key.decrypt(packing, part)) if part else np.zeros(0, np.float32)
        for packing, part in ((LAYOUT.side, data[:end]), (LAYOUT.whole, data[end:]))
    )
    return start, side, whole


def decrypted(key: OwnerKey, number: int, data: bytes) -> np.ndarray:
    """The rows of a block by plain arithmetic, each coefficient with its error: (rows, dimension)."""
    packing = LAYOUT.packing(number)
    values = joined(OWNER, opened(OWNER, packing, data)).astype(np.int64)
    secret = key._secret.astype(np.int64)
    messages = np.empty((packing.chunks, OWNER.ring_degree), np.int64)
    for chunk, (c0, c1) in enumerate(values):
        product = np.convolve(c1, secret)
        product = np.append(product, 0).reshape(2, OWNER.ring_degree)
        message = (c0 + product[0] - product[1]) % OWNER.modulus
        messages[chunk] = np.where(message > OWNER.modulus // 2, message - OWNER.modulus, message)
    return packing.rows_of_polynomials(messages.astype(np.int16))


def test_rows_in_side_and_whole_blocks_score_what_they_must_before_and_after_a_start(
    store: Store, live: OwnerCollection, key: OwnerKey
) -> None:
    rows = vectors(4)
    places = dict(zip((0, 200, FIRST_WHOLE, FIRST_WHOLE + 5), rows, strict=True))
    side = [block(key, LAYOUT.block_of(slot), {slot: places[slot]}) for slot in (0, 200)]
    whole = block(key, SIDE_BLOCKS, {slot: row for slot, row in places.items() if slot >= FIRST_WHOLE})
    assert live.enrol(random_uid(), batch(tuple(places), *side, whole)).epoch == 1
    for one in (live, loaded(store, store.collections()[0])):
        start, found_side, found = search(one, key, rows[2])
        assert (start.epoch, start.slots, start.side_blocks, start.blocks) == (1, FIRST_WHOLE + 6, 2, 3)
        exact = rows @ rows[2]
        assert found_side[[0, 200]] == pytest.approx(exact[:2], abs=0.01)
        assert found[[0, 5]] == pytest.approx(exact[2:], abs=0.01)
        assert np.abs(np.delete(found, [0, 5])).max() < 0.01


def test_decrypting_what_is_held_after_an_erasure_finds_nothing_of_the_row(
    store: Store, live: OwnerCollection, key: OwnerKey
) -> None:
    rows = {FIRST_WHOLE + at: row for at, row in enumerate(vectors(3))}
    added = batch(tuple(rows), block(key, SIDE_BLOCKS, rows))
    live.enrol(random_uid(), added)
    before = decrypted(key, SIDE_BLOCKS, next(store.blocks(live.info.uid)).ciphertexts)
    assert np.abs(before[1]).max() > 1000
    del rows[FIRST_WHOLE + 1]
    live.erase(random_uid(), added.row_ids[1:2], block(key, SIDE_BLOCKS, rows, known_epoch=1))
    (held,) = store.blocks(live.info.uid)
    after = decrypted(key, SIDE_BLOCKS, held.ciphertexts)
    assert np.abs(after[1]).max() <= MOST_ERROR
    assert np.abs(after[[0, 2]] - before[[0, 2]]).max() <= 2 * MOST_ERROR
    assert np.abs(search(live, key, vectors(3)[1])[2][1]) < 0.01


def test_rows_that_move_score_in_their_new_places_and_an_emptied_side_block_is_answered_no_more(
    store: Store, live: OwnerCollection, key: OwnerKey
) -> None:
    rows = vectors(3)
    size = LAYOUT.side.rows_per_block
    first, other = block(key, 0, {0: rows[0]}), block(key, 2, {2 * size: rows[1], 2 * size + 1: rows[2]})
    added = batch((0, 2 * size, 2 * size + 1), first, other)
    live.enrol(random_uid(), added)
    assert search(live, key, rows[1])[0].side_blocks == 3
    whole = block(key, SIDE_BLOCKS, {FIRST_WHOLE: rows[1], FIRST_WHOLE + 1: rows[2]}, known_epoch=1)
    emptied = EncryptedBlock(2, 1, b"")
    empty_ids = replace(batch((FIRST_WHOLE, FIRST_WHOLE + 1), whole, emptied), sealed_records=(), moves=True)
    moving = replace(empty_ids, row_ids=added.row_ids[1:])
    for wrong, words in (
        (replace(moving, blocks=(whole,)), "leave and come into"),
        (replace(moving, blocks=(whole, emptied, emptied)), "leave and come into"),
        (replace(moving, slots=(FIRST_WHOLE,)), "slot each"),
        (replace(moving, row_ids=added.row_ids[1:2], slots=(FIRST_WHOLE,)), "comes empty that holds rows"),
        (replace(moving, slots=(limits.MAX_SLOTS, 1)), "slot each"),
    ):
        with pytest.raises(InvalidInput, match=words):
            live.enrol(random_uid(), wrong)
    with pytest.raises(RowNotFound):
        live.enrol(random_uid(), empty_ids)
    with pytest.raises(MalformedMessage):
        live.enrol(random_uid(), replace(moving, blocks=(replace(whole, ciphertexts=b"short"), emptied)))
    request = random_uid()
    assert live.enrol(request, moving).epoch == 2
    assert live.enrol(request, moving).repeated
    for one in (live, loaded(store, store.collections()[0])):
        start, side, found = search(one, key, rows[1])
        assert (start.epoch, start.side_blocks, start.blocks) == (2, 1, 2)
        assert side[0] == pytest.approx(rows[0] @ rows[1], abs=0.01)
        assert found[:2] == pytest.approx(rows[1:] @ rows[1], abs=0.01)


def test_what_does_not_fit_is_refused_and_changes_nothing(store: Store, live: OwnerCollection, key: OwnerKey) -> None:
    row = vectors(1)[0]
    good = block(key, SIDE_BLOCKS, {FIRST_WHOLE: row})
    far, gap = replace(good, number=limits.MAX_SLOTS), replace(good, number=SIDE_BLOCKS + 1)
    for wrong, refusal in (
        (batch((FIRST_WHOLE,)), InvalidInput),
        (batch((FIRST_WHOLE,), replace(good, ciphertexts=good.ciphertexts[:-1])), MalformedMessage),
        (batch((0,), good), InvalidInput),
        (batch((FIRST_WHOLE,), good, good), InvalidInput),
        (batch((FIRST_WHOLE,), good, block(key, 0, {0: row})), InvalidInput),
        (batch((FIRST_WHOLE,), far), LimitExceeded),
        (batch((LAYOUT.slots_of(gap.number).start,), gap), InvalidInput),
        (replace(batch((FIRST_WHOLE,), good), slots=()), InvalidInput),
        (replace(batch((FIRST_WHOLE,), good), consents=(random_uid(),)), InvalidInput),
    ):
        with pytest.raises(refusal):
            live.enrol(random_uid(), wrong)
    assert live.info.epoch == 0
    assert list(store.blocks(live.info.uid)) == []


def test_erasure_needs_the_block_of_all_its_rows(live: OwnerCollection, key: OwnerKey) -> None:
    row = vectors(1)[0]
    added = batch((0, FIRST_WHOLE), block(key, 0, {0: row}), block(key, SIDE_BLOCKS, {FIRST_WHOLE: row}))
    live.enrol(random_uid(), added)
    with pytest.raises(InvalidInput):
        live.erase(random_uid(), added.row_ids[:1])
    for row_ids in (added.row_ids, added.row_ids[1:]):
        with pytest.raises(InvalidInput):
            live.erase(random_uid(), row_ids, block(key, 0, {}, known_epoch=1))
    with pytest.raises(InvalidInput):
        live.withhold(random_uid(), added.row_ids[:1])
    assert live.info.rows == 2


def test_query_of_another_packing_and_of_a_deleted_collection_is_refused(live: OwnerCollection, key: OwnerKey) -> None:
    with pytest.raises(PackingChanged):
        live.answer(LAYOUT.whole.factor * 2, b"", lambda _: None, lambda _: None, lambda: False)
    live.delete(random_uid())
    with pytest.raises(CollectionNotFound):
        search(live, key, vectors(1)[0])


def forget_block(store: Store, number: int) -> None:
    """As in data put back from before a block was written anew: its key was destroyed."""
    (place,) = (fact.key for fact in store.facts("owner block") if int.from_bytes(fact.key[16:20], "big") == number)
    store.forget_facts("owner block", place)


def test_block_that_is_gone_is_said_and_not_scored_as_zero(store: Store, live: OwnerCollection, key: OwnerKey) -> None:
    live.enrol(random_uid(), batch((0,), block(key, 0, {0: vectors(1)[0]})))
    forget_block(store, 0)
    with pytest.raises(IntegrityError, match="1 blocks"):
        search(loaded(store, store.collections()[0]), key, vectors(1)[0])


def test_block_that_is_gone_is_searched_again_once_its_owner_wrote_it(
    store: Store, live: OwnerCollection, key: OwnerKey
) -> None:
    rows = vectors(2)
    live.enrol(random_uid(), batch((0,), block(key, 0, {0: rows[0]})))
    forget_block(store, 0)
    again = loaded(store, store.collections()[0])
    again.enrol(random_uid(), batch((1,), block(key, 0, dict(enumerate(rows)), known_epoch=1)))
    assert search(again, key, rows[0])[1][:2] == pytest.approx(rows @ rows[0], abs=0.01)


def test_last_blocks_that_are_gone_with_all_their_rows_score_zero(
    store: Store, live: OwnerCollection, key: OwnerKey
) -> None:
    """Five blocks: the last one needs memory that no block before it brings."""
    firsts = [LAYOUT.slots_of(SIDE_BLOCKS + at).start for at in range(5)]
    row = vectors(1)[0]
    added = batch(tuple(firsts), *(block(key, SIDE_BLOCKS + at, {slot: row}) for at, slot in enumerate(firsts)))
    live.enrol(random_uid(), added)
    live.erase(random_uid(), added.row_ids[-1:], block(key, SIDE_BLOCKS + 4, {}, known_epoch=1))
    forget_block(store, SIDE_BLOCKS + 4)
    again = loaded(store, store.collections()[0])
    start, _, found = search(again, key, row)
    assert start.blocks == 5
    size = LAYOUT.whole.rows_per_block
    assert found[3 * size] == pytest.approx(1, abs=0.01)
    assert not found[4 * size :].any()
