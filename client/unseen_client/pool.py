"""Queries prepared ahead: fresh keys and encryptions of zero, made while nobody waits, each used once.

Holds secret key material in memory, never on disk. What was prepared before a fork belongs to the parent and is dropped
in the child, so that no encryption can serve two messages.
"""

from __future__ import annotations

import os
import threading
import time
from collections import OrderedDict, deque
from types import TracebackType
from typing import TypeAlias

from unseen.he.packing import Packing
from unseen.he.secret import PreparedQuery
from unseen.params import ParameterSet

READY_PER_PACKING = 3
"""Covers a burst of clicks; each is up to a few MB for a small packing factor."""
MOST_PACKINGS = 4
"""Collections searched lately; older ones are forgotten."""
IDLE_S = 0.05
"""Preparing holds the interpreter's lock: it waits until no query was asked for this long."""

_Kind: TypeAlias = tuple[str, Packing]


class QueryPool:
    """Hands out prepared queries, each once; refills itself in a thread of its own until closed."""

    def __init__(self) -> None:
        self._start_over()

    def take(self, parameters: ParameterSet, packing: Packing) -> PreparedQuery:
        """A query prepared ahead, or one prepared now when none is ready."""
        if self._process != os.getpid():
            self._start_over()
        with self._changed:
            shelf = self._shelf(parameters, packing)
            ready = shelf.popleft() if shelf else None
            self._quiet_from = time.monotonic() + IDLE_S
            self._start_refilling()
            self._changed.notify_all()
        return ready or PreparedQuery.prepare(parameters, packing)

    def ready(self, parameters: ParameterSet, packing: Packing) -> int:
        """How many are prepared for this packing."""
        with self._changed:
            return len(self._ready.get((parameters.id, packing), ()))

    def close(self) -> None:
        """Stop refilling and drop what is ready."""
        with self._changed:
            self._closed = True
            self._ready.clear()
            self._changed.notify_all()
        if self._refiller is not None and self._process == os.getpid():
            self._refiller.join()

    def __enter__(self) -> QueryPool:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _start_over(self) -> None:
        """Begin with nothing; after a fork with a lock of its own too: a thread of the parent may hold the old."""
        self._changed = threading.Condition()
        self._process = os.getpid()
        self._closed = False
        self._quiet_from = 0.0
        self._ready: OrderedDict[_Kind, deque[PreparedQuery]] = OrderedDict()
        self._parameters: dict[str, ParameterSet] = {}
        self._refiller: threading.Thread | None = None

    def _shelf(self, parameters: ParameterSet, packing: Packing) -> deque[PreparedQuery]:
        kind = (parameters.id, packing)
        self._parameters[parameters.id] = parameters
        shelf = self._ready.setdefault(kind, deque())
        self._ready.move_to_end(kind)
        while len(self._ready) > MOST_PACKINGS:
            self._ready.popitem(last=False)
        return shelf

    def _start_refilling(self) -> None:
        if self._refiller is None and not self._closed:
            self._refiller = threading.Thread(target=self._refill, name="unseen-query-pool", daemon=True)
            self._refiller.start()

    def _refill(self) -> None:
        while (kind := self._wait_for_want()) is not None:
            parameters, packing = self._parameters[kind[0]], kind[1]
            prepared = PreparedQuery.prepare(parameters, packing)
            with self._changed:
                if kind in self._ready and not self._closed:
                    self._ready[kind].append(prepared)

    def _wait_for_want(self) -> _Kind | None:
        """The packing that most lately ran low, once things are quiet; None when closed."""
        with self._changed:
            while not self._closed:
                wanted = [kind for kind, shelf in reversed(self._ready.items()) if len(shelf) < READY_PER_PACKING]
                quiet_in_s = self._quiet_from - time.monotonic()
                if wanted and quiet_in_s <= 0:
                    return wanted[0]
                self._changed.wait(quiet_in_s if wanted else None)
            return None
