"""What a flow may ask of whoever drives it: every public call is a generator that does no network I/O of its own.

A flow yields a step and is sent the step's result, or has the step's error thrown in. ``Client`` and ``AsyncClient``
drive the same flows, tests drive them by hand. Steps stay on the device; only an ``Exchange`` reaches the server.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

from google.protobuf.message import Message

Result = TypeVar("Result")


@dataclass(frozen=True)
class Rpc:
    """One method of the contract: its path on the wire and the types that travel."""

    path: str
    request_type: type[Message]
    reply_type: type[Message]
    leaves_receipt: bool = False
    """Whether an answer without a receipt of the server's audit log is refused, once that log is known."""


@dataclass(frozen=True)
class Exchange:
    """Send these messages to the server and hand each reply to ``receive`` as it comes. Result: None.

    Throws in ServerUnavailable, DeadlineExceeded or the error the server named. The same exchange may be driven again:
    it sends the same bytes.
    """

    rpc: Rpc
    requests: Sequence[Message]
    timeout_s: float
    receive: Callable[[Any], None]


@dataclass(frozen=True)
class Local:
    """Do work on this device: disk, images, cryptography. Result: what the work returns. May take long."""

    work: Callable[[], Any]


@dataclass(frozen=True)
class Pause:
    """Wait before trying again. Result: None."""

    seconds: float


@dataclass(frozen=True)
class Progress:
    """So much is done: for people who wait. Result: None."""

    done: int
    total: int
    what: str


Step: TypeAlias = Exchange | Local | Pause | Progress
Flow: TypeAlias = Generator[Step, Any, Result]


def local(work: Callable[[], Result]) -> Flow[Result]:
    """Have the driver do ``work`` on this device and give back its result."""
    result: Result = yield Local(work)
    return result
