"""The log on disk: what was appended comes back, damage is noticed, a torn end that nobody was told of is cut off."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.core.audit.conftest import ORIGIN, PUBLIC_KEY, OpenLog
from unseen.audit import log as log_module
from unseen.audit import tree
from unseen.audit.head import open_head
from unseen.audit.log import Log
from unseen.audit.proof import verify_consistency, verify_inclusion
from unseen.envelope import SealingKey
from unseen.errors import AuditUnavailable, IntegrityError, InvalidConfiguration, StoreFailed, UnseenError


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
