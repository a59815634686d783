"""The log on disk: what was appended comes back, damage is noticed, a torn end that nobody was told of is cut off."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.core.audit.conftest import ORIGIN, PUBLIC_KEY, TestSigner
from unseen.audit import log as log_module
from unseen.audit import tree
from unseen.audit.examination import LogExamination, examine_log
from unseen.audit.frames import Frame
from unseen.audit.head import open_head
from unseen.audit.leaf import DONE, Details, Leaf, text_of_time, time_of
from unseen.audit.log import Log
from unseen.audit.proof import verify_consistency, verify_inclusion
from unseen.envelope import SealingKey
from unseen.errors import AuditUnavailable, IntegrityError, InvalidConfiguration, StoreFailed, UnseenError

OpenLog = Callable[..., Log]


def leaves_of(count: int, start: int = 0) -> list[bytes]:
    return [f"leaf {at}".encode() for at in range(start, start + count)]


def root_of(leaves: list[bytes]) -> bytes:
    edge = tree.RightEdge()
    for leaf in leaves:
        edge.append(tree.leaf_hash(leaf))
    return edge.root()


def test_leaves_come_back_in_order_after_reopening(open_log: OpenLog) -> None:
    log = open_log()
    assert log.append(leaves_of(1)).first_index == 0
    assert log.append(leaves_of(4, 1)).first_index == 1
    again = open_log()
    assert list(again.leaves()) == leaves_of(5)
    assert list(again.leaves(2, 4)) == leaves_of(2, 2)
    assert again.append(leaves_of(2, 5)).first_index == 5
    assert again.verify() == again.size == 7


@given(
    st.lists(st.lists(st.integers(0, 40), min_size=1, max_size=9), max_size=12), st.integers(0, 41), st.integers(0, 90)
)
def test_what_is_of_a_time_is_found_whatever_the_clock_did(groups: list[list[int]], moment: int, start: int) -> None:
    """Against a list that is read from its beginning; while the log grows, explored or not."""
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(log_module, "LANDMARK_LEAVES", 4)
        log = Log(Path(folder), ORIGIN, bytes(32), TestSigner())
        plain: list[bytes] = []
        for number, times in enumerate(groups):
            leaves = [Leaf("Search", "device", time_ms, DONE).to_bytes(bytes(16)) for time_ms in times]
            log.append(leaves)
            plain += leaves
            while number % 3 and log.explore():
                pass
            late = [index for index, leaf in enumerate(plain) if text_of_time(moment) <= time_of(leaf)]
            assert log.first_since(text_of_time(moment), log.size) == min([*late, len(plain)])
            assert list(log.leaves(start)) == plain[start:]
        log.close()


def test_a_log_that_was_explored_is_read_from_near_what_is_asked_for(
    open_log: OpenLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_module, "LANDMARK_LEAVES", 4)
    log = open_log()
    for time_ms in range(50):
        log.append([Leaf("Search", "device", time_ms, DONE).to_bytes(bytes(16))])
    while log.explore():
        pass
    read = count_frames(log, monkeypatch)
    assert (log.first_since(text_of_time(48), 50), len(list(log.leaves(47))), log.explore()) == (48, 3, False)
    assert 5 <= len(read) <= 10, "of fifty"


def count_frames(log: Log, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The first leaf of every group that is read from now on."""
    read, frames = list[int](), log._frames.read

    def counted(offset: int, end: int) -> Iterator[Frame]:
        for frame in frames(offset, end):
            read.append(frame.first_index)
            yield frame

    monkeypatch.setattr(log._frames, "read", counted)
    return read


def test_every_head_is_signed_and_has_the_root_of_its_leaves(open_log: OpenLog) -> None:
    log = open_log()
    assert open_head(log.head, ORIGIN, [PUBLIC_KEY]).root == tree.EMPTY_ROOT
    for at in range(20):
        head = open_head(log.append(leaves_of(1, at)).head, ORIGIN, [PUBLIC_KEY])
        assert (head.size, head.root) == (at + 1, root_of(leaves_of(at + 1)))


