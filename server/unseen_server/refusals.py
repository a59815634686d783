"""Refused calls in both logs: the first of a kind at once, the rest as a count, so that a flood fills no disk.

A kind is a caller, a method and an error's code. A kill loses the counts of the last WINDOW_S.
"""

from __future__ import annotations

import asyncio
import logging
from concurrent.futures import Future

from unseen.audit.leaf import Details
from unseen.audit.receipt import Receipt
from unseen.errors import StoreFailed
from unseen_server.audit import Audit
from unseen_server.call import Caller

log = logging.getLogger(__name__)

WINDOW_S = 10.0
"""A flood leaves at most two leaves of a kind in it."""
MOST_KINDS = 256
"""Kinds of one window that are told apart; the others share a leaf."""
STRANGER = Caller(tenant="", name="unauthenticated", roles=frozenset())
"""Who calls without showing who it is."""
OTHERS = (Caller(tenant="", name="several", roles=frozenset()), "several", "SEVERAL")

_Kind = tuple[Caller, str, str]


class Refusals:
    """Used by one event loop."""

    def __init__(self, audit: Audit) -> None:
        self._audit = audit
        self._more: dict[_Kind, int] = {}
        self._told: set[_Kind] = set()
        """Kinds of this window whose calls had leaves of their own."""

    def note(self, caller: Caller | None, method: str, code: str, has_leaf: bool = False) -> bool:
        """A call was refused; whether it is the first of its kind. Nobody waits for its leaf: nothing was done.

        A call that ``has_leaf`` gets no other one: a change that was tried, or a read that was taken back.
        """
        kind = (caller or STRANGER, method, code)
        if has_leaf:
            if kind in self._told or len(self._told) >= MOST_KINDS:
                return False
            self._told.add(kind)
            return True
        if kind in self._more:
            self._more[kind] += 1
            return False
        if len(self._more) < MOST_KINDS:
            self._more[kind] = 0
            self._write(kind, None)
            return True
        self._more[OTHERS] = self._more.get(OTHERS, 0) + 1
        return False

    def end_window(self) -> None:
        """Write the counts down and begin again."""
        for kind, count in self._more.items():
            if count:
                self._write(kind, count)
                log.info("more calls refused", extra={"method": kind[1], "code": kind[2], "count": count})
        self._more = {}
        self._told = set()

    async def run(self) -> None:
        """End one window after the other, until cancelled."""
        while True:
            await asyncio.sleep(WINDOW_S)
            self.end_window()

    def _write(self, kind: _Kind, count: int | None) -> None:
        caller, method, code = kind
        try:
            self._audit.record(caller, method, code, Details(count=count)).add_done_callback(_whatever_came)
        except StoreFailed:
            return  # closing: the call was refused all the same


def _whatever_came(_: Future[Receipt]) -> None:
    """The audit log itself says when it cannot be written."""
