"""What was asked of a store and acknowledged over all its lives, and whether what lies on the disk agrees.

acknowledged    its effect is there, and a leaf says so
asked only      its effect is there as a whole, or not at all
either way      what was acknowledged as erased is gone, every seal opens, every invariant holds
"""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

from bench.faults.life import BORN, MASTER_KEYS, STOPPED, Orders, rings
from bench.faults.plan import BACKUP, CREATE, ENROL, ERASE, FACT, OFTEN, REKEY, ROTATE, Step
from unseen.audit.leaf import leaf_fields
from unseen.errors import WrongKey
from unseen.store import backup
from unseen.store.sqlite import FILE_NAME, SqliteStore
from unseen.store.sqlite_examination import examine_file
from unseen_server.audit import Audit
from unseen_server.missing_changes import count_missing_changes
from unseen_server.signing import open_signing_key

LARGEST_TOLD_BYTES = 4096
LONGEST_BIRTH_S = 300
ENDS = (0, STOPPED, -signal.SIGKILL, 128 + signal.SIGKILL)
"""At the end, after a failed store, by a kill of its own or of what it was started with."""


FAULTS = ("lost", "half", "back", "audit_gaps", "unsound", "told")


@dataclass
class Found:
    """What checks came to, over many lives."""

    lives: int = 0
    asked: Counter[str] = field(default_factory=Counter)
    acknowledged: Counter[str] = field(default_factory=Counter)
    lost: int = 0
    """Acknowledged, and not there."""
    half: int = 0
    """There in part."""
    back: int = 0
    """Acknowledged as erased, and there."""
    audit_gaps: int = 0
    """An effect without a leaf, or an acknowledgement without its own."""
    unsound: int = 0
    """Findings of examinations."""
    told: int = 0
    """Acknowledged changes that a start would say are missing."""

    def add(self, other: Found) -> None:
        """Count what another one counted."""
        self.lives += other.lives
        self.asked += other.asked
        self.acknowledged += other.acknowledged
        for name in FAULTS:
            setattr(self, name, getattr(self, name) + getattr(other, name))

    def fields(self) -> dict[str, object]:
        """As JSON has it."""
        return vars(self) | {"asked": dict(self.asked), "acknowledged": dict(self.acknowledged)}

    @property
    def faults(self) -> int:
        """Of ours; should be none."""
        return sum(getattr(self, name) for name in FAULTS)


