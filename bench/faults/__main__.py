"""What does the store survive? Processes die, calls to the disk fail, disks fill up and lie, bytes change, clocks jump.

    python -m bench.faults --json FILE                      everything, about an hour on two cores
    python -m bench.faults --parts kills --kills 1000       one part

A real store, its key ring and its audit log, in processes that are really killed. After every fault all of it is held
against what was acknowledged: nothing lost, nothing half, nothing erased that is back, no gap in the audit log, every
seal and every invariant examined. Needs strace, faketime and prlimit; a small file system needs the right to mount.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict
from itertools import product
from pathlib import Path
from typing import Any

from bench.faults import clocks, cuts, disks, keys, pages, system_calls
from bench.faults.damaging import NEVER_WRITTEN, STORE, damage_files, tear
from bench.faults.history import FAULTS, Found, History
from bench.faults.kills import kill
from bench.measure import machine, print_table

Figures = dict[str, Any]
FULL, NOT_TRIED = "file system is full", "not tried: needs the right to mount"


class Run:
    """The parts, each in a folder of its own: its figures are kept, its table is printed."""

    def __init__(self, folder: Path, given: argparse.Namespace, figures: Figures) -> None:
        self.folder = folder
        self.given = given
        self.figures = figures

    def kills(self) -> None:
        """kill -9 at random moments."""
        found = kill(self.folder, self.given.kills)
        self.figures["kills"] = found.fields()
        rows = [(kind, f"{found.asked[kind]:,}", f"{found.acknowledged[kind]:,}") for kind in sorted(found.asked)]
        print_table(f"{found.lives:,} kills: {_words(found)}", rows, ("step", "begun", "acknowledged"))

    def calls(self) -> None:
        """Every k-th system call."""
        start, rows = self._start(), []
        self.figures["calls"] = {}
        faults = {**system_calls.FAULTS, "lie": system_calls.LIE}
        for path, thread, name in product(self.given.paths, system_calls.THREADS, faults):
            kinds, every = system_calls.PATHS[path], self.given.every_call
            tried = system_calls.fail_every_call(start, self.folder, kinds, thread, faults[name], every)
            self.figures["calls"][f"{path}, {thread}: {name}"] = tried.fields()
            numbers = (
                *(tried.runs, tried.stopped, tried.went_on, tried.noticed_later, tried.not_reached),
                tried.found.faults,
            )
            rows.append((path, thread, name, *(f"{number:,}" for number in numbers)))
        header = ("path", "thread", "fault", "calls", "stopped", "went on", "noticed later", "not reached", "faults")
        print_table("each call to the disk, once", rows, header)

    def disks(self) -> None:
        """Disks that fill up."""
        start, rows = self._start(), []
        tried = {"files may not grow": disks.fill_files(start, self.folder, self.given.every_byte_of_a_limit)}
        may_mount = disks.can_mount(self.folder)
        if may_mount:
            tried[FULL] = disks.fill_file_system(start, self.folder, self.given.every_block)
        for name, one in tried.items():
            rows.append((name, f"{one.runs:,}", f"{one.stopped:,}", f"{one.went_on:,}", f"{one.found.faults:,}"))
        self.figures["disks"] = {name: one.fields() for name, one in tried.items()}
        if not may_mount:
            self.figures["disks"][FULL] = NOT_TRIED
            rows.append((FULL, NOT_TRIED, *"---"))
        print_table("disks that fill up", rows, ("limit", "sizes", "stopped", "had enough", "faults"))

    def damage(self) -> None:
        """Bytes that change."""
        start, given = self._start(), self.given
        whole = start.folder / STORE
        flipped, missed = pages.flip_every_byte_of_pages(whole)
        copy = Path(shutil.copy(whole, self.folder / "cut.sqlite"))
        lengths, opened = pages.open_at_every_length(copy, given.every_length)
        found = damage_files(start, self.folder, given.places, given.every_small_byte)
        found |= tear(start, self.folder, given.every_page)
        self.figures["damage"] = {
            "every byte of the store": {"tried": flipped, "missed": missed},
            "every length of the store": {"tried": lengths, "opened": opened},
            **{name: asdict(one) for name, one in found.items()},
        }
        rows = [("store: every byte, by the check of its page", f"{flipped:,}", f"{flipped - missed:,}", *"----")]
        rows += [("store: every length, opened", f"{lengths:,}", f"{lengths - opened:,}", *"----")]
        rows += [(name, *(f"{number:,}" for number in asdict(one).values())) for name, one in found.items()]
        print_table(
            "bytes that change", rows, ("damage", "tried", "refused", "named", "harmless", "until examined", "served")
        )

    def keys(self) -> None:
        """Keys that are not the one."""
        start = self._start()
        wrong, half = keys.wrong_keys(start, self.folder), keys.half_rotated(start, self.folder)
        self.figures["keys"] = {"wrong key": asdict(wrong), "half-rotated": half.fields()}
        rows = [("master key with one bit turned", *(f"{number:,}" for number in asdict(wrong).values()))]
        print_table("keys that are not the one", rows, ("key", "tried", "refused", "opened", "wrote"))
        numbers = (half.runs, half.old, half.new, half.neither, half.both, half.found.faults)
        rows = [("stopped at a call", *(f"{number:,}" for number in numbers))]
        print_table("rotations half-way", rows, ("rotation", "runs", "old key", "new key", "neither", "both", "faults"))

    def clocks(self) -> None:
        """Clocks that are wrong."""
        found = clocks.wrong_clocks(self._start(), self.folder)
        self.figures["clocks"] = {name: one.fields() for name, one in found.items()}
        rows = [
            (name, f"{sum(one.found.acknowledged.values()):,}", f"{one.furthest_days:,.0f}", f"{one.found.faults:,}")
            for name, one in found.items()
        ]
        print_table("clocks that are wrong", rows, ("clock", "steps acknowledged", "days off", "faults"))

    def cuts(self) -> None:
        """A network that breaks."""
        found = cuts.cut_everywhere(self.given.every_byte_sent)
        self.figures["cuts"] = {way: asdict(one) for way, one in found.items()}
        rows = [(way, *(f"{number:,}" for number in asdict(one).values())) for way, one in found.items()]
        header = ("after bytes", "enrolments", "cut", "rows lost", "rows twice", "audit gaps")
        print_table("connections that are cut", rows, header)

    def _start(self) -> History:
        (self.folder / "start").mkdir()
        return system_calls.template(self.folder / "start")


def _words(found: Found) -> str:
    return ", ".join(f"{getattr(found, name)} {name.replace('_', ' ')}" for name in FAULTS)


PARTS: dict[str, Callable[[Run], None]] = {
    "kills": Run.kills,
    "calls": Run.calls,
    "disks": Run.disks,
    "damage": Run.damage,
    "keys": Run.keys,
    "clocks": Run.clocks,
    "cuts": Run.cuts,
}


COUNTED = (*FAULTS, *("missed", "opened", "served", "until_examined", "twice", "wrote", "neither", "both"))
"""What of the figures counts what is wrong."""


def faults_in(figures: object, of: str = "") -> int:
    """All that is wrong in the figures of a run; a page that was never written may show itself only when examined."""
    if not isinstance(figures, dict):
        return 0
    own = sum(figures.get(name, 0) for name in COUNTED if (of, name) != (NEVER_WRITTEN, "until_examined"))
    return own + sum(faults_in(one, name) for name, one in figures.items())


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", nargs="+", choices=list(PARTS), default=list(PARTS))
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--paths", nargs="+", choices=list(system_calls.PATHS), default=list(system_calls.PATHS))
    parser.add_argument("--every-call", type=int, default=1, help="each so many-th call fails")
    parser.add_argument("--every-byte-of-a-limit", type=int, default=3001)
    parser.add_argument("--every-block", type=int, default=3)
    parser.add_argument("--every-small-byte", type=int, default=1)
    parser.add_argument("--every-length", type=int, default=1)
    parser.add_argument("--every-page", type=int, default=1)
    parser.add_argument("--places", type=int, default=2000, help="bytes of the store that are flipped for a server")
    parser.add_argument("--every-byte-sent", type=int, default=1, help="the network is cut after each so many-th byte")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    figures: Figures = {"machine": machine()}
    with tempfile.TemporaryDirectory(prefix="unseen-faults-") as folder:
        for name in given.parts:
            part, began = Path(folder) / name, time.monotonic()
            part.mkdir()
            PARTS[name](Run(part, given, figures))
            figures[name]["seconds"] = round(time.monotonic() - began, 1)
    faults = faults_in(figures)
    figures["faults"] = faults
    print(f"{faults} faults")
    if given.json:
        given.json.write_text(json.dumps(figures, indent=1) + "\n")
    return 0 if not faults else 1


if __name__ == "__main__":
    sys.exit(main())
