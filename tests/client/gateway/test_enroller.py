"""The enroller: everything accepted ends as rows or in quarantine, whatever one object, the server or a crash does."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path

import pytest

from tests.client.real_server import ENVIRONMENT
from unseen.errors import ConsentNotValid, KeyMissing, ServerUnavailable, StoreFailed, UnseenError
from unseen_client.gateway import enroller as enroller_module
from unseen_client.gateway.enroller import IN_HAND, MOST_TRIES, Enroller
from unseen_client.gateway.queue import Queue, QueuedObject
from unseen_client.report import DicomEnrolReport, Refusal

KEY = bytes(range(32))


class Server:
    """Takes what it is given and refuses what says so, as ``Client.enrol_dicom`` would."""

    def __init__(self) -> None:
        self.taken: Counter[bytes] = Counter()
        self.batches: list[int] = []
        self.down: UnseenError | None = None

    def enrol(self, batch: list[QueuedObject]) -> DicomEnrolReport:
        self.batches.append(len(batch))
        if self.down is not None:
            raise self.down
        refused = []
        for one in batch:
            data = one.read()
            if data == b"refuse":
                refused.append(Refusal(one.name, "IMAGE_REFUSED", "it says so"))
            elif data == b"crash":
                raise ZeroDivisionError
            elif data == b"no consent":
                raise ConsentNotValid("the subject has withdrawn")
        for one in batch:
            self.taken[one.read()] += 1
        return DicomEnrolReport((), (), tuple(refused), 0)


@pytest.fixture
def queue(tmp_path: Path) -> Queue:
    return Queue(tmp_path / "queue", KEY, 1 << 30)


def drained(queue: Queue, server: Server) -> Enroller:
    enroller = Enroller(queue, server.enrol)
    enroller._alone = enroller._left_in_hand()
    while enroller.step():
        pass
    return enroller


def test_one_object_that_fails_stops_no_other_and_is_kept_with_its_reason(
    queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(enroller_module, "OBJECTS_PER_BATCH", 10)
    server = Server()
    for at in range(40):
        queue.put(b"%d" % at, "CT1")
        if at in {3, 20, 21}:
            queue.put({3: b"crash", 20: b"refuse", 21: b"no consent"}[at], "CT1")
    enroller = drained(queue, server)
    assert (queue.waiting(), enroller.work.refused, enroller._alone) == ([], 3, set())
    assert all(server.taken[b"%d" % at] >= 1 for at in range(40))
    assert sorted(one.reason for one in queue.refused()) == [
        "it says so",
        "the gateway failed on this object with ZeroDivisionError",
        "the subject has withdrawn",
    ]
    assert not (queue.folder / IN_HAND).exists()


def test_a_mark_of_what_is_in_hand_that_cannot_be_removed_costs_no_object(queue: Queue) -> None:
    queue.put(b"1", "CT1")
    server = Server()

    def enrol(batch: list[QueuedObject]) -> DicomEnrolReport:
        (queue.folder / IN_HAND).unlink()
        (queue.folder / IN_HAND).mkdir()
        return server.enrol(batch)

    enroller = Enroller(queue, enrol)
    assert enroller.step()
    assert (queue.waiting(), list(queue.refused()), enroller.work.enrolled) == ([], [], 1)
    assert not enroller.step()


def test_a_mark_of_what_was_in_hand_that_cannot_be_read_is_waited_for_and_a_damaged_one_names_nothing(
    queue: Queue,
) -> None:
    enroller, mark = Enroller(queue, Server().enrol), queue.folder / IN_HAND
    for damaged in (b"{", b"7", b"\xff"):
        mark.write_bytes(damaged)
        assert enroller._left_in_hand() == set()
    mark.unlink()
    mark.mkdir()
    with pytest.raises(StoreFailed, match=r"cannot use .*; look at its disk"):
        enroller._left_in_hand()


@pytest.mark.parametrize("error", [ServerUnavailable("down"), KeyMissing("no key"), StoreFailed("disk full")])
def test_what_is_no_objects_fault_is_waited_for_and_costs_none_of_them(
    queue: Queue, error: UnseenError, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(enroller_module, "SHORTEST_PAUSE_S", 0.001)
    server, stop = Server(), threading.Event()
    server.down = error
    for at in range(3):
        queue.put(b"%d" % at, "CT1")
    (queue.folder / IN_HAND).write_text(f'["{queue.waiting()[0].name.partition(".")[0]}"]')
    enroller = Enroller(queue, server.enrol)
    thread = threading.Thread(target=enroller.run, args=(stop,))
    thread.start()
    try:
        while len(server.batches) < MOST_TRIES + 2:
            stop.wait(0.01)
        assert enroller.work.waiting_for == error.code
        assert len(queue.waiting()) == 3
        server.down = None
        while queue.waiting():
            stop.wait(0.01)
    finally:
        stop.set()
        thread.join()
    assert (list(queue.refused()), server.taken.total(), enroller.work.waiting_for) == ([], 3, "")


DYING = """
import os, sys
from pathlib import Path
from unseen_client.gateway import enroller as enroller_module
from unseen_client.gateway.enroller import Enroller
from unseen_client.gateway.queue import Queue
from unseen_client.report import DicomEnrolReport

enroller_module.MOST_TRIES = 2

def enrol(batch):
    for one in batch:
        if one.read() == b"kills":
            os._exit(9)
    with open(sys.argv[2], "ab") as file:
        file.writelines(one.read() + b"\\n" for one in batch)
    return DicomEnrolReport((), (), (), 0)

enroller = Enroller(Queue(Path(sys.argv[1]), bytes(range(32)), 1 << 30), enrol)
enroller._alone = enroller._left_in_hand()
while enroller.step():
    pass
"""


def test_an_object_that_ends_the_process_again_and_again_goes_alone_and_is_given_up(
    queue: Queue, tmp_path: Path
) -> None:
    for data in (b"before", b"kills", b"behind"):
        queue.put(data, "CT1")
    lives = 0
    while queue.waiting():
        lives += 1
        command = [sys.executable, "-c", DYING, str(queue.folder), str(tmp_path / "taken")]
        process = subprocess.run(command, env=ENVIRONMENT, timeout=60)
        assert process.returncode in {0, 9}
        assert lives <= 4
    assert (tmp_path / "taken").read_bytes().split() == [b"before", b"behind"]
    (refused,) = queue.refused()
    assert (refused.code, "2 times" in refused.reason) == ("GAVE_UP", True)
