"""The privacy ledger of a device: every release of noise, per subject and per device, and what all of them tell.

The device holds it. It names subjects by the caller's pseudonyms and says when and how often they were enrolled: it is
personal data, and no server needs it. It stores events (facts); what they amount to is computed when asked.

A charge is on disk before the caller learns that it may release: whatever crashes, the ledger has every release that
left, and perhaps one that did not. Budgets are the caller's: they are compared, not stored. Nobody is kept from
deleting the file; a ledger protects against mistakes, not against its owner.
"""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from unseen.dp.accounting import Guarantee, compose, within
from unseen.dp.event import Event
from unseen.dp.ledger_file import LedgerFile
from unseen.dp.loss import loss_of
from unseen.errors import BudgetExceeded, IntegrityError, InvalidConfiguration, InvalidName
from unseen.json_text import read_json

LEDGER_NAME = "privacy-ledger.jsonl"
LONGEST_NAME = 256


@dataclass(frozen=True)
class Budget:
    """The most that the releases of one subject, or of one device, may amount to together."""

    epsilon: float
    delta: float

    def __post_init__(self) -> None:
        if not (self.epsilon > 0 and 0 < self.delta < 1):
            raise InvalidConfiguration(f"got a budget of {self}, expected epsilon > 0 and 0 < delta < 1")


@dataclass(frozen=True)
class Statement:
    """What was spent of a budget: computed, never stored."""

    spent: Guarantee
    budget: Budget

    @property
    def left(self) -> float:
        """Epsilon still free; what a release costs beside others is less than its own epsilon, or as much."""
        return max(0.0, self.budget.epsilon - self.spent.epsilon)


class Ledger:
    """Charges and statements. Threads, processes and forks may share one directory."""

    def __init__(self, directory: Path, per_subject: Budget, per_device: Budget) -> None:
        """Open or begin the ledger in an existing, private directory.

        Raises IntegrityError for a damaged one, StoreFailed when the disk refuses.
        """
        self.per_subject, self.per_device = per_subject, per_device
        self._file = LedgerFile(directory / LEDGER_NAME)
        self._subjects: dict[str, Counter[Event]] = {}
        self._devices: dict[str, Counter[Event]] = {}
        self._lock = threading.Lock()
        with self._lock, self._file.locked():
            self._catch_up()

    def charge(self, event: Event, device: str, subjects: Sequence[str], at: str = "") -> None:
        """Charge one release for each entry of ``subjects``; when this returns, it is on disk: then release.

        ``at`` is the time as the caller writes it: this room has no clock. All or nothing.

        Raises:
            BudgetExceeded: a subject's or the device's budget does not hold it; nothing was charged.
            UnsupportedEvent: no accountant understands the event, or one that was charged before.
            StoreFailed: the disk refused; do not release.
            IntegrityError: the ledger is damaged.
        """
        for name in (device, *subjects):
            if not 0 < len(name) <= LONGEST_NAME:
                raise InvalidName(f"got a name of {len(name)} letters for a ledger, expected 1 to {LONGEST_NAME}")
        loss_of(event)
        counts = Counter(subjects)
        if not counts:
            return
        with self._lock, self._file.locked():
            self._catch_up()
            self._require_room(event, device, counts)
            self._file.append(_to_text(event, device, counts, at))
            self._apply(event, device, counts)

    def subject(self, name: str) -> Statement:
        """What one subject's releases amount to; a subject that was never charged has spent nothing."""
        return self._statement(self._subjects, name, self.per_subject)

    def device(self, name: str) -> Statement:
        """What one device's releases amount to."""
        return self._statement(self._devices, name, self.per_device)

    def every_subject(self) -> dict[str, Statement]:
        """What each subject's releases amount to, by name in order; subjects with equal events are computed once."""
        with self._lock, self._file.locked():
            self._catch_up()
            held = {name: frozenset(events.items()) for name, events in sorted(self._subjects.items())}
        computed = {
            events: Statement(compose(dict(events), self.per_subject.delta), self.per_subject)
            for events in set(held.values())
        }
        return {name: computed[events] for name, events in held.items()}

    def subjects(self) -> tuple[str, ...]:
        """Everyone who was ever charged, in order."""
        return self._names(self._subjects)

    def devices(self) -> tuple[str, ...]:
        """Every device that ever charged, in order."""
        return self._names(self._devices)

    def _names(self, counts: dict[str, Counter[Event]]) -> tuple[str, ...]:
        with self._lock, self._file.locked():
            self._catch_up()
            return tuple(sorted(counts))

    def _statement(self, counts: dict[str, Counter[Event]], name: str, budget: Budget) -> Statement:
        with self._lock, self._file.locked():
            self._catch_up()
            events = Counter(counts.get(name, Counter()))
        return Statement(compose(events, budget.delta), budget)

    def _require_room(self, event: Event, device: str, counts: Counter[str]) -> None:
        asked = [("the device", self._devices.get(device), counts.total(), self.per_device)]
        asked += [("a subject", self._subjects.get(name), count, self.per_subject) for name, count in counts.items()]
        held: set[frozenset[tuple[Event, int]]] = set()
        for owner, spent, count, budget in asked:
            events = Counter(spent or {}) + Counter({event: count})
            key = frozenset(events.items())
            if owner == "the device" or key not in held:
                _require_within(events, budget, owner)
            if owner != "the device":
                held.add(key)

    def _catch_up(self) -> None:
        try:
            for text in self._file.read_new():
                self._apply(*_from_text(text))
        except BaseException:
            # Lines that were read but not counted would be missing from every later sum.
            self._file.stop()
            raise

    def _apply(self, event: Event, device: str, counts: Mapping[str, int]) -> None:
        self._devices.setdefault(device, Counter())[event] += sum(counts.values())
        for name, count in counts.items():
            self._subjects.setdefault(name, Counter())[event] += count


def _require_within(events: Counter[Event], budget: Budget, owner: str) -> None:
    if not within(events, budget.epsilon, budget.delta):
        needed = compose(events, budget.delta)
        raise BudgetExceeded(
            f"{owner} would have spent epsilon {needed.epsilon:.4g} at delta {needed.delta:g} with this release, the "
            f"budget is {budget.epsilon:g}: nothing was released; leave it out or raise the budget (`unseen budget`)"
        )


def _to_text(event: Event, device: str, counts: Mapping[str, int], at: str) -> str:
    fields = {"at": at, "device": device, "event": json.loads(event.to_json()), "subjects": dict(counts)}
    return json.dumps(fields, sort_keys=True, separators=(",", ":"))


def _from_text(text: str) -> tuple[Event, str, dict[str, int]]:
    try:
        fields = read_json(text)
        event = json.dumps(fields["event"], sort_keys=True, separators=(",", ":"))
        counts = {str(name): int(count) for name, count in fields["subjects"].items()}
        device = str(fields["device"])
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError):
        raise IntegrityError("the ledger has a line that is no charge: a newer release may have written it") from None
    if min(counts.values(), default=0) < 1:
        raise IntegrityError("the ledger has a charge of nothing: what was spent cannot be told")
    return Event.from_json(event), device, counts
