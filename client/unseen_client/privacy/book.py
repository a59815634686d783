"""The device's privacy book: budgets, ledger, and releases that are not acknowledged yet. Never the network.

Everything about a release of noise happens here, in this order: look whether this very release was drawn before; charge
the ledger and wait for the disk; draw; keep what was drawn until the server has it; only then may it be sent. A crash
between any two steps leaves a charge that was not used, never a release that was not charged.
"""

from __future__ import annotations

import hmac
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt

from unseen.dp.charged import release_charged
from unseen.dp.event import Event
from unseen.dp.ledger import Ledger, Statement
from unseen.dp.mechanism import Mechanism
from unseen.errors import NotFound, UnseenError
from unseen_client.home import private_folder
from unseen_client.privacy.budgets import Budgets, changed, read_budgets, write_budgets
from unseen_client.privacy.unacknowledged import Cause, Unacknowledged

Float32Array = npt.NDArray[np.float32]

FOLDER_NAME = "privacy"
THIS_DEVICE = "this device"
"""The device's name in its own ledger: the ledger never leaves it."""


@dataclass(frozen=True)
class BudgetReport:
    """What the releases of this device amount to, computed from its ledger."""

    device: Statement
    subjects: dict[str, Statement]
    """By name, who has least left first; rows that were enrolled without a subject stand under their ids."""

    def of(self, subject: str) -> BudgetReport:
        """The same for one subject; raises NotFound for one that was never charged."""
        if subject not in self.subjects:
            raise NotFound(
                f"nothing was released for a subject {subject!r} on this device; `unseen budget --all` lists"
            )
        return BudgetReport(self.device, {subject: self.subjects[subject]})


@dataclass(frozen=True)
class Asked:
    """Rows of one collection to be released: ids as the server knows them, true vectors (n, d), who is charged."""

    collection_uid: bytes
    record_key: bytes
    row_ids: Sequence[bytes]
    vectors: Float32Array
    subjects: Sequence[str]


class PrivacyBook:
    """Charges, releases and states. Threads and processes of a device may share its folder."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._folder = home / FOLDER_NAME
        self._unacknowledged = Unacknowledged(self._folder)
        self._ledger: Ledger | None = None
        self._lock = threading.Lock()

    def release(self, mechanism: Mechanism, asked: Asked) -> tuple[Float32Array, Event]:
        """Noised vectors (n, d) that may be sent now, and the event of each row.

        Rows that were drawn before and not acknowledged come back as they were, at no charge. All or nothing.
        Raises BudgetExceeded, InvalidVector, InvalidConfiguration, StoreFailed, IntegrityError.
        """
        event = mechanism.event(asked.vectors.shape[1])
        causes = _causes(asked, event)
        with self._opened() as ledger:
            drawn = self._unacknowledged.find(causes)
            new = [at for at, cause in enumerate(causes) if cause not in drawn]
            if new:
                fresh = _charge_and_draw(mechanism, ledger, asked.vectors[new], [asked.subjects[at] for at in new])
                released = {causes[at]: vector for at, vector in zip(new, fresh, strict=True)}
                self._unacknowledged.keep(released)
                drawn |= released
        return np.stack([drawn[cause] for cause in causes]), event

    def acknowledged(self, collection_uid: bytes, row_ids: Sequence[bytes]) -> None:
        """The server has these rows: they need not be kept for a retry any more."""
        if row_ids:
            self._unacknowledged.forget(collection_uid, row_ids)

    def forget_collection(self, collection_uid: bytes) -> None:
        """A collection is no more; what was charged for it stays charged."""
        self._unacknowledged.forget_collection(collection_uid)

    def budgets(self) -> Budgets:
        """The budgets as set, else the defaults."""
        return read_budgets(self._folder)

    def set_budgets(self, per_subject: float | None, per_device: float | None, delta: float | None) -> Budgets:
        """Replace the values that are given; gives all. Raises InvalidConfiguration."""
        private_folder(self._home)
        budgets = changed(self.budgets(), per_subject, per_device, delta)
        write_budgets(self._folder, budgets)
        return budgets

    def report(self) -> BudgetReport:
        """What was spent, and of which budget; raises IntegrityError for a damaged ledger."""
        with self._opened() as ledger:
            subjects = sorted(ledger.every_subject().items(), key=lambda item: (item[1].left, item[0]))
            return BudgetReport(ledger.device(THIS_DEVICE), dict(subjects))

    @contextmanager
    def _opened(self) -> Iterator[Ledger]:
        """The ledger, with the budgets as they are set now."""
        with self._lock:
            private_folder(self._home)
            private_folder(self._folder)
            budgets = self.budgets()
            try:
                self._ledger = self._ledger or Ledger(self._folder, budgets.per_subject, budgets.per_device)
                self._ledger.per_subject, self._ledger.per_device = budgets.per_subject, budgets.per_device
                yield self._ledger
            except UnseenError:
                self._ledger = None  # a ledger that met a failure refuses everything: read anew what is on disk
                raise


def _charge_and_draw(
    mechanism: Mechanism, ledger: Ledger, vectors: Float32Array, subjects: Sequence[str]
) -> Float32Array:
    at = datetime.now(UTC).isoformat(timespec="seconds")
    released, _ = release_charged(mechanism, vectors, ledger, THIS_DEVICE, subjects, at)
    return released


def _causes(asked: Asked, event: Event) -> list[Cause]:
    """Where each release belongs and what it is of: the same for the same row, vector and mechanism."""
    purpose = b"unseen/noise/cause" + event.to_json().encode()
    return [
        Cause(
            asked.collection_uid,
            row,
            hmac.digest(asked.record_key, purpose + vector.astype("<f4").tobytes(), "sha256"),
        )
        for row, vector in zip(asked.row_ids, asked.vectors, strict=True)
    ]