def test_proofs_of_a_reopened_log_are_accepted(open_log: OpenLog) -> None:
    log = open_log()
    for at in range(13):
        log.append(leaves_of(1, at))
    log = open_log()
    log.append(leaves_of(6, 13))
    root = root_of(leaves_of(19))
    for at in range(19):
        verify_inclusion(tree.leaf_hash(leaves_of(1, at)[0]), at, 19, log.inclusion_proof(at, 19), root)
        verify_consistency(at, root_of(leaves_of(at)), 19, root, log.consistency_proof(at, 19))


def test_disk_holds_no_leaf_in_the_clear(open_log: OpenLog, folder: Path) -> None:
    open_log().append([b"a caller named canary"])
    open_log()
    assert not any(b"canary" in path.read_bytes() for path in folder.iterdir())


def test_two_processes_never_have_one_log(open_log: OpenLog, folder: Path) -> None:
    open_log()
    with pytest.raises(InvalidConfiguration, match="in use"):
        Log(folder, ORIGIN, bytes(32), open_log()._signer)


# Ends that were cut


def torn(folder: Path, target: Path, length: int, *, with_nodes: bool) -> Path:
    """A copy of a log whose leaves end after so many bytes, as a crash of the process or of the machine leaves it."""
    shutil.copytree(folder, target)
    os.truncate(target / "leaves", length)
    (target / "checkpoint").unlink(missing_ok=True)
    if not with_nodes:
        (target / "nodes").unlink()
    return target


def test_a_torn_last_frame_is_cut_off_at_every_length(open_log: OpenLog, folder: Path, tmp_path: Path) -> None:
    log = open_log()
    log.append(leaves_of(3))
    acknowledged = (folder / "leaves").stat().st_size
    nodes = (folder / "nodes").read_bytes()
    log.append(leaves_of(2, 3))
    end = (folder / "leaves").stat().st_size
    for length in range(acknowledged, end):
        at = torn(folder, tmp_path / "torn", length, with_nodes=True)
        (at / "nodes").write_bytes(nodes)  # the second frame was not on disk: its nodes cannot have been written
        again = open_log(at)
        assert list(again.leaves()) == leaves_of(3)
        again.append([b"next"])
        assert list(open_log(at).leaves()) == [*leaves_of(3), b"next"]
        open_log()
        shutil.rmtree(at)


def test_a_log_that_lost_acknowledged_leaves_is_refused_at_every_length(
    open_log: OpenLog, folder: Path, tmp_path: Path
) -> None:
    log = open_log()
    log.append(leaves_of(2))
    log.append(leaves_of(1, 2))
    log.close()
    before = (folder / "leaves").read_bytes()
    for length in range(len(before)):
        at = torn(folder, tmp_path / "torn", length, with_nodes=True)
        with pytest.raises(IntegrityError, match="lost leaves"):
            open_log(at)
        shutil.rmtree(at)


def test_every_flipped_byte_is_noticed_or_cut_off_and_never_believed(
    open_log: OpenLog, folder: Path, tmp_path: Path
) -> None:
    log = open_log()
    for at in range(3):
        log.append(leaves_of(1, at))
    log.close()
    whole = (folder / "leaves").read_bytes()
    for at in range(len(whole)):
        altered = torn(folder, tmp_path / "flipped", len(whole), with_nodes=True)
        (altered / "leaves").write_bytes(whole[:at] + bytes([whole[at] ^ 0x40]) + whole[at + 1 :])
        with pytest.raises(UnseenError):
            open_log(altered)
        shutil.rmtree(altered)


