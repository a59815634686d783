"""The queue on the disk: nothing accepted is lost, nothing on it can be read, nothing is taken beyond its size."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.client.dicom.objects import as_file, slice_of
from tests.client.real_server import ENVIRONMENT
from unseen.errors import ImageRefused, InvalidConfiguration, NotFound, StoreFailed
from unseen_client.gateway.queue import Queue, queue_key

KEY = queue_key(bytes(range(32)))
MANY = 1 << 30


@pytest.fixture
def queue(tmp_path: Path) -> Queue:
    return Queue(tmp_path / "queue", KEY, MANY)


def test_what_is_put_in_comes_out_the_oldest_first_until_it_is_done(queue: Queue, tmp_path: Path) -> None:
    objects = [as_file(slice_of(1, at)) for at in range(5)]
    names = [queue.put(data, "CT1") for data in objects]
    again = Queue(tmp_path / "queue", KEY, MANY)
    waiting = again.waiting()
    assert [one.name for one in waiting] == [f"{name}.0" for name in names]
    assert [one.read() for one in waiting] == objects
    assert {one.origin for one in waiting} == {"sent by CT1"}
    again.done(waiting[0].name)
    again.done(waiting[0].name)
    assert again.counts().waiting == len(queue.waiting()) == 4


def test_of_the_disk_alone_no_study_can_be_read(queue: Queue) -> None:
    data = as_file(slice_of(1))
    queue.put(data, "SENDER-OF-ROOM-4")
    queue.put(data, "SENDER-OF-ROOM-4")
    queue.refuse(queue.waiting()[0].name, "IMAGE_REFUSED", "a reason that says something")
    seen = b""
    for path in queue.folder.rglob("*"):
        assert path.stat().st_mode & 0o077 == 0
        seen += path.name.encode() + (path.read_bytes() if path.is_file() else b"")
    # Long enough that sealed bytes do not spell them by chance.
    planted = (b"DOE^JANE", b"4711-1", b"1.2.826.0.1", data[124:136], data[2000:2032])
    assert all(word in data for word in planted)
    for word in (*planted, b"SENDER-OF-ROOM-4", b"a reason that says"):
        assert word not in seen
    with pytest.raises(ImageRefused, match="another site key"):
        Queue(queue.folder, queue_key(bytes(32)), MANY).waiting()[0].read()


@pytest.mark.parametrize("at", [0, 5, 40, -1])
def test_an_altered_object_is_refused_and_so_is_one_under_anothers_name(queue: Queue, at: int) -> None:
    queue.put(as_file(slice_of(1)), "CT1")
    queue.put(as_file(slice_of(2)), "CT1")
    first, second = (queue.folder / "waiting" / one.name for one in queue.waiting())
    altered = bytearray(first.read_bytes())
    altered[at] ^= 1
    moved = second.read_bytes()
    first.write_bytes(altered)
    with pytest.raises(ImageRefused, match="altered"):
        queue.waiting()[0].read()
    first.write_bytes(moved)
    with pytest.raises(ImageRefused, match="altered"):
        queue.waiting()[0].read()


def test_a_full_queue_takes_nothing_and_takes_again_when_there_is_room(tmp_path: Path) -> None:
    data = as_file(slice_of(1))
    queue = Queue(tmp_path / "queue", KEY, 3 * len(data))
    queue.put(data, "CT1")
    queue.put(data, "CT1")
    with pytest.raises(StoreFailed, match="full"):
        queue.put(data, "CT1")
    queue.done(queue.waiting()[0].name)
    Queue(tmp_path / "queue", KEY, 3 * len(data)).put(data, "CT1")
    assert queue.counts().refused == 0
    assert len(queue.waiting()) == 2


def test_quarantine_keeps_the_object_and_the_reason_until_somebody_decides(queue: Queue) -> None:
    data = as_file(slice_of(3))
    for _ in range(2):
        queue.put(data, "CT1")
    first, second = queue.waiting()
    queue.refuse(first.name, "IMAGE_REFUSED", "the file is cut short")
    queue.refuse(second.name, "IMAGE_REFUSED", "text was still found")
    assert queue.waiting() == []
    found = list(queue.refused())
    assert [(one.reason, one.sender, one.size_bytes) for one in found] == [
        ("the file is cut short", "CT1", len(data)),
        ("text was still found", "CT1", len(data)),
    ]
    queue.release(found[0].name)
    queue.drop(found[1].name)
    assert (list(queue.refused()), [one.read() for one in queue.waiting()]) == ([], [data])
    for wrong in (found[1].name, f"../waiting/{queue.waiting()[0].name}", f"{found[0].name}.reason", ""):
        with pytest.raises(NotFound):
            queue.drop(wrong)


def test_what_was_being_written_when_a_process_died_was_not_accepted_and_is_swept_away(tmp_path: Path) -> None:
    """The process is killed in the middle of putting objects in; each that it told of is there, whole."""
    code = f"""
