"""The quarantine's bounds: what is too old goes, the oldest of too much goes, and nothing else."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.waiting import until
from unseen.errors import InvalidInput, StoreFailed
from unseen_client.gateway.enroller import Enroller
from unseen_client.gateway.quarantine import DAY_S, DEFAULT_BYTES, NAME, Bounds, Held
from unseen_client.gateway.queue import Queue
from unseen_client.report import DicomEnrolReport

NOW_S = 1_800_000_000.0


def refused(folder: Path, ages_days: list[float], size: int = 1000) -> tuple[Queue, list[str]]:
    """A queue whose quarantine holds an object refused so long ago, for each of them; and their names."""
    queue = Queue(folder / "queue", bytes(32), 1 << 30)
    names = [queue.put(bytes(size), "CT1") for _ in ages_days]
    for name, age in zip(names, ages_days, strict=True):
        queue.refuse(f"{name}.0", "IMAGE_REFUSED", "it says so")
        at_s = NOW_S - age * DAY_S
        os.utime(queue.folder / "refused" / f"{name}.reason", (at_s, at_s))
    return queue, names


def test_what_is_too_old_is_destroyed_with_its_reason_and_the_others_stay(tmp_path: Path) -> None:
    queue, names = refused(tmp_path, [1, 8, 6.9, 7.1])
    assert queue.expire(Bounds(days=7), NOW_S) == 2
    assert {one.name for one in queue.refused()} == {names[0], names[2]}
    assert {path.name.partition(".")[0] for path in (queue.folder / "refused").iterdir()} == {names[0], names[2]}
    assert [one.refused_at_s for one in queue.refused() if one.name == names[0]] == [NOW_S - DAY_S]
    assert queue.expire(Bounds(days=7), NOW_S) == 0


def test_of_too_much_the_oldest_is_destroyed_whatever_came_first(tmp_path: Path) -> None:
    queue, names = refused(tmp_path, [1, 5, 3])
    each = queue.counts().size_bytes // 3
    assert queue.expire(Bounds(most_bytes=2 * each + each // 2), NOW_S) == 1
    assert {one.name for one in queue.refused()} == {names[0], names[2]}
    queue.put(b"waits", "CT1")
    assert queue.expire(Bounds(most_bytes=1), NOW_S) == 2
    assert (list(queue.refused()), len(queue.waiting())) == ([], 1)


def test_a_gateway_destroys_while_it_works_and_counts_it(tmp_path: Path) -> None:
    queue, _ = refused(tmp_path, [10_000, 10_000])
    enroller = Enroller(queue, lambda _: DicomEnrolReport((), (), (), 0), Bounds(days=1))
    stop = threading.Event()
    working = threading.Thread(target=enroller.run, args=(stop,))
    working.start()
    try:
        until("both are destroyed", lambda: enroller.work.destroyed == 2)
    finally:
        stop.set()
        working.join()
    assert queue.counts().refused == 0


@given(
    st.lists(st.tuples(st.integers(0, 50), st.integers(0, 20)), max_size=20), st.integers(1, 30), st.integers(1, 200)
)
def test_what_goes_is_what_trying_one_after_the_other_finds(
    held: list[tuple[int, int]], days: int, most_bytes: int
) -> None:
    objects = [Held(str(at), size, NOW_S - age * DAY_S) for at, (age, size) in enumerate(held)]
    left = list(objects)
    while left and (
        any(NOW_S - one.refused_at_s > days * DAY_S for one in left) or sum(one.size_bytes for one in left) > most_bytes
    ):
        left.remove(min(left, key=lambda one: one.refused_at_s))
    gone = Bounds(days, most_bytes).beyond(objects, NOW_S)
    assert sorted(gone) == sorted(one.name for one in objects if one not in left)


def test_whoever_lists_the_quarantine_knows_the_bounds_of_the_gateway(tmp_path: Path) -> None:
    assert Bounds.read(tmp_path) == Bounds(90, DEFAULT_BYTES)
    Bounds(2.5, 7).write(tmp_path)
    assert Bounds.read(tmp_path) == Bounds(2.5, 7)
    for wrong in ("[]", f'{{"days": 1{"0" * 400}, "most_bytes": 7}}', '{"days": 1, "most_bytes": 1e999}'):
        (tmp_path / NAME).write_text(wrong)
        assert Bounds.read(tmp_path) == Bounds()
    (tmp_path / NAME).unlink()
    (tmp_path / NAME).mkdir()
    with pytest.raises(StoreFailed):
        Bounds.read(tmp_path)


@pytest.mark.parametrize(("days", "most_bytes"), [(0, 1), (float("nan"), 1), (1e9, 1), (1, 0)])
def test_bounds_that_keep_nothing_are_refused(days: float, most_bytes: int) -> None:
    with pytest.raises(InvalidInput, match="expected more than 0"):
        Bounds(days, most_bytes)
