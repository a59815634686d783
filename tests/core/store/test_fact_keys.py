"""Facts that have a key of their own: forgotten, no older copy of the data brings them back with today's keys."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.key_rings import rings_beside
from unseen.entropy import random_uid
from unseen.errors import InvalidConfiguration, RequestReplayed
from unseen.store import facts
from unseen.store.durable import DurableStore
from unseen.store.examination import Report, examine
from unseen.store.interface import Fact, NewCollection
from unseen.store.recovery import Recovery
from unseen.store.sealing import FACTS_UID
from unseen.store.sqlite import FILE_NAME, SqliteStore
from unseen.store.sqlite_examination import examine_file
from unseen.types import RowBatch

MakeBatch = Callable[..., RowBatch]
MakeNew = Callable[..., NewCollection]
OpenStore = Callable[[], DurableStore]
BODY = b"who agreed to what, and when"


class Crash(BaseException):
    """The process is gone."""


def opened(data: Path) -> SqliteStore:
    return SqliteStore(data, rings_beside(data))


def keep(store: DurableStore, key: bytes, body: bytes = BODY, kind: str = "consent") -> Fact:
    return store.append_fact(kind, key, body, own_key=True)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    (tmp_path / "data").mkdir()
    return tmp_path / "data"


def test_they_are_written_read_repeated_and_forgotten_as_others_are(open_store: OpenStore) -> None:
    store, request_id = open_store(), random_uid()
    first = store.append_fact("consent", b"a", BODY, request_id, own_key=True)
    assert store.append_fact("consent", b"a", BODY, request_id, own_key=True) == first
    plain, second = store.append_fact("consent", b"a", b"plain"), keep(store, b"b", b"")
    assert store.facts("consent") == (first, plain, second)
    ended = keep(store, b"a", b"ended", kind="consent-end")
    assert store.forget_facts(("consent", "consent-end"), b"a", b"nobody") == 3
    with pytest.raises(RequestReplayed):
        store.append_fact("consent", b"a", BODY, request_id, own_key=True)
    store.close()
    again = open_store()
    assert again.recovery == Recovery()
    assert (again.facts("consent"), again.facts("consent-end")) == ((second,), ())
    assert keep(again, b"a").sequence == ended.sequence + 1


def test_every_one_has_a_key_of_its_own(open_store: OpenStore) -> None:
    store = open_store()
    for _ in range(20):
        keep(store, b"a")
    with store._database.reading() as tx:
        found = [facts.own_key(cell) for (cell,) in tx.fetch("SELECT sealed FROM facts WHERE kind = 'consent'")]
    assert len(set(found)) == 20
    (tree_id,) = store.ring.trees_of(FACTS_UID)
    assert all(own is not None and own[0] == tree_id for own in found)


def test_forgotten_one_does_not_come_back_with_a_copy_from_before(data: Path, tmp_path: Path) -> None:
    store = opened(data)
    gone, kept = keep(store, b"a"), keep(store, b"b")
    plain = store.append_fact("policy", b"a", b"not about a person")
    store.close()
    shutil.copytree(data, tmp_path / "copy")
    shutil.copytree(rings_beside(data).folder, tmp_path / "older-rings")
    store = opened(data)
    store.forget_facts("consent", b"a")
    store.close()
    shutil.rmtree(data)
    shutil.copytree(tmp_path / "copy", data)
    restored = opened(data)
    assert restored.recovery == Recovery(forgotten_facts=1)
    assert (restored.facts("consent"), restored.facts("policy")) == ((kept,), (plain,))
    assert keep(restored, b"a").sequence == plain.sequence + 1
    restored.close()
    assert opened(data).recovery == Recovery()
    # Whoever has both copies, that of the data and that of the ring, undoes it: the copy was whole.
    shutil.rmtree(rings_beside(data).folder)
    shutil.copytree(tmp_path / "older-rings", rings_beside(data).folder)
    shutil.copytree(tmp_path / "copy", tmp_path / "data-2")
    with_both = SqliteStore(tmp_path / "data-2", rings_beside(data))
    assert with_both.facts("consent") == (gone, kept)
    with_both.close()


def test_forgetting_that_a_crash_cut_short_is_finished_at_the_next_opening(
    open_store: OpenStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_store()
    kept = keep(store, b"b")
    keep(store, b"a")

    def crash(*_: object) -> None:
        raise Crash

    with monkeypatch.context() as patch:
        patch.setattr(facts, "_zero", crash)
        with pytest.raises(Crash):
            store.forget_facts("consent", b"a")
    store.close()
    store = open_store()
    assert store.recovery == Recovery(forgotten_facts=1)
    assert store.facts("consent") == (kept,)


def test_ring_from_before_the_first_one_is_refused(data: Path, tmp_path: Path) -> None:
    store = opened(data)
    store.close()
    folder = rings_beside(data).folder
    shutil.copytree(folder, tmp_path / "older")
    store = opened(data)
    keep(store, b"a")
    store.close()
    shutil.rmtree(folder)
    shutil.copytree(tmp_path / "older", folder)
    with pytest.raises(InvalidConfiguration, match="is older than the data"):
        opened(data)


def test_ring_from_before_one_was_forgotten_is_cut_again(data: Path, tmp_path: Path) -> None:
    store, folder = opened(data), rings_beside(data).folder
    keep(store, b"a", b"")
    kept = keep(store, b"b")
    with store._database.reading() as tx:
        own = [facts.own_key(cell) for (cell,) in tx.fetch("SELECT sealed FROM facts ORDER BY sequence")]
    store.close()
    shutil.copytree(data, tmp_path / "copy")
    shutil.copytree(folder, tmp_path / "older")
    store = opened(data)
    store.forget_facts("consent", b"a")
    store.close()
    shutil.rmtree(folder)
    shutil.copytree(tmp_path / "older", folder)
    report = examine_file(data / FILE_NAME, rings_beside(data))
    assert report.findings == []
    assert "facts: 1 forgotten ones could still be opened: their keys are in the ring" in report.notes
    store = opened(data)
    assert store.recovery == Recovery(repeated_fact_cuts=1)
    assert store.facts("consent") == (kept,)
    assert [one is not None and facts.is_held(store._seals, one) for one in own] == [False, True]
    store.close()
    assert opened(data).recovery == Recovery()
    # Nor does a copy of the data from before bring it back now, as with any ring from after the forgetting.
    with_older_data = SqliteStore(tmp_path / "copy", rings_beside(data))
    assert with_older_data.recovery == Recovery(forgotten_facts=1)
    assert with_older_data.facts("consent") == (kept,)


def test_examination_tells_of_a_forgotten_one_whose_key_is_in_a_ring_that_is_in_step(data: Path) -> None:
    store = opened(data)
    keep(store, b"a")
    with store._database.changing() as tx:
        facts._zero(tx, [1])
        found = Report()
        examine(tx, rings_beside(data), found)
    store.close()
    assert [(one.where, one.what) for one in found.findings] == [
        ("facts", "1 forgotten ones could still be opened: their keys are in the ring")
    ]


def test_they_open_after_the_keys_of_rows_were_renewed(
    open_store: OpenStore, new_collection: MakeNew, make_batch: MakeBatch
) -> None:
    store = open_store()
    uid = store.create(random_uid(), new_collection()).info.uid
    store.enrol(random_uid(), uid, make_batch(3))
    fact = keep(store, uid)
    store.renew_keys(uid)
    store.close()
    again = open_store()
    assert again.facts("consent") == (fact,)
    again.delete(random_uid(), uid)
    assert again.facts("consent") == (fact,)


def test_examination_knows_one_that_was_forgotten_since_from_one_that_is_damaged(data: Path, tmp_path: Path) -> None:
    store = opened(data)
    keep(store, b"a")
    keep(store, b"b")
    store.close()
    shutil.copytree(data, tmp_path / "copy")
    store = opened(data)
    store.forget_facts("consent", b"a")
    store.close()
    assert examine_file(data / FILE_NAME, rings_beside(data)).findings == []
    report = examine_file(tmp_path / "copy" / FILE_NAME, rings_beside(data))
    assert report.findings == []
    assert "facts: 1 were forgotten since" in report.notes
    store = opened(data)
    with store._database.changing() as tx:
        cell = tx.fetch("SELECT sealed FROM facts WHERE sequence = 2")[0][0]
        tx.overwrite("facts", "sequence", [(2, cell[:-1] + bytes([cell[-1] ^ 1]))])
        damaged = Report()
        examine(tx, rings_beside(data), damaged)
    store.close()
    assert [(one.where, one.what) for one in damaged.findings] == [("facts", "number 2 does not open")]
