"""A lock for many readers or one writer, where a waiting writer goes first.

Scans read, mutations write. Without preference a busy server would never let a writer in.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class ReadersWriterLock:
    """Between threads; not re-entrant: a reader that asks to write waits for itself."""

    def __init__(self) -> None:
        self._change = threading.Condition()
        self._readers = 0
        self._writing = False
        self._writers_waiting = 0

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Wait until no writer holds or awaits the lock, then share it."""
        with self._change:
            self._change.wait_for(lambda: not self._writing and not self._writers_waiting)
            self._readers += 1
        try:
            yield
        finally:
            with self._change:
                self._readers -= 1
                self._change.notify_all()

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Wait until nobody holds the lock, then hold it alone."""
        with self._change:
            self._writers_waiting += 1
            try:
                self._change.wait_for(lambda: not self._writing and not self._readers)
                self._writing = True
            finally:
                self._writers_waiting -= 1
        try:
            yield
        finally:
            with self._change:
                self._writing = False
                self._change.notify_all()
