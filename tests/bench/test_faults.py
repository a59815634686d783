"""A sample of `make faults`: real kills, real faults of system calls, files and networks; and that faults are seen."""

from __future__ import annotations

import shutil
import sys
from argparse import Namespace
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import pytest

from bench.faults import __main__ as faults
from bench.faults import clocks, cuts, disks, keys, pages, system_calls
from bench.faults.__main__ import COUNTED, FULL, NOT_TRIED, Run, faults_in
from bench.faults.damage import Damaged
from bench.faults.damaging import FIRST_BYTES, NEVER_WRITTEN, STORE, damage_files, spread, tear
from bench.faults.history import Found, History
from bench.faults.kills import kill
from bench.faults.plan import ENROL, ERASE, FACT
from unseen_server.audit import AUDIT_FOLDER

AUDIT = f"data/{AUDIT_FOLDER}"


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> History:
    """A store that every test copies."""
    return system_calls.template(tmp_path_factory.mktemp("template"))


def test_thirty_kills_lose_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    found = kill(tmp_path, 30)
    assert found.lives == 30
    assert found.asked[ENROL] >= found.acknowledged[ENROL] > 0
    assert found.faults == 0, found


@pytest.mark.parametrize("thread", system_calls.THREADS)
def test_calls_that_fail_stop_a_life_and_lose_nothing(start: History, tmp_path: Path, thread: str) -> None:
    kinds, every = system_calls.PATHS["enrolment"], {"store": 24, "audit log": 8}[thread]
    for name, fault in {**system_calls.FAULTS, "lie": system_calls.LIE}.items():
        tried = system_calls.fail_every_call(start, tmp_path, kinds, thread, fault, every)
        assert tried.runs >= 2
        assert tried.not_reached == 0
        assert tried.found.faults == 0, (name, tried)
        if name != "lie":
            assert tried.stopped + tried.went_on == tried.runs


def test_every_call_of_an_enrolment_has_its_turn(start: History, tmp_path: Path) -> None:
    kinds = system_calls.PATHS["enrolment"]
    made = system_calls.calls_of(start.copied_to(tmp_path / "run"), kinds, "store", system_calls.CALLS)
    assert len(made) == len(set(made)) > 40
    assert {"pwrite64", "fdatasync", "fsync", "rename", "ftruncate", "unlink"} <= {name for name, _ in made}


def test_files_that_may_not_grow_lose_nothing(start: History, tmp_path: Path) -> None:
    tried = disks.fill_files(start, tmp_path, every=150_001)
    assert tried.runs >= 4
    assert tried.stopped > 0
    assert tried.found.faults == 0


