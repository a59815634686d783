"""Sends hostile calls and says what became of each: answered, refused as it should be, or what must not be."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import grpc

from bench.hostile.attack import Attack
from unseen import wire
from unseen.errors import UnseenError
from unseen_server.acts import ACTS, Kind

TIMEOUT_S = 60.0
SLOW_S = 1.0
TRIES = 3
"""A call whose answer or refusal began after more than a second is sent again: on a busy machine one may wait, a costly
one always does. A change that was carried out is not: its request id is known by then, and the answer lies ready."""
OUR_CODES = {kind.code: wire.grpc_status_name(kind()) for kind in wire._error_tree(UnseenError)}
TRANSPORT = "RESOURCE_EXHAUSTED"
"""What gRPC itself says of a message or of metadata above its limits."""
MOST_REPLIES = 20
"""Messages of one answer that are read: a whole audit log, a whole backup say nothing that their beginning does not."""
UNKNOWN_CODE = UnseenError.code
ANSWERED, REFUSED = "answered", "refused"


@dataclass
class Tally:
    """What became of the calls of one sender."""

    sent: Counter[str] = field(default_factory=Counter)
    """By kind of attack."""
    methods: Counter[str] = field(default_factory=Counter)
    outcomes: Counter[str] = field(default_factory=Counter)
    codes: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    """Refusals without their type, and answers to whom nothing may be answered."""
    slow: list[str] = field(default_factory=list)
    """Calls that are slow every time, and changes that were slow when they were carried out."""
    slow_once: int = 0
    slowest_s: float = 0.0

    def add(self, other: Tally) -> None:
        for mine, its in (
            (self.sent, other.sent),
            (self.methods, other.methods),
            (self.outcomes, other.outcomes),
            (self.codes, other.codes),
        ):
            mine.update(its)
        self.wrong += other.wrong
        self.slow += other.slow
        self.slow_once += other.slow_once
        self.slowest_s = max(self.slowest_s, other.slowest_s)


class Sender:
    """One connection."""

    def __init__(self, address: str) -> None:
        options = [
            *(("grpc.use_local_subchannel_pool", 1), ("grpc.max_send_message_length", 64 << 20)),
            *(("grpc.max_receive_message_length", 64 << 20), ("grpc.max_metadata_size", 1 << 20)),
        ]
        self._channel = grpc.insecure_channel(address, options)
        self.tally = Tally()
        self._began_s = self._answered_s = 0.0

    def close(self) -> None:
        self._channel.close()

    def send(self, attack: Attack) -> None:
        """Send it, and count what became of it."""
        self.tally.sent[attack.kind] += 1
        self.tally.methods[attack.method] += 1
        outcome, seconds = "", 0.0
        for tried in range(TRIES):
            self._began_s, self._answered_s = time.perf_counter(), 0.0
            outcome = self._outcome(attack)
            seconds = (self._answered_s or time.perf_counter()) - self._began_s
            if seconds <= SLOW_S:
                self.tally.slowest_s = max(self.tally.slowest_s, seconds)
                break
            self.tally.slow_once += not tried
            if _is_done(attack, outcome):
                self._slow(attack, seconds, tried + 1)
                break
        else:
            self._slow(attack, seconds, TRIES)
        if outcome == ANSWERED and attack.must_be_refused:
            outcome = "let in"
            self.tally.wrong.append(f"{attack.method}, {attack.kind}: answered to somebody who may not ask")
        self.tally.outcomes[outcome] += 1

    def _slow(self, attack: Attack, seconds: float, times: int) -> None:
        self.tally.slowest_s = max(self.tally.slowest_s, seconds)
        self.tally.slow.append(f"{attack.method}, {attack.kind}: {seconds:.1f} s, {times} times")

    def _outcome(self, attack: Attack) -> str:
        call = self._channel.stream_stream(f"/unseen.v1.{attack.method}", _as_it_is, _as_it_is)
        try:
            if attack.leaves_after is not None:
                return self._left(call, attack)
            answer: Any = call(iter(attack.messages), metadata=attack.all_metadata, timeout=TIMEOUT_S)
            for number, _ in enumerate(answer):
                self._answered_s = self._answered_s or time.perf_counter()
                if number == MOST_REPLIES:
                    answer.cancel()
                    break
        except grpc.RpcError as error:
            return self._refused(attack, error)
        return ANSWERED

    def _left(self, call: Any, attack: Attack) -> str:
        """Send some of it, then be gone."""

        begun = threading.Event()

        def some() -> Iterator[bytes]:
            yield from attack.messages[: attack.leaves_after]
            begun.wait(TIMEOUT_S)
            under_way.cancel()

        under_way = call(some(), metadata=attack.all_metadata, timeout=TIMEOUT_S)
        begun.set()
        try:
            for _ in under_way:
                pass
        except grpc.RpcError as error:
            if error.code() is grpc.StatusCode.CANCELLED:
                return "left by the caller"
            return self._refused(attack, error)
        return ANSWERED

    def _refused(self, attack: Attack, error: Any) -> str:
        status, trailer = error.code().name, dict(error.trailing_metadata() or ())
        code = trailer.get(wire.CODE_METADATA_KEY)
        self.tally.codes[f"{code or 'without a code'} ({status})"] += 1
        if code is None and attack.by_transport and status == TRANSPORT:
            return "refused by gRPC"
        if code is None or code == UNKNOWN_CODE or OUR_CODES.get(code) != status or status in ("UNKNOWN", "INTERNAL"):
            self.tally.wrong.append(f"{attack.method}, {attack.kind}: {status} {code} {error.details()!r}"[:400])
            return "refused without its type"
        return REFUSED


def _is_done(attack: Attack, outcome: str) -> bool:
    """Whether it was a change that may have been carried out: what was refused was not."""
    return ACTS[attack.method.partition("/")[2]] is Kind.CHANGE and not outcome.startswith(REFUSED)


def _as_it_is(data: bytes) -> bytes:
    return data
