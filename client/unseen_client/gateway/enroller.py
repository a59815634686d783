"""Takes objects out of the queue and enrols them, by the same call as `unseen enrol-dicom`, whatever one of them is.

    waiting -> a batch, written down as in hand -> Client.enrol_dicom -> refused ones into quarantine, the others let go

Runs at the edge of the site. What a batch fails with is either nobody's fault among its objects (no server, no key, a
full disk): then everything waits, longer each time, or may be one object's: then each goes alone, and the one that
fails is refused. Objects that were in hand when the process died go alone as well, and are refused after MOST_TRIES.
Every object becomes rows of its own: what becomes of a slice does not depend on which others have come by then, and
sending it twice changes nothing, because a row's id is computed from the object's pseudonym.
"""

from __future__ import annotations

import json
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace

from unseen.errors import (
    BudgetExceeded,
    ConsentNotValid,
    InvalidConfiguration,
    InvalidInput,
    MalformedMessage,
    UnseenError,
)
from unseen.json_text import read_json
from unseen_client.gateway.quarantine import Bounds
from unseen_client.gateway.queue import Queue, QueuedObject
from unseen_client.home import disk_failures, write_private
from unseen_client.report import DicomEnrolReport

Enrol = Callable[[list[QueuedObject]], DicomEnrolReport]
OBJECTS_PER_BATCH = 50
MOST_TRIES = 5
"""Of an object during which the process died: a machine that is switched off now and then is not the object's fault."""
SHORTEST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 60.0
LOOK_EVERY_S = 0.2
EXPIRE_EVERY_S = 10.0
IN_HAND = "in-hand.json"
_OWN_FAULT = (ConsentNotValid, BudgetExceeded, InvalidInput)
"""What one object among others may bring about; its subclasses that speak of settings and servers are not meant."""
_SETTINGS = (InvalidConfiguration, MalformedMessage)


@dataclass(frozen=True)
class Work:
    """What became of objects since the gateway was started."""

    enrolled: int = 0
    """Objects whose rows are on the server's disk, those that were there before among them."""
    refused: int = 0
    destroyed: int = 0
    """Objects in quarantine that were too old, or too many."""
    waiting_for: str = ""
    """The code of the error that everything waits for, such as SERVER_UNAVAILABLE; empty while work goes on."""
    enrolled_at_s: float = 0.0
    """When the last batch was done, seconds since 1970."""


class Enroller:
    """Works until it is told to stop, in one thread; ``work`` may be read by others."""

    def __init__(self, queue: Queue, enrol: Enrol, bounds: Bounds | None = None) -> None:
        """bounds: of the quarantine; None for the usual ones."""
        self._queue = queue
        self._enrol = enrol
        self._bounds = bounds or Bounds()
        self._expired_at_s = float("-inf")
        self._ahead: deque[QueuedObject] = deque()
        self._alone: set[str] = set()
        """Names, without their tries, of objects that go alone."""
        self.work = Work()

    def run(self, stop: threading.Event) -> None:
        """Enrol what waits and what comes, until ``stop`` is set."""
        self._alone = self._left_in_hand()
        pause_s = SHORTEST_PAUSE_S
        while not stop.is_set():
            try:
                self._expire()
                found = self.step()
            except UnseenError as error:
                self.work = replace(self.work, waiting_for=error.code)
                self._ahead.clear()
                stop.wait(pause_s)
                pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
                continue
            self.work = replace(self.work, waiting_for="")
            pause_s = SHORTEST_PAUSE_S
            if not found:
                stop.wait(LOOK_EVERY_S)

    def step(self) -> bool:
        """Work on one batch; whether there was any. Raises what everything has to wait for."""
        self._ahead = self._ahead or deque(self._queue.waiting())
        if not self._ahead:
            return False
        batch = [self._ahead.popleft()]
        if batch[0].stem in self._alone:
            self._try_alone(batch[0])
            self._alone.discard(batch[0].stem)
            return True
        while self._ahead and len(batch) < OBJECTS_PER_BATCH and self._ahead[0].stem not in self._alone:
            batch.append(self._ahead.popleft())
        if self._failure_of(batch) is not None:
            self._alone |= {one.stem for one in batch}
            self._ahead.extendleft(reversed(batch))
        return True

    def _expire(self) -> None:
        if time.monotonic() - self._expired_at_s < EXPIRE_EVERY_S:
            return
        self._expired_at_s = time.monotonic()
        destroyed = self._queue.expire(self._bounds, time.time())
        self.work = replace(self.work, destroyed=self.work.destroyed + destroyed)

    def _try_alone(self, one: QueuedObject) -> None:
        if one.tries >= MOST_TRIES:
            self._refuse(one, "GAVE_UP", f"the gateway failed or was ended {MOST_TRIES} times while it worked on this")
            return
        one = replace(one, name=self._queue.tried(one.name, 1))
        try:
            failure = self._failure_of([one])
        except UnseenError:
            self._queue.tried(one.name, -1)
            raise
        if failure is not None:
            self._refuse(one, *failure)

    def _failure_of(self, batch: list[QueuedObject]) -> tuple[str, str] | None:
        """Enrol objects; None when they are settled, code and reason when one of them may be why they are not.

        Raises what everything has to wait for.
        """
        try:
            with self._in_hand(batch):
                self._settle(batch, self._enrol(batch))
        except UnseenError as error:
            if not _may_be_one_objects_fault(error):
                raise
            return error.code, str(error)
        except Exception as error:  # noqa: BLE001 - decoders, models: whatever it is, the next object is not to wait
            return "FAILED", f"the gateway failed on this object with {type(error).__name__}"
        return None

    def _settle(self, batch: list[QueuedObject], report: DicomEnrolReport) -> None:
        refused = {refusal.source: refusal for refusal in report.refused}
        for one in batch:
            if one.name in refused:
                self._refuse(one, refused[one.name].code, refused[one.name].reason)
            else:
                self._queue.done(one.name)
        enrolled = self.work.enrolled + len(batch) - len(refused)
        self.work = replace(self.work, enrolled=enrolled, enrolled_at_s=time.time())

    def _refuse(self, one: QueuedObject, code: str, reason: str) -> None:
        self._queue.refuse(one.name, code, reason)
        self.work = replace(self.work, refused=self.work.refused + 1)

    @contextmanager
    def _in_hand(self, batch: list[QueuedObject]) -> Iterator[None]:
        """Have it written down what is worked on, until the block ends in any other way than the process."""
        path = self._queue.folder / IN_HAND
        write_private(path, json.dumps([one.stem for one in batch]).encode())
        try:
            yield
        finally:
            with suppress(OSError):  # where it stays they go alone after the next start, no more
                path.unlink(missing_ok=True)

    def _left_in_hand(self) -> set[str]:
        """What the process before this one was working on; those that are gone meanwhile do no harm."""
        path = self._queue.folder / IN_HAND
        with disk_failures(path), suppress(ValueError, TypeError):
            return set(map(str, read_json(path.read_bytes()))) if path.exists() else set()
        return set()


def _may_be_one_objects_fault(error: UnseenError) -> bool:
    return isinstance(error, _OWN_FAULT) and not isinstance(error, _SETTINGS)
