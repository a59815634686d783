"""Waiting in tests for what other threads and processes do: until it has come about, and never for ever."""

from __future__ import annotations

import time
from collections.abc import Callable

PAUSE_S = 0.01


def until(what: str, condition: Callable[[], object], timeout_s: float = 120.0, pause_s: float = PAUSE_S) -> None:
    """Return when the condition holds; AssertionError with the words for it where it does not come to.

    pause_s: longer where asking costs those who are waited for.
    """
    latest = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < latest, f"after {timeout_s:g} s it has not come to this: {what}"
        time.sleep(pause_s)
