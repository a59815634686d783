"""Examining a log that no server uses: every damage is found, a torn end is none, and nothing is written."""

from __future__ import annotations

import os
from pathlib import Path

from tests.core.audit.conftest import ORIGIN, PUBLIC_KEY, OpenLog
from unseen.audit.examination import LogExamination, examine_log
from unseen.audit.leaf import Details, Leaf


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
