"""The mirror: whole streams or nothing, the same answers from memory and from file, ranking as numpy ranks."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import stat
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unseen.errors import IntegrityError, InvalidConfiguration, StoreFailed
from unseen.types import CatalogueEntry
from unseen_client.mirror import Mirror


def row(number: int) -> bytes:
    return number.to_bytes(16, "big")


def entry(number: int, slot: int, epoch: int) -> CatalogueEntry:
    return CatalogueEntry(row(number), slot, epoch, b"sealed-%d" % number)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "mirrors" / "one.sqlite"


@pytest.fixture
def mirror(path):
    one = Mirror(path)
    yield one
    one.close()


def scores(*values):
    return np.array(values, np.float32)


def test_best_rows_come_first_and_ties_by_slot(mirror):
    mirror.apply(0, 1, [], [entry(slot, slot, 1) for slot in range(6)])
    best = mirror.best(scores(0.1, 0.9, 0.5, 0.9, -1, 0.5), 1, 4)
    assert [hit.row_id for hit in best] == [row(1), row(3), row(2), row(5)]
    assert [hit.score for hit in best] == pytest.approx([0.9, 0.9, 0.5, 0.5])
    assert best[0].sealed_record == b"sealed-1"


def test_rows_newer_than_the_reply_erased_rows_and_padding_are_left_out(mirror):
    mirror.apply(0, 2, [], [entry(0, 0, 1), entry(1, 1, 2), entry(2, 2, 1)])
    mirror.apply(2, 3, [row(2)], [])
    assert [hit.row_id for hit in mirror.best(scores(0.1, 0.9, 0.8, 0.7), 1, 9)] == [row(0)]


def test_slots_are_those_of_the_rows_that_are_there(mirror):
    mirror.apply(0, 1, [], [entry(number, 3 - number, 1) for number in range(4)])
    assert mirror.slots([row(0), row(9), row(2)]) == [3, 1]


def test_live_slots_are_those_that_best_ranks(mirror):
    mirror.apply(0, 2, [], [entry(0, 0, 1), entry(1, 1, 2), entry(2, 2, 1), entry(3, 4, 1)])
    mirror.apply(2, 3, [row(2)], [])
    assert mirror.live(scores(1, 1, 1, 1, 1), 1).tolist() == [0, 4]
    assert mirror.live(scores(1, 1, 1, 1, np.nan), 2).tolist() == [0, 1]
    assert mirror.live(scores(1), 4) is None


def test_fewer_scores_than_slots_is_fine(mirror):
    mirror.apply(0, 1, [], [entry(slot, slot, 1) for slot in range(4)])
    assert [hit.row_id for hit in mirror.best(scores(1, 2), 1, 9)] == [row(1), row(0)]


def test_a_stream_for_another_epoch_is_not_applied(mirror):
    assert mirror.apply(0, 2, [], [entry(0, 0, 1)])
    assert not mirror.apply(1, 3, [row(0)], [])
    assert (mirror.epoch, mirror.rows) == (2, 1)


def test_a_stream_that_breaks_while_it_is_applied_leaves_everything_as_it_was(mirror):
    mirror.apply(0, 1, [], [entry(0, 0, 1)])

    def breaking():
        yield entry(1, 1, 2)
        raise ValueError("cut")

    with pytest.raises(ValueError, match="cut"):
        mirror.apply(1, 2, [row(0)], breaking())
    assert (mirror.epoch, mirror.rows, mirror.has([row(0), row(1)])) == (1, 1, {row(0)})
    assert [hit.row_id for hit in mirror.best(scores(1, 2), 1, 9)] == [row(0)]


def test_a_row_erased_and_enrolled_again_in_one_stream_is_there_in_its_new_slot(mirror):
    mirror.apply(0, 1, [], [entry(0, 0, 1), entry(1, 1, 1)])
    mirror.apply(1, 3, [row(0)], [entry(0, 5, 3)])
    assert [hit.row_id for hit in mirror.best(scores(9, 1, 0, 0, 0, 2), 3, 9)] == [row(0), row(1)]
    assert mirror.rows == 2


def test_a_row_that_a_server_names_at_two_slots_is_there_once(mirror):
    for since, more in ((0, {}), (1, {}), (2, {"replace_all": True})):
        assert mirror.apply(since, since + 1, [], [entry(7, 1, since + 1), entry(7, 2, since + 1)], **more)
        assert [hit.slot for hit in mirror.best(np.ones(3, np.float32), since + 1, 5)] == [2]
        assert mirror.rows == 1


def test_what_is_forgotten_with_a_row_is_forgotten_before_the_row(mirror):
    mirror.apply(0, 1, [], [entry(number, number, 1) for number in range(3)])
    changes = 1, 2, [row(0), row(1)], [entry(1, 3, 2)]

    def failing(gone):
        raise OSError(len(gone))

    with pytest.raises(OSError, match="1"):
        mirror.apply(*changes, forget=failing)
    assert (mirror.epoch, mirror.rows) == (1, 3)
    gone: list[bytes] = []
    assert mirror.apply(*changes, forget=gone.extend)
    assert (mirror.epoch, mirror.rows, gone) == (2, 2, [row(0)])
    assert not mirror.apply(*changes, forget=failing), "another was faster, and forgot them"


def test_slots_that_no_memory_could_hold_are_refused(mirror):
    with pytest.raises(IntegrityError, match="slot"):
        mirror.apply(0, 1, [], [entry(0, 1 << 31, 1)])
    assert mirror.epoch == 0


def test_everything_is_there_after_opening_again(mirror, path):
    mirror.apply(0, 7, [], [entry(slot, slot, 1 + slot) for slot in range(5)])
    mirror.close()
    again = Mirror(path)
    assert (again.epoch, again.rows) == (7, 5)
    assert again.sealed_record(row(3)) == b"sealed-3"
    assert again.sealed_record(row(9)) is None
    assert [hit.row_id for hit in again.best(scores(0, 1, 2, 3, 4), 3, 2)] == [row(2), row(1)]
    again.close()


def test_another_process_that_wrote_is_noticed(mirror, path):
    """Two mirrors of one file stand for two processes: SQLite keeps them apart in the same way."""
    other = Mirror(path)
    other.apply(0, 1, [], [entry(0, 0, 1)])
    assert (mirror.epoch, mirror.rows) == (1, 1)
    mirror.apply(1, 2, [], [entry(1, 1, 2)])
    assert [hit.row_id for hit in other.best(scores(1, 2), 2, 9)] == [row(1), row(0)]
    assert not other.apply(1, 2, [], [entry(5, 5, 2)])
    other.close()


def test_a_row_that_another_process_saw_moving_says_since_when_replies_are_too_old(mirror, path):
    mirror.apply(0, 1, [], [entry(0, 0, 1)])
    with contextlib.closing(Mirror(path)) as other:
        other.apply(1, 2, [], [entry(1, 1, 2)])
        assert other.moved_epoch <= 1, "nothing moved"
        other.apply(2, 3, [], [entry(0, 5, 3)])
        assert other.moved_epoch == 3
    assert mirror.moved_epoch == 3


def test_opening_sees_one_moment_of_the_file(mirror, path, monkeypatch):
    """Another process commits between the statements of opening: its rows are all there or none of them is."""
    mirror.apply(0, 1, [], [entry(0, 0, 1), entry(1, 1, 1)])
    mirror._database.execute("PRAGMA busy_timeout = 0")
    stored_epoch, tried = Mirror._stored_epoch, []

    def meanwhile(self):
        if not tried:
            tried.append(True)
            with contextlib.suppress(StoreFailed):  # the file may be held: then it is written later
                mirror.apply(1, 2, [row(0)], [entry(2, 2, 2)])
        return stored_epoch(self)

    monkeypatch.setattr(Mirror, "_stored_epoch", meanwhile)
    opened = Mirror(path)
    expected = {1: [row(0), row(1)], 2: [row(1), row(2)]}[opened.epoch]
    assert sorted(hit.row_id for hit in opened.best(scores(3, 2, 1), opened.epoch, 9)) == expected
    opened.close()


def test_a_copy_behind_a_reply_ranks_nothing(mirror):
    mirror.apply(0, 1, [], [entry(0, 0, 1)])
    assert mirror.best(scores(1), 2, 9) is None


def test_starting_over_is_whole_or_nothing(mirror):
    mirror.apply(0, 9, [], [entry(0, 0, 1), entry(5, 5, 9)])

    def breaking():
        yield entry(1, 1, 1)
        raise OSError

    with pytest.raises(OSError):
        mirror.apply(9, 4, [], breaking(), replace_all=True)
    assert (mirror.epoch, mirror.rows) == (9, 2)
    assert mirror.apply(9, 4, [], [entry(0, 1, 2), entry(1, 0, 3)], replace_all=True)
    assert (mirror.epoch, mirror.rows) == (4, 2)
    assert [hit.row_id for hit in mirror.best(scores(2, 1), 4, 9)] == [row(1), row(0)]


def test_the_file_is_for_its_owner_alone(mirror, path):
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    mirror.close()
    path.chmod(0o644)
    with pytest.raises(InvalidConfiguration, match="chmod 600"):
        Mirror(path)


def test_a_file_that_is_no_mirror_says_it_may_be_deleted(tmp_path):
    folder = tmp_path / "mirrors"
    folder.mkdir(mode=0o700)
    (folder / "bad.sqlite").write_bytes(b"not a database" * 100)
    (folder / "bad.sqlite").chmod(0o600)
    with pytest.raises(StoreFailed, match="delete the file"):
        Mirror(folder / "bad.sqlite")


def test_erased_records_leave_no_bytes_in_the_file(mirror, path):
    mirror.apply(0, 1, [], [CatalogueEntry(row(0), 0, 1, b"needle" * 50), entry(1, 1, 1)])
    assert b"needle" in path.read_bytes()
    mirror.apply(1, 2, [row(0)], [])
    assert b"needle" not in path.read_bytes()


def test_a_killed_process_leaves_the_epoch_before_or_after(path, tmp_path):
    """Killed in the middle of a transaction: SQLite's journal brings the file back."""
    code = f"""
import os, signal
from pathlib import Path
from unseen.types import CatalogueEntry
from unseen_client.mirror import Mirror
mirror = Mirror(Path({str(path)!r}))
mirror.apply(0, 1, [], [CatalogueEntry(bytes(16), 0, 1, b"x")])
def entries():
    for number in range(1, 5000):
        yield CatalogueEntry(number.to_bytes(16, "big"), number, 2, bytes(2000))
    os.kill(os.getpid(), signal.SIGKILL)
mirror.apply(1, 2, [], entries())
"""
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}, check=False
    )
    assert done.returncode == -9
    mirror = Mirror(path)
    assert (mirror.epoch, mirror.rows) == (1, 1)
    mirror.close()