import sys
from pathlib import Path
from unseen_client.gateway.queue import Queue
queue = Queue(Path({str(tmp_path / "queue")!r}), {KEY!r}, {MANY})
while True:
    print(queue.put(bytes(128) + b"DICM" + bytes(300_000), "CT1"), flush=True)
"""
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env=ENVIRONMENT)
    assert process.stdout is not None
    told = [process.stdout.readline().strip() for _ in range(5)]
    process.kill()
    told += process.communicate()[0].split()
    queue = Queue(tmp_path / "queue", KEY, MANY)
    queue.sweep()
    waiting = queue.waiting()
    assert {one.name.partition(".")[0] for one in waiting} >= set(told)
    assert {len(one.read()) for one in waiting} == {300_132}
    assert not list((queue.folder / "waiting").glob(".*"))


def test_files_that_somebody_put_beside_the_objects_are_none(queue: Queue) -> None:
    name = queue.put(as_file(slice_of(1)), "CT1")
    before = queue.counts()
    for folder in ("waiting", "refused"):
        for stray in ("README", "1.0", f"{name}.0~", f"{name}.x", "lost+found"):
            (queue.folder / folder / stray).write_text("anything")
        (queue.folder / folder / ".snapshot").mkdir()
    queue.sweep()
    for stray in (name, f"{name}.reason"):  # moved back by hand: names that only the other folder has
        (queue.folder / "waiting" / stray).write_text("anything")
    (queue.folder / "refused" / f"{name}.0").write_text("anything")
    assert [one.name for one in queue.waiting()] == [f"{name}.0"]
    assert (queue.counts(), list(queue.refused())) == (before, [])
    with pytest.raises(NotFound):
        queue.drop("README")


def test_a_disk_that_fails_is_waited_for_and_never_an_objects_fault(queue: Queue) -> None:
    name = queue.put(as_file(slice_of(1)), "CT1")
    (queue.folder / "waiting").rename(queue.folder / "gone")
    for use in (queue.waiting, queue.counts, lambda: queue.put(b"", "CT1"), lambda: queue.tried(f"{name}.0", 1)):
        with pytest.raises(StoreFailed, match="cannot"):
            use()


def test_objects_that_come_at_once_take_no_more_than_there_is_room_for(tmp_path: Path) -> None:
    data = as_file(slice_of(1))
    queue = Queue(tmp_path / "queue", KEY, 3 * len(data))
    queue.put(data, "CT1")

    def put(_: int) -> bool:
        try:
            queue.put(data, "CT1")
        except StoreFailed:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(put, range(8))) == 1
    assert len(queue.waiting()) == 2


def test_a_count_that_failed_makes_no_room(tmp_path: Path) -> None:
    data = as_file(slice_of(1))
    queue = Queue(tmp_path / "queue", KEY, 3 * len(data))
    for _ in range(2):
        queue.put(data, "CT1")
    again = Queue(tmp_path / "queue", KEY, 3 * len(data))
    (queue.folder / "refused").rename(queue.folder / "gone")
    with pytest.raises(StoreFailed, match="cannot"):
        again.put(data, "CT1")
    (queue.folder / "gone").rename(queue.folder / "refused")
    with pytest.raises(StoreFailed, match="full"):
        again.put(data, "CT1")


def test_a_folder_that_others_can_reach_is_refused(tmp_path: Path) -> None:
    (tmp_path / "queue").mkdir()
    (tmp_path / "queue").chmod(0o755)
    with pytest.raises(InvalidConfiguration, match="755"):
        Queue(tmp_path / "queue", KEY, MANY)