def test_damage_before_a_whole_frame_is_refused_even_when_the_nodes_are_gone(
    open_log: OpenLog, folder: Path, tmp_path: Path
) -> None:
    log = open_log()
    log.append(leaves_of(2))
    middle = (folder / "leaves").stat().st_size
    log.append(leaves_of(2, 2))
    log.close()
    whole = (folder / "leaves").read_bytes()
    for at in range(len(b"unseen-audit-log-1\n"), middle):
        altered = torn(folder, tmp_path / "flipped", len(whole), with_nodes=False)
        (altered / "leaves").write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        with pytest.raises(IntegrityError):
            open_log(altered)
        shutil.rmtree(altered)


def test_frames_that_changed_places_or_logs_are_refused(open_log: OpenLog, folder: Path, tmp_path: Path) -> None:
    log = open_log()
    log.append(leaves_of(1))
    first_end = (folder / "leaves").stat().st_size
    log.append(leaves_of(1, 1))
    log.close()
    whole = (folder / "leaves").read_bytes()
    start = len(b"unseen-audit-log-1\n")
    for data in (whole[:start] + whole[first_end:] + whole[start:first_end], whole + whole[start:first_end]):
        altered = torn(folder, tmp_path / "swapped", len(whole), with_nodes=False)
        (altered / "leaves").write_bytes(data)
        with pytest.raises(IntegrityError, match="goes on with leaf"):
            open_log(altered)
        shutil.rmtree(altered)
    with pytest.raises(IntegrityError):
        open_log(torn(folder, tmp_path / "other", len(whole), with_nodes=False), "unseen/000102/04")


# What is derived


