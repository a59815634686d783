"""Asking the server, and asking again while it is unavailable: exponential back-off with jitter, up to a time budget.

Leaks to the server: how often it was asked. A retry sends the very bytes of the first try, so a mutation is carried
out once (its request id is the same) and a query's one-time encryption is never used for a second message.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from google.protobuf.message import Message

from unseen.entropy import random_bytes
from unseen.errors import (
    AuditUnavailable,
    DeadlineExceeded,
    MalformedMessage,
    QuotaExceeded,
    ServerBusy,
    ServerUnavailable,
    UnseenError,
)
from unseen_client.steps import Exchange, Flow, Pause, Rpc

FIRST_PAUSE_S = 0.1
"""A restarting server needs about this long to listen again."""
LONGEST_PAUSE_S = 3.0
"""Long enough not to press a server that is down, short enough to notice within seconds that it is back."""
SHORTEST_TRY_S = 0.1
"""Another try is begun while this much time is left: in less, it might only say that the time was too short."""


class Receiver(Protocol):
    """Takes the replies of one exchange; a new one is made for every try."""

    def take(self, reply: Any) -> None:
        """Take one reply message."""

    def finish(self) -> None:
        """The stream ended well; raise ServerUnavailable when something is missing all the same."""

    def close(self) -> None:
        """Drop what was taken: this try failed."""


AnyReceiver = TypeVar("AnyReceiver", bound=Receiver)
AnyMessage = TypeVar("AnyMessage", bound=Message)


@dataclass(frozen=True)
class Patience:
    """How long to go on asking, and how fast."""

    timeout_s: float
    clock: Callable[[], float]
    """Monotonic seconds."""
    server: str
    """The address, for messages."""

    def longer(self, extra_s: float) -> Patience:
        """The same with more time: for work that grows with the collection."""
        return Patience(self.timeout_s + extra_s, self.clock, self.server)


def pause_s(failed_tries: int) -> float:
    """Seconds to wait after so many failed tries: doubled each time, then anywhere in its upper half."""
    longest = min(FIRST_PAUSE_S * float(2 ** min(failed_tries - 1, 20)), LONGEST_PAUSE_S)
    return longest * (0.5 + random_bytes(1)[0] / 512)


def later_s(asked_s: float) -> float:
    """The time that a server asked for and up to a quarter more: else all that it sent away come back together."""
    return asked_s * (1 + random_bytes(1)[0] / 1024)


def ask(
    patience: Patience,
    rpc: Rpc,
    requests: Sequence[Message],
    make_receiver: Callable[[], AnyReceiver],
    *,
    exchange_s: float = 0.0,
) -> Flow[AnyReceiver]:
    """Exchange ``requests`` for what the receiver collects, trying again while the server is unavailable or busy.

    A try that goes on may take ``exchange_s``, where that is longer; no other one is begun in the last SHORTEST_TRY_S
    of the patience. Where the server says how long to wait, that long at least. Raises ServerUnavailable, ServerBusy,
    AuditUnavailable, QuotaExceeded or DeadlineExceeded when the time is over or would be, and at once whatever else
    the server answers.
    """
    began_at = patience.clock()
    give_up_at = began_at + patience.timeout_s
    if patience.timeout_s <= 0:
        raise DeadlineExceeded(f"got {patience.timeout_s:g} s for {patience.server}; give a longer timeout_s")
    shortest_s = min(SHORTEST_TRY_S, patience.timeout_s)
    for tries in itertools.count(1):
        left_s = max(give_up_at - patience.clock(), shortest_s)  # a pause may have lasted longer than it should
        try:
            return (yield from _try_once(rpc, requests, make_receiver(), max(left_s, exchange_s)))
        except (ServerUnavailable, ServerBusy, AuditUnavailable, QuotaExceeded) as error:
            if isinstance(error, QuotaExceeded) and error.retry_after_s is None:
                raise
            wait_s = max(pause_s(tries), later_s(error.retry_after_s or 0.0))
            if patience.clock() + wait_s > give_up_at - SHORTEST_TRY_S:
                raise _given_up(error, tries, max(patience.timeout_s, patience.clock() - began_at)) from error
            yield Pause(wait_s)
    raise AssertionError("unreachable: the loop above ends by returning or raising")


def _try_once(rpc: Rpc, requests: Sequence[Message], receiver: AnyReceiver, timeout_s: float) -> Flow[AnyReceiver]:
    try:
        yield Exchange(rpc, requests, timeout_s, receiver.take)
        receiver.finish()
    except BaseException:
        receiver.close()
        raise
    return receiver


def _given_up(error: UnseenError, tries: int, seconds: float) -> UnseenError:
    words = f"{error}; tried {tries} times in {seconds:.6g} s"
    return type(error)(words, retry_after_s=error.retry_after_s)


class OneReply:
    """Receives exactly one message."""

    def __init__(self) -> None:
        self._replies: list[Message] = []

    def take(self, reply: Message) -> None:
        if self._replies:
            raise MalformedMessage(
                "got a second answer to a question that has one; the server does not fit this client"
            )
        self._replies.append(reply)

    def finish(self) -> None:
        if not self._replies:
            raise ServerUnavailable("the answer was cut before it came")

    def close(self) -> None:
        self._replies.clear()

    def reply(self, kind: type[AnyMessage]) -> AnyMessage:
        """The message, as its own type."""
        reply = self._replies[0]
        if not isinstance(reply, kind):
            raise TypeError(f"got {type(reply).__name__}, expected {kind.__name__}")
        return reply


def ask_one(patience: Patience, rpc: Rpc, requests: Sequence[Message], kind: type[AnyMessage]) -> Flow[AnyMessage]:
    """Exchange ``requests`` for the one message that answers them."""
    receiver = yield from ask(patience, rpc, requests, OneReply)
    return receiver.reply(kind)