@given(
    st.lists(
        st.tuples(
            st.lists(st.integers(0, 30), max_size=5, unique=True), st.lists(st.integers(0, 30), max_size=5, unique=True)
        ),
        max_size=8,
    ),
    st.lists(st.integers(-3, 3), min_size=31, max_size=31),
    st.integers(1, 8),
)
@settings(max_examples=40, deadline=None)
def test_any_history_ranks_as_a_plain_dictionary_does(tmp_path_factory, history, values, top_k):
    mirror = Mirror(tmp_path_factory.mktemp("any") / "m" / "one.sqlite")
    live: dict[int, tuple[int, int]] = {}
    for epoch, (erased, added) in enumerate(history, 1):
        for number in erased:
            live.pop(number, None)
        free = [slot for slot in range(31) if slot not in {slot for slot, _ in live.values()}]
        new = [number for number in added if number not in live]
        live |= {number: (slot, epoch) for number, slot in zip(new, free, strict=False)}
        assert mirror.apply(
            epoch - 1, epoch, map(row, erased), [entry(number, *live[number]) for number in new if number in live]
        )
    for reply_epoch in range(len(history) + 1):
        eligible = [(-values[slot], slot, number) for number, (slot, epoch) in live.items() if epoch <= reply_epoch]
        expected = [row(number) for _, _, number in sorted(eligible)[:top_k]]
        assert [hit.row_id for hit in mirror.best(scores(*values), reply_epoch, top_k)] == expected
    assert [name for name, _ in mirror.page(-1, 0)] == [
        row(number) for _, number in sorted(((epoch, slot), number) for number, (slot, epoch) in live.items())
    ]
    mirror.close()
    with sqlite3.connect(mirror._path) as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    database.close()
