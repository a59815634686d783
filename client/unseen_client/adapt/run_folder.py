"""The folder of one training run: what a killed run needs to go on, and what it may not spend twice.

On the device, for its owner alone: it holds the vectors of private pictures and exact weights under way. It is removed
when the adapter is written.

    journal.jsonl            a line for every step and every release of a score, on disk before it is begun
    plan.json                the plan, and what the adapter is about
    looked-at-<n>.npz        vectors of images that were looked at, in parts; before there is a plan
    material.npz             vectors, texts, which pictures are held out
    checkpoint.npz           weights, their average, steps taken; replaced every few steps
    evaluated-<n>.npz        the average weights that the n-th released score is of
    results.json             the released scores
    lock                     held by the process that works on the run

Steps that a crash took with it were counted and stay counted: their noise was drawn for nobody, but a budget that
believes a crash can be talked into believing a second one. So a resumed run has fewer steps left, never more.
"""

from __future__ import annotations

import fcntl
import io
import json
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from unseen.dp.ledger_file import LedgerFile
from unseen.errors import BudgetExceeded, IntegrityError, InvalidInput, StoreFailed
from unseen.json_text import read_json
from unseen_client.home import private_folder, write_private

STEP, EVALUATION = "step", "evaluation"

Arrays = Mapping[str, npt.NDArray[np.generic]]


@dataclass(frozen=True)
class Limit:
    """How often something may be begun in this run."""

    what: str
    most: int


class RunFolder:
    """The folder on disk. Two processes that share it share its counts."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._journal: LedgerFile | None = None
        self._counts: Counter[str] = Counter()

    @property
    def has_begun(self) -> bool:
        """Whether there is a run to go on with: its material and its plan are whole on disk."""
        return (self._path / "plan.json").exists()

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep other processes from this run; raises InvalidInput when one is at it."""
        private_folder(self._path)
        with (self._path / "lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise InvalidInput(f"another process is at work on {self._path}: let it finish") from None
            yield

    def begin(self, plan: Mapping[str, object], material: Arrays) -> None:
        """Make the folder; the plan is written last, so that a run has begun whole or not at all."""
        private_folder(self._path)
        self.keep("material.npz", material)
        write_private(self._path / "plan.json", json.dumps(plan, sort_keys=True).encode())

    def plan(self) -> dict[str, object]:
        """What ``begin`` was given; raises IntegrityError, StoreFailed."""
        if (plan := self._json("plan.json")) is None:
            raise self._damaged("plan.json")
        return plan

    def count(self, what: str) -> int:
        """How often it was begun so far."""
        with self._opened().locked():
            self._catch_up()
            return self._counts[what]

    def begin_one(self, limit: Limit) -> int:
        """Count one more before it is begun, on disk when this returns; gives its number.

        Raises BudgetExceeded when the plan has no more of them, StoreFailed when the disk refuses: then do not begin.
        """
        journal = self._opened()
        with journal.locked():
            self._catch_up()
            if self._counts[limit.what] >= limit.most:
                raise BudgetExceeded(f"this run's plan has {limit.most} of {limit.what!r}, all of them were begun")
            journal.append(limit.what)
            self._counts[limit.what] += 1
            return self._counts[limit.what]

    def keep(self, name: str, arrays: Arrays) -> None:
        """Put arrays into a file of the folder, whole or not at all."""
        buffer = io.BytesIO()
        np.savez(buffer, allow_pickle=False, **arrays)
        write_private(self._path / name, buffer.getvalue())

    def kept(self, name: str) -> dict[str, npt.NDArray[np.generic]] | None:
        """The arrays of a file, or None when it is not there; raises IntegrityError, StoreFailed."""
        if (data := self._bytes(name)) is None:
            return None
        try:
            with np.load(io.BytesIO(data), allow_pickle=False) as found:
                return dict(found)
        except MemoryError as error:
            raise self._unreadable(name, "not enough memory") from error
        except Exception as error:  # numpy, zipfile, zlib and tokenize have no error in common for damaged bytes
            raise self._damaged(name) from error

    def keep_results(self, results: Mapping[str, object]) -> None:
        """Keep what was released so far."""
        write_private(self._path / "results.json", json.dumps(results, sort_keys=True).encode())

    def results(self) -> dict[str, object]:
        """What was released so far."""
        return self._json("results.json") or {}

    def remove(self) -> None:
        """The run is over: nothing of the private pictures stays."""
        shutil.rmtree(self._path)

    def _json(self, name: str) -> dict[str, object] | None:
        if (data := self._bytes(name)) is None:
            return None
        try:
            fields = read_json(data)
        except ValueError as error:
            raise self._damaged(name) from error
        if not isinstance(fields, dict):
            raise self._damaged(name)
        return fields

    def _bytes(self, name: str) -> bytes | None:
        try:
            return (self._path / name).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._unreadable(name, error.strerror) from error
        except MemoryError as error:
            raise self._unreadable(name, "not enough memory") from error

    def _damaged(self, name: str) -> IntegrityError:
        return IntegrityError(f"{self._path / name} is damaged; remove {self._path} and begin anew")

    def _unreadable(self, name: str, why: str | None) -> StoreFailed:
        """What was spent stands in this folder: nobody is told to remove it for a file that may be whole."""
        return StoreFailed(f"cannot read {self._path / name}: {why}; mend that, keep the folder, and start again")

    def _opened(self) -> LedgerFile:
        if self._journal is None:
            private_folder(self._path)
            self._journal = LedgerFile(self._path / "journal.jsonl")
        return self._journal

    def _catch_up(self) -> None:
        self._counts.update(self._opened().read_new())