class History:
    """One store through many lives."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.master_key = 0
        self.found = Found()
        self.next_step = 0
        self._asked: dict[int, Step] = {}
        self._done: set[int] = set()
        self._rotations: list[int] = []
        """Asked for since the last check."""
        self._unchecked_backups: set[int] = set()

    def copied_to(self, folder: Path) -> History:
        """The same store and the same history in another folder, to go on from there; nothing is counted yet."""
        shutil.copytree(self.folder, folder)
        twin = History(folder)
        twin.master_key, twin.next_step = self.master_key, self.next_step
        twin._asked, twin._done = dict(self._asked), set(self._done)
        return twin

    @property
    def standing(self) -> list[int]:
        """Enrolments that were acknowledged and that nobody asked to erase."""
        erased = {step.victim for step in self._asked.values() if step.kind == ERASE}
        return [number for number in sorted(self._done) if self._asked[number].kind == ENROL and number not in erased]

    @contextmanager
    def life(
        self, seed: int | None, steps: int = 0, kinds: Sequence[str] = OFTEN, before: Sequence[str] = ()
    ) -> Iterator[subprocess.Popen[bytes]]:
        """A process that lives in the store; what it told is taken down when the block ends, and it with it.

        ``before`` is put before the command: a tracer, a limit.
        """
        here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        here.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        orders = Orders(
            str(self.folder), self.next_step, self.standing, self.master_key, seed, steps, list(kinds), there.fileno()
        )
        command = [*before, sys.executable, "-B", "-m", "bench.faults.life", json.dumps(asdict(orders))]
        with here, there:
            process = subprocess.Popen(
                command, pass_fds=[there.fileno()], stderr=subprocess.PIPE, start_new_session=True
            )
            try:
                _await_birth(here, process)
                yield process
            finally:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)  # with a tracer there are two of them
                _, words = process.communicate()
                self._take_down(here)
                if process.returncode not in ENDS:
                    raise AssertionError(f"a life ended with {process.returncode}: {words.decode()}")
        self.found.lives += 1

    def live_to_the_end(
        self, seed: int | None, steps: int, kinds: Sequence[str] = OFTEN, before: Sequence[str] = ()
    ) -> None:
        """A life that nothing cuts short; AssertionError if it stopped before its last step was done."""
        with self.life(seed, steps, kinds, before) as process:
            process.wait()
        if process.returncode != 0:
            raise AssertionError(f"a life without a fault ended with {process.returncode}")

    def _take_down(self, told: socket.socket) -> None:
        told.setblocking(False)
        while True:
            try:
                fields = json.loads(told.recv(LARGEST_TOLD_BYTES))
            except BlockingIOError:
                return
            what, step = fields.pop("what"), Step(**fields)
            self.next_step = max(self.next_step, step.number + 1)
            if what == "asked":
                self._asked[step.number] = step
                self.found.asked[step.kind] += 1
            else:
                self._done.add(step.number)
                self.found.acknowledged[step.kind] += 1
            if step.kind == BACKUP:
                self._unchecked_backups.add(step.number)
            elif step.kind == ROTATE and what == "asked":
                self._rotations.append(step.number)

    # Checking

    def check(self) -> None:
        """Hold what lies on the disk against what was told, and count what is wrong."""
        if not (self.folder / "data" / FILE_NAME).exists():
            self.found.lost += bool(self._done)
            return
        self._find_master_key()
        report = examine_file(self.folder / "data" / FILE_NAME, rings(self.folder, self.master_key))
        self.found.unsound += len(report.findings)
        store = SqliteStore(self.folder / "data", rings(self.folder, self.master_key))
        try:
            self._check_steps(store)
            self._check_audit(store)
        finally:
            store.close()
        self._check_backups()

    def _find_master_key(self) -> None:
        """A kill in a rotation leaves the ring under the one or the other, never under neither."""
        for candidate in range(len(MASTER_KEYS)):
            store = None
            try:
                store = SqliteStore(self.folder / "data", rings(self.folder, candidate))
            except WrongKey:
                continue
            finally:
                if store is not None:
                    store.close()
            self.found.lost += candidate not in self._keys_there_may_be()
            self.master_key = candidate
            self._rotations.clear()
            return
        self.found.lost += 1

    def _keys_there_may_be(self) -> set[int]:
        """After what was rotated since the last check: the last one, if it was not acknowledged, may have been done."""
        done = sum(number in self._done for number in self._rotations)
        times = {done} if done == len(self._rotations) else {done, done + 1}
        return {(self.master_key + count) % len(MASTER_KEYS) for count in times}

    def _check_steps(self, store: SqliteStore) -> None:
        rows = _rows(store)
        facts = {fact.body for fact in store.facts("fault")}
        erasures = {step.victim: number for number, step in self._asked.items() if step.kind == ERASE}
        for number, step in self._asked.items():
            acknowledged = number in self._done
            if step.kind == CREATE:
                self.found.lost += acknowledged and not store.knows_request(step.request_id)
            elif step.kind == FACT:
                self.found.lost += acknowledged and step.request_id not in facts
            elif step.kind == ENROL:
                self._check_rows(step, rows, acknowledged, erasures.get(number))

    def _check_rows(self, step: Step, rows: dict[bytes, bytes], acknowledged: bool, erasure: int | None) -> None:
        batch = step.rows
        there = [row_id in rows for row_id in batch.row_ids]
        written = zip(batch.row_ids, batch.sealed_records, strict=True)
        as_written = [rows.get(row_id) == record for row_id, record in written]
        self.found.half += any(there) != all(there) or there != as_written
        if erasure is not None and erasure in self._done:
            self.found.back += any(there)
        elif erasure is None and acknowledged:
            self.found.lost += not all(there)

    def _check_audit(self, store: SqliteStore) -> None:
        audit = Audit(self.folder / "data" / "audit", store, open_signing_key(store))
        try:
            log = audit.log_of("")
            outcomes: dict[object, list[object]] = {}
            for leaf in map(leaf_fields, log.leaves()):
                outcomes.setdefault(leaf.get("request"), []).append(leaf["outcome"])
            for number, step in self._asked.items():
                of_step = outcomes.get(step.request_id.hex(), [])
                has_effect = store.knows_request(step.request_id)
                self.found.audit_gaps += has_effect and "ASKED" not in of_step
                self.found.audit_gaps += number in self._done and of_step != ["ASKED", "OK"]
            log.verify()
            self.found.told += count_missing_changes(store, audit)
        finally:
            audit.close()

    def _check_backups(self) -> None:
        """A backup is whole or not there; one that was acknowledged is there. No key opens its rows after a rekey."""
        last_rekey = max((number for number, step in self._asked.items() if step.kind == REKEY), default=-1)
        for number in self._unchecked_backups:
            path = self.folder / f"{number}.backup"
            self.found.lost += number in self._done and not path.exists()
            if path.exists():
                with tempfile.TemporaryDirectory() as folder:
                    content = io.BytesIO(path.read_bytes())
                    backup.unpack(content, Path(folder), rings(self.folder, self.master_key))
                    report = examine_file(Path(folder) / FILE_NAME, rings(self.folder, self.master_key))
                    self.found.unsound += len(report.findings) if number > last_rekey else 0
                path.unlink()
        self._unchecked_backups.clear()


def _await_birth(told: socket.socket, process: subprocess.Popen[bytes]) -> None:
    told.settimeout(1.0)
    for _ in range(LONGEST_BIRTH_S):
        with suppress(TimeoutError):
            if told.recv(LARGEST_TOLD_BYTES) == BORN:
                return
        if process.poll() is not None:
            break
    raise AssertionError("a life did not begin")


def _rows(store: SqliteStore) -> dict[bytes, bytes]:
    """Every live row's id and record; each has a vector, or the store would say so."""
    found: dict[bytes, bytes] = {}
    for stored in store.collections():
        uid = stored.info.uid
        for page in store.changes(uid, 0, 1 << 60, 1 << 20, 1 << 30):
            found |= {entry.row_id: entry.sealed_record for entry in page.added}
        vectors = sum(len(page.slots) for page in store.vectors(uid))
        if not vectors == len(found) == stored.info.rows:
            raise AssertionError(f"{vectors} vectors, {len(found)} records, {stored.info.rows} rows are counted")
    return found