def test_nodes_and_checkpoint_are_built_anew_when_they_are_gone_or_wrong(
    open_log: OpenLog, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_module, "CHECKPOINT_LEAVES", 4)
    log = open_log()
    for at in range(11):
        log.append(leaves_of(1, at))
    head = log.head
    log.close()
    kept = {name: (folder / name).read_bytes() for name in ("nodes", "checkpoint")}
    for name, content in kept.items():
        for damaged in (None, b"", content[: len(content) // 2], bytes(len(content)), content[:-1] + b"x"):
            for other, right in kept.items():
                (folder / other).write_bytes(right)
            if damaged is None:
                (folder / name).unlink()
            else:
                (folder / name).write_bytes(damaged)
            log = open_log()
            assert (log.head, log.verify()) == (head, 11)
            log.close()


def test_a_start_reads_no_more_than_what_came_after_the_checkpoint(
    open_log: OpenLog, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_module, "CHECKPOINT_LEAVES", 50)
    log = open_log()
    for at in range(120):
        log.append(leaves_of(1, at))
    killed = folder.with_name("killed")
    shutil.copytree(folder, killed)  # as kill -9 leaves it: no closing checkpoint
    opened = []
    true_open = SealingKey.open

    def open_counted(*args: Any) -> bytes:
        opened.append(1)
        return true_open(*args)

    monkeypatch.setattr(SealingKey, "open", open_counted)
    assert open_log(killed).size == 120
    assert len(opened) == 20


def test_a_copy_made_while_the_log_grows_is_a_whole_log(open_log: OpenLog, tmp_path: Path) -> None:
    log = open_log()
    log.append(leaves_of(3))
    log.copy_to(tmp_path / "copy")
    log.append(leaves_of(3, 3))
    assert list(open_log(tmp_path / "copy").leaves()) == leaves_of(3)


# Disks that refuse


def failing(code: int) -> Callable[..., int]:
    def fail(*_: object) -> int:
        raise OSError(code, os.strerror(code))

    return fail


def test_a_full_disk_refuses_keeps_nothing_and_goes_on_when_there_is_room(
    open_log: OpenLog, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = open_log()
    log.append(leaves_of(1))
    true_write = os.pwrite

    def half(descriptor: int, data: bytes, offset: int) -> int:
        if len(data) < 8:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return true_write(descriptor, data[: len(data) // 2], offset)

    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", half)
        for _ in range(2):
            with pytest.raises(AuditUnavailable, match="No space left"):
                log.append(leaves_of(1, 1))
    log.append(leaves_of(1, 1))
    assert list(log.leaves()) == leaves_of(2)
    assert list(open_log().leaves()) == leaves_of(2)


def test_a_failed_sync_stops_the_log_for_good(open_log: OpenLog, monkeypatch: pytest.MonkeyPatch) -> None:
    log = open_log()
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", failing(errno.EIO))
        with pytest.raises(StoreFailed):
            log.append(leaves_of(1))
    with pytest.raises(StoreFailed):
        log.append(leaves_of(1))


# Examining what no server uses


def examined(folder: Path) -> LogExamination:
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    found = examine_log(folder, ORIGIN, bytes(32), (PUBLIC_KEY,))
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before, "an examination wrote something"
    return found


def real_leaves(count: int) -> list[bytes]:
    details = [Details(request_id=bytes([at]) * 16) for at in range(count)]
    return [Leaf("EnrolRows", "me", at, "ASKED", details[at]).to_bytes(bytes(16)) for at in range(count)]


def test_a_sound_log_has_no_findings_and_tells_what_was_tried(open_log: OpenLog, folder: Path) -> None:
    log = open_log()
    for leaf in real_leaves(5):
        log.append([leaf])
    log.close()
    found = examined(folder)
    assert (found.leaves, found.findings, found.notes) == (5, [], [])
    assert found.asked == {(bytes([at]) * 16).hex() for at in range(5)}


def test_every_altered_byte_of_a_log_is_found_without_writing(open_log: OpenLog, folder: Path) -> None:
    log = open_log()
    for leaf in real_leaves(3):
        log.append([leaf])
    log.close()
    for name in ("leaves", "nodes"):
        whole = (folder / name).read_bytes()
        for at in range(len(whole)):
            (folder / name).write_bytes(whole[:at] + bytes([whole[at] ^ 4]) + whole[at + 1 :])
            assert examined(folder).findings, (name, at)
        (folder / name).write_bytes(whole)
    whole = (folder / "checkpoint").read_bytes()
    for at in range(len(whole)):
        (folder / "checkpoint").write_bytes(whole[:at] + bytes([whole[at] ^ 4]) + whole[at + 1 :])
        found = examined(folder)
        assert found.findings or found.notes or whole[at : at + 1].isdigit()


def test_a_torn_end_is_no_fault_and_a_lost_one_is(open_log: OpenLog, folder: Path) -> None:
    log = open_log()
    log.append(real_leaves(2))
    log.close()
    with (folder / "leaves").open("ab") as file:
        file.write(b"ULF1 torn")
    assert (examined(folder).findings, len(examined(folder).notes)) == ([], 1)
    os.truncate(folder / "leaves", 40)
    assert examined(folder).findings == ["leaves behind number 0 were on disk once and are gone"]


def test_damage_in_the_middle_is_told_from_a_torn_end_without_the_nodes(open_log: OpenLog, folder: Path) -> None:
    log = open_log()
    for leaf in real_leaves(3):
        log.append([leaf])
    log.close()
    for name in ("nodes", "checkpoint"):
        (folder / name).unlink()
    whole = (folder / "leaves").read_bytes()
    (folder / "leaves").write_bytes(whole[:60] + bytes([whole[60] ^ 1]) + whole[61:])
    assert ["damage" in found for found in examined(folder).findings] == [True]


# Form


def test_disk_format_has_not_changed(open_log: OpenLog, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("unseen.envelope.random_bytes", lambda count: bytes(count))
    log = open_log()
    log.append(leaves_of(2))
    log.append(leaves_of(1, 2))
    log.close()
    content = [(path.name, path.read_bytes()) for path in sorted(folder.iterdir())]
    assert hashlib.sha256(repr(content).encode()).hexdigest() == TRIPWIRE


TRIPWIRE = "ab29e64d1d449a157e057e1b1523945998add341b4b573a271bbf3da78b601f2"
