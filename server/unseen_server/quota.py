"""How much each caller may use, counted before anything is computed and, where it can be, before anything is parsed.

    calls at once          counted while they last
    bytes, searches        a bucket that empties evenly in a minute
    bits about each row    a bucket that empties evenly in a day, for each caller and collection, kept on disk

A bucket may be filled at once and then as fast as it empties: over a long time that is the rate, in any one minute or
day at most twice of it. One that is full is QuotaExceeded with the seconds after which there is room.

Every score is a number about a row, so a query gives away `bits_per_coefficient` bits of each (docs/access.md does the
sums). What was given away is never forgotten by a crash: a part of the allowance is reserved on disk before it is used,
and what was reserved and not used counts as used. A clock that is put back empties nothing.

The server holds it: names of callers and collections as keys, no content.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from unseen.errors import QuotaExceeded
from unseen.store.interface import FactStore
from unseen.types import UID_BYTES
from unseen_server import limits
from unseen_server.call import Allowance, Caller
from unseen_server.workers import Workers

MINUTE_S, DAY_S = 60.0, 86400.0
RELEASED = "released"
"""Kind of the facts that reservations are."""
RESERVED_PART = 8
"""An eighth of an allowance is reserved at a time: a disk write for every eighth, a lost eighth after a crash."""

DEFAULT = Allowance(
    calls_at_once=32,
    bytes_per_minute=1 << 30,
    searches_per_minute=600,
    bits_per_row_per_day=1500,
)
"""What a caller may use unless the server or its token says otherwise. Generous for people, finite for programs: 1,500
bits are 170 searches a day, half of what a row of 512 coordinates holds."""


@dataclass
class Bucket:
    """A level that sinks evenly, by ``allowance`` in ``window_s``."""

    level: float = 0.0
    at: float = 0.0

    def sink(self, allowance: float, window_s: float, now: float) -> None:
        """Bring the level to now. A clock that went back sinks nothing."""
        self.level = max(0.0, self.level - max(0.0, now - self.at) * allowance / window_s)
        self.at = now

    def wait_s(self, amount: float, allowance: float, window_s: float) -> float | None:
        """Seconds until there is room for an amount: 0.0 for at once, None for never."""
        if amount > allowance:
            return None
        return max(0.0, self.level + amount - allowance) * window_s / allowance


@dataclass
class Released:
    """Bits about each row of one collection that one caller may have learnt, and what of them is on disk."""

    used: Bucket
    reserved: Bucket
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)


class Quotas:
    """Every caller's. Used by one event loop."""

    def __init__(
        self,
        workers: Workers,
        everybody: Allowance = DEFAULT,
        monotonic_s: Callable[[], float] = time.monotonic,
        clock_s: Callable[[], float] = time.time,
    ) -> None:
        self._workers = workers
        self._everybody = everybody
        self._monotonic_s = monotonic_s
        self._clock_s = clock_s
        self._calls: dict[tuple[str, str], int] = {}
        self._bytes: dict[tuple[str, str], Bucket] = {}
        self._searches: dict[tuple[str, str], Bucket] = {}
        self._released: dict[bytes, Released] = {}
        self._store: FactStore

    def keep_in(self, store: FactStore) -> None:
        """Where reservations go. To be called before the first call comes; the store is opened after the port."""
        self._store = store

    def allowance_of(self, caller: Caller) -> Allowance:
        """What a caller may use, every number filled in; all None for the server's own machine: no limit."""
        if caller.is_local:
            return Allowance()
        own, everybody = caller.allowance, self._everybody
        return Allowance(
            _or(own.calls_at_once, everybody.calls_at_once),
            _or(own.bytes_per_minute, everybody.bytes_per_minute),
            _or(own.searches_per_minute, everybody.searches_per_minute),
            _or(own.bits_per_row_per_day, everybody.bits_per_row_per_day),
        )

    # Calls, bytes, searches

    @contextmanager
    def under_way(self, caller: Caller) -> Iterator[None]:
        """Count a call while it lasts; QuotaExceeded when the caller has too many already."""
        key, most = _key(caller), self.allowance_of(caller).calls_at_once
        if most is not None and self._calls.get(key, 0) >= most:
            raise QuotaExceeded(
                f"this caller has {most} calls under way, as many as it may; let one end first",
                retry_after_s=limits.RETRY_CALL_S,
            )
        self._calls[key] = self._calls.get(key, 0) + 1
        try:
            yield
        finally:
            self._calls[key] -= 1
            if not self._calls[key]:
                del self._calls[key]

    def take_bytes(self, caller: Caller, size_bytes: int) -> None:
        """Count bytes that a caller sent, before they are parsed; QuotaExceeded."""
        self._take(self._bytes, caller, size_bytes, self.allowance_of(caller).bytes_per_minute, "bytes a minute")

    def take_search(self, caller: Caller) -> None:
        """Count a search, answered or not; QuotaExceeded."""
        self._take(self._searches, caller, 1, self.allowance_of(caller).searches_per_minute, "searches a minute")

    def _take(
        self, buckets: dict[tuple[str, str], Bucket], caller: Caller, amount: int, allowance: int | None, what: str
    ) -> None:
        if allowance is None:
            return
        now = self._monotonic_s()
        if len(buckets) > limits.MAX_BUCKETS:
            _drop_empty(buckets, now, MINUTE_S)
        bucket = buckets.setdefault(_key(caller), Bucket(at=now))
        bucket.sink(allowance, MINUTE_S, now)
        _require_room(bucket, amount, allowance, MINUTE_S, what)
        bucket.level += amount

    # Bits about rows

    async def bits_left(self, caller: Caller, collection: bytes) -> float | None:
        """Bits about each row of a collection that may still leave now; None for no limit."""
        allowance = self.allowance_of(caller).bits_per_row_per_day
        if allowance is None:
            return None
        released = await self._find(caller, collection)
        released.used.sink(allowance, DAY_S, self._clock_s())
        return max(0.0, allowance - released.used.level)

    async def require_bits(self, caller: Caller, collection: bytes, bits_per_row: float) -> None:
        """QuotaExceeded when there is no room for a search: asked before its query is read."""
        allowance = self.allowance_of(caller).bits_per_row_per_day
        if allowance is not None:
            released = await self._find(caller, collection)
            released.used.sink(allowance, DAY_S, self._clock_s())
            _require_room(released.used, bits_per_row, allowance, DAY_S, "bits of a row a day")

    async def release(self, caller: Caller, collection: bytes, bits_per_row: float) -> None:
        """Count a search's bits before any leaves; on disk when this returns. QuotaExceeded, StoreFailed."""
        allowance = self.allowance_of(caller).bits_per_row_per_day
        if allowance is None:
            return
        released = await self._find(caller, collection)
        async with released.turn:
            now = self._clock_s()
            for bucket in (released.used, released.reserved):
                bucket.sink(allowance, DAY_S, now)
            _require_room(released.used, bits_per_row, allowance, DAY_S, "bits of a row a day")
            released.used.level += bits_per_row
            if released.reserved.level < released.used.level:
                ahead = min(float(allowance), released.used.level + allowance / RESERVED_PART)
                await self._write(caller, collection, released, Bucket(ahead, now))

    async def settle(self) -> None:
        """Give back what is reserved and not used: at the end, when no search is under way."""
        for key, released in self._released.items():
            if released.reserved.level > released.used.level:
                await self._append(key, released.used)

    async def _find(self, caller: Caller, collection: bytes) -> Released:
        key = _released_key(caller, collection)
        found = self._released.get(key)
        if found is None:
            if len(self._released) > limits.MAX_BUCKETS:
                self._drop_settled()
            last = await self._workers.change(self._read, key)
            # Another search of the same caller may have been here meanwhile: its count stands.
            found = self._released.setdefault(key, Released(Bucket(last.level, last.at), Bucket(last.level, last.at)))
        return found

    def _read(self, key: bytes) -> Bucket:
        facts = self._store.facts(RELEASED, key)
        if not facts:
            return Bucket()
        content = json.loads(facts[-1].body)
        return Bucket(content["level"], content["at"])

    async def _write(self, caller: Caller, collection: bytes, released: Released, reserved: Bucket) -> None:
        await self._append(_released_key(caller, collection), reserved)
        released.reserved = reserved

    async def _append(self, key: bytes, bucket: Bucket) -> None:
        body = json.dumps({"level": bucket.level, "at": bucket.at}).encode()
        await self._workers.change(self._store.append_fact, RELEASED, key, body)

    def _drop_settled(self) -> None:
        """Forget in memory who has not searched for a day: what is on disk says the same."""
        now = self._clock_s()
        gone = [key for key, one in self._released.items() if now - one.used.at > DAY_S and not one.turn.locked()]
        for key in gone:
            del self._released[key]


def _or(own: int | None, everybody: int | None) -> int | None:
    return everybody if own is None else own


def _key(caller: Caller) -> tuple[str, str]:
    return caller.tenant, caller.name


def _released_key(caller: Caller, collection: bytes) -> bytes:
    named = f"{caller.tenant}\0{caller.name}\0".encode() + collection
    return hashlib.sha256(b"unseen released\0" + named).digest()[:UID_BYTES]


def _require_room(bucket: Bucket, amount: float, allowance: float, window_s: float, what: str) -> None:
    wait_s = bucket.wait_s(amount, allowance, window_s)
    if wait_s is None:
        raise QuotaExceeded(f"this call takes more than the {allowance:,.0f} {what} that this caller may use at all")
    if wait_s:
        wait_s = math.ceil(wait_s * 10) / 10
        raise QuotaExceeded(
            f"this caller has used its {allowance:,.0f} {what}; there is room again in {wait_s:,.1f} s",
            retry_after_s=wait_s,
        )


def _drop_empty(buckets: dict[tuple[str, str], Bucket], now: float, window_s: float) -> None:
    for key in [key for key, bucket in buckets.items() if now - bucket.at > window_s]:
        del buckets[key]