def test_a_full_file_system_is_tried_where_it_may_be_mounted_and_else_said_not_to_be(
    start: History, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if disks.can_mount(tmp_path):
        tried = disks.fill_file_system(start, tmp_path, every_blocks=40)
        assert tried.runs >= 3
        assert (tried.went_on, tried.stopped) == (1, tried.runs - 1)
        assert tried.found.faults == 0
    monkeypatch.setattr(disks, "can_mount", lambda folder: False)
    run = Run(tmp_path, Namespace(every_byte_of_a_limit=1 << 30, every_block=40), {})
    run.disks()
    assert run.figures["disks"][FULL] == NOT_TRIED
    assert "not tried" in capsys.readouterr().out


def test_damaged_files_are_refused_named_or_harmless(start: History, tmp_path: Path) -> None:
    found = damage_files(start, tmp_path, places=0, every_small_byte=90, every_first_byte=12)
    assert {name.partition(":")[0] for name in found} == {
        "store",
        "changes",
        "key ring",
        "leaves",
        "nodes",
        "checkpoint",
    }
    for name, one in found.items():
        assert one.tried == one.refused + one.named + one.harmless > 0, (name, one)
    assert found["key ring: one bit"].harmless == found["leaves: cut"].harmless == found["store: cut"].harmless == 0


def test_torn_pages_are_never_served(start: History, tmp_path: Path) -> None:
    torn, left = tear(start, tmp_path, every_page=4).values()
    assert torn.tried == torn.refused + torn.named > 0
    assert left.tried > 0
    assert left.served == 0


def test_every_length_of_a_store_but_its_own_is_refused(start: History, tmp_path: Path) -> None:
    copy = Path(shutil.copy(start.folder / STORE, tmp_path))
    lengths, opened = pages.open_at_every_length(copy, every=4001)
    assert (lengths > 50, opened) == (True, 0)


def test_no_other_master_key_opens_a_store(start: History, tmp_path: Path) -> None:
    tried = keys.wrong_keys(start, tmp_path, range(0, 256, 5))
    assert (tried.refused, tried.opened, tried.wrote) == (tried.tried, 0, 0)
    assert tried.tried == 52


def test_a_rotation_that_is_stopped_leaves_one_key(start: History, tmp_path: Path) -> None:
    tried = keys.half_rotated(start, tmp_path, every=6)
    assert tried.old + tried.new == tried.runs >= 4
    assert tried.found.faults == 0


def test_a_store_asks_no_clock(start: History, tmp_path: Path) -> None:
    found = clocks.wrong_clocks(start, tmp_path, steps=3)
    assert set(found) == set(clocks.CLOCKS)
    for one in found.values():
        assert sum(one.found.acknowledged.values()) == 6
        assert one.found.faults == 0
        assert one.furthest_days > 1
    assert found["ten years late"].furthest_days > 3640


def test_enrolments_over_connections_that_are_cut_are_there_once() -> None:
    found = cuts.cut_everywhere(every=400)
    for one in found.values():
        assert one.tried >= 4
        assert one.cut >= one.tried - 1
        assert (one.lost, one.twice, one.audit_gaps) == (0, 0, 0)


# That the harness sees what it looks for


def test_a_store_that_is_an_older_one_has_lost_something(start: History, tmp_path: Path) -> None:
    history = start.copied_to(tmp_path / "run")
    history.live_to_the_end(None, 3, (ENROL, FACT, ERASE))
    history.check()
    assert history.found.faults == 0
    shutil.copy(start.folder / STORE, history.folder / STORE)
    history.check()
    assert history.found.lost == 2  # what was enrolled, and what was written down


def test_an_audit_log_that_is_an_older_one_has_gaps(start: History, tmp_path: Path) -> None:
    history = start.copied_to(tmp_path / "run")
    history.live_to_the_end(None, 2, (ENROL, FACT))
    shutil.rmtree(history.folder / AUDIT)
    shutil.copytree(start.folder / AUDIT, history.folder / AUDIT)
    history.check()
    assert history.found.audit_gaps == 4  # two effects without a leaf, two acknowledgements without theirs


def test_an_erasure_that_did_not_happen_is_seen(start: History, tmp_path: Path) -> None:
    history = start.copied_to(tmp_path / "run")
    history.live_to_the_end(None, 1, (ERASE,))
    for name in ("data", "ring"):
        shutil.rmtree(history.folder / name)
        shutil.copytree(start.folder / name, history.folder / name)
    history.check()
    assert history.found.back == 1


def test_a_life_that_breaks_down_has_not_stopped_rightly(start: History, tmp_path: Path) -> None:
    history = start.copied_to(tmp_path / "run")
    with pytest.raises(AssertionError, match=r"(?s)ended with 1: .*nobody knows how"):
        history.live_to_the_end(None, 1, ("dance",))


def test_every_kind_of_fault_counts_wherever_it_stands() -> None:
    found = {"lives": 3, **dict.fromkeys(COUNTED, 1)}
    assert faults_in({"part": {"runs": 7, "found": found}, "lost": 2}) == len(COUNTED) + 2
    assert faults_in({"damage": {NEVER_WRITTEN: found}}) == len(COUNTED) - 1


def test_what_counts_is_what_is_counted() -> None:
    """Else a name that is misspelled, or changed in one place, counts nothing."""
    kinds = (Found, Damaged, keys.WrongKeys, keys.HalfRotated, cuts.Broken)
    names = {one.name for kind in kinds for one in fields(kind)}
    assert set(COUNTED) - names == {"missed"}  # of pages, which have no class of their own


def test_places_are_the_first_bytes_and_some_of_the_others() -> None:
    found = spread(1000, 50)
    assert found[:FIRST_BYTES] == list(range(FIRST_BYTES))
    assert len(set(found)) == FIRST_BYTES + 50
    assert max(found) < 1000


def test_parts_that_use_the_same_names_run_one_after_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    def part(name: str) -> Callable[[Run], None]:
        def made(run: Run) -> None:
            (run.folder / "killed").mkdir()
            run.figures[name] = {"lost": 0}

        return made

    monkeypatch.setattr(faults, "PARTS", {"kills": part("kills"), "damage": part("damage")})
    monkeypatch.setattr(sys, "argv", ["bench.faults"])
    assert faults.main() == 0
