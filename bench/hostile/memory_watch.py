"""How much a server's memory rises at once, and how much it has grown in the end."""

from __future__ import annotations

import threading
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from bench.process import peak_resident_bytes, resident_bytes

LOOKED_EVERY_S = 0.5
LOOKS_BACK = 4
"""A peak is held against the least of so many looks, two seconds: one may come when a call has half of its memory."""
PARTS = 5
"""The least of the first and of the last fifth are compared: a server keeps what was freed for up to half a minute."""


class MemoryWatch:
    """Looks at a process again and again, as long as a block."""

    def __init__(self, process_id: int, every_s: float = LOOKED_EVERY_S) -> None:
        self._process_id = process_id
        self._every_s = every_s
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look)
        self._held = [resident_bytes(process_id)]
        self._rises = [0]

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()

    @property
    def looks(self) -> int:
        return len(self._held)

    @property
    def most_at_once_bytes(self) -> int:
        """The most that it rose within a few looks: no call took more.

        Only root may have the system forget the highest point; for others it is the highest since the process began,
        above what is held: never less.
        """
        return max(self._rises)

    @property
    def grown_bytes(self) -> int:
        """What it holds in the last fifth of the looks and did not in the first."""
        part = -(-len(self._held) // PARTS)
        return min(self._held[-part:]) - min(self._held[:part])

    def _look(self) -> None:
        with suppress(OSError):  # the process has ended: others say so
            while not self._ended.is_set():
                held = resident_bytes(self._process_id)
                with suppress(PermissionError):
                    Path(f"/proc/{self._process_id}/clear_refs").write_text("5")  # proc(5): forget the peak
                self._ended.wait(self._every_s)
                self._held.append(held)
                self._rises.append(peak_resident_bytes(self._process_id) - min(self._held[-LOOKS_BACK:]))
