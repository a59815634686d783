"""One hostile call: who makes it, its messages, its metadata; and how such calls are drawn, the same for one seed."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from google.protobuf.message import Message

from bench.hostile.cast import Cast
from bench.hostile.field_level import break_fields, break_query
from bench.hostile.right_calls import RIGHT, search
from bench.hostile.stage import Tokens
from bench.hostile.wire_level import BREAKS, at_some_level
from bench.terms import PURPOSE
from unseen.v1 import search_pb2

OPERATORS = ("OperatorService/GetStatus", "OperatorService/CreateBackup")
RARE = frozenset({"OperatorService/CreateBackup", "AuditService/ExportLeaves", "IndexService/SyncCatalogue"})
"""Answered at length when nothing about them is wrong enough: drawn a tenth as often."""
TOO_LARGE_BYTES = (1 << 20) + (64 << 10) + 1
METADATA_BYTES = (1000, 9000, 100_000)
ENTRY_BYTES = 32
"""What HTTP/2 counts for an entry beside its name and value (RFC 9113, section 10.5.1)."""


@dataclass(frozen=True)
class Attack:
    """What is sent."""

    method: str
    kind: str
    """What was broken, for the table."""
    token: str
    messages: tuple[bytes, ...]
    metadata: tuple[tuple[str, str | bytes], ...] = ()
    leaves_after: int | None = None
    """Cancelled by the caller after so many messages; None for one that is sent to its end."""
    by_transport: bool = False
    """Whether gRPC itself may refuse it, before anything of ours sees it: without a code of ours."""
    must_be_refused: bool = False
    """Whether nothing may be answered, whatever it asks for: its token is none, or of somebody who may not."""

    @property
    def all_metadata(self) -> tuple[tuple[str, str | bytes], ...]:
        shown = (("authorization", f"Bearer {self.token}"),) if self.token else ()
        return (*shown, *self.metadata)


Draw = Callable[["Attacks", str, list[Message], random.Random], Attack]


def marked(attack: Attack) -> Attack:
    """The same, marked when one of its messages is above what gRPC reads."""
    return replace(attack, by_transport=True) if any(len(one) >= TOO_LARGE_BYTES for one in attack.messages) else attack


class Attacks:
    """Draws hostile calls. For one thread."""

    def __init__(self, tokens: Tokens, cast: Cast, seed: int) -> None:
        self.tokens = tokens
        self.cast = cast
        self._chance = random.Random(seed)
        self._methods = [method for method in RIGHT for _ in range(1 if method in RARE else 10)]

    def draw(self) -> Attack:
        """The next one."""
        chance = self._chance
        method = chance.choice(self._methods)
        right = list(chance.choice(RIGHT[method])(self.cast))
        break_it = chance.choices([one for one, _ in DRAWS], [weight for _, weight in DRAWS])[0]
        attack = break_it(self, method, right, chance)
        return marked(replace(attack, must_be_refused=not self.tokens.may_call(attack.token, attack.method)))

    def by(self, method: str, chance: random.Random) -> str:
        """Mostly who may call the method, in its own tenant; sometimes who may not."""
        if method in OPERATORS:
            return self.tokens.operator if chance.random() < 0.9 else self.tokens.rogue
        return self.tokens.rogue if chance.random() < 0.9 else self.tokens.reader


def _encoded(messages: Sequence[Message]) -> list[bytes]:
    return [message.SerializeToString() for message in messages]


def broken_fields(attacks: Attacks, method: str, right: list[Message], chance: random.Random) -> Attack:
    """A field says what cannot be."""
    message = chance.choice(right)
    break_fields(message, attacks.cast, chance)
    return Attack(method, "fields", attacks.by(method, chance), tuple(_encoded(right)))


def broken_bytes(attacks: Attacks, method: str, right: list[Message], chance: random.Random) -> Attack:
    """The bytes of a message are none, at some level of nesting."""
    parts, at = _encoded(right), chance.randrange(len(right))
    break_bytes = chance.choice(BREAKS)
    parts[at] = at_some_level(right[at], chance, break_bytes)
    return Attack(method, f"bytes: {break_bytes.__name__}", attacks.by(method, chance), tuple(parts))


def broken_order(attacks: Attacks, method: str, right: list[Message], chance: random.Random) -> Attack:
    """Messages are missing, come twice, or in another order; the header again, nothing at all, half of a stream."""
    parts = _encoded(right)
    at = chance.randrange(len(parts))
    orders: list[list[bytes]] = [
        *([], parts[:at], parts[at:], parts[::-1], [*parts, parts[0]], [parts[0], *parts], [b"", *parts]),
        *([*parts, b""], [*parts[:at], b"", *parts[at:]], parts * 3, [parts[-1]] * 50, [parts[0]] * 2),
    ]
    return Attack(method, "order of messages", attacks.by(method, chance), tuple(chance.choice(orders)))


def foreign_message(attacks: Attacks, method: str, right: list[Message], chance: random.Random) -> Attack:
    """The messages of one method, sent to another."""
    other = chance.choice([one for one in RIGHT if one not in RARE])
    return Attack(other, "messages of another method", attacks.by(other, chance), tuple(_encoded(right)))


def broken_query(attacks: Attacks, _: str, __: list[Message], chance: random.Random) -> Attack:
    """A search whose query is no encryption."""
    method, cast = "SearchService/Search", attacks.cast
    right = search(*chance.choice(((cast.free, ""), (cast.agreed, PURPOSE))))
    query = break_query([part.query for part in right[1:]], chance)
    parts = [right[0], *(search_pb2.SearchRequest(query=query[start : start + (1 << 19)]) for start in (0, 1 << 19))]
    kept = [part for part in parts if part is right[0] or part.query]
    return Attack(method, "query", attacks.by(method, chance), tuple(_encoded(kept)))


def broken_token(attacks: Attacks, method: str, right: list[Message], chance: random.Random) -> Attack:
    """No token, half of one, two, one of another make; or one of somebody who may not."""
    good = attacks.by(method, chance)
    wrong = chance.choice(("", good[:-1], good + "A", "unseen_" + "A" * 64, "a.b.c", good.upper(), "x" * 3000, "é"))
    metadata: tuple[tuple[str, str | bytes], ...] = ()
    if chance.random() < 0.3:
        metadata = (("authorization", chance.choice(("Bearer", "Basic eDp4", "bearer " + good, "Bearer  " + good))),)
    token = wrong if wrong.isascii() else good.swapcase()
    return Attack(method, "token", token, tuple(_encoded(right)), metadata)


def broken_metadata(attacks: Attacks, method: str, right: list[Message], chance: random.Random) -> Attack:
    """More metadata than anybody needs, or with names that mean something."""
    size = chance.choice(METADATA_BYTES)
    extra = chance.choice(
        (
            (("x-large", "v" * size),),
            tuple((f"x-{number}", "v" * 10) for number in range(size // 50)),
            (("unseen-code", "OK"), ("unseen-retry-after-s", "nan")),
            (("x-bin", chance.randbytes(200)), ("unseen-receipt-bin", chance.randbytes(50))),
        )
    )
    attack = Attack(method, "metadata", attacks.by(method, chance), tuple(_encoded(right)), extra)
    return replace(attack, by_transport=sum(len(key) + len(value) + ENTRY_BYTES for key, value in extra) > 4000)


def too_large(attacks: Attacks, method: str, right: list[Message], chance: random.Random) -> Attack:
    """A message above what gRPC reads."""
    parts = _encoded(right)
    parts[-1] += bytes(TOO_LARGE_BYTES)
    return Attack(method, "message too large", attacks.by(method, chance), tuple(parts), by_transport=True)


def left_halfway(attacks: Attacks, method: str, right: list[Message], chance: random.Random) -> Attack:
    """A caller that goes away in the middle."""
    parts = _encoded(right)
    return Attack(
        method, "left halfway", attacks.by(method, chance), tuple(parts), leaves_after=chance.randrange(len(parts) + 1)
    )


DRAWS: tuple[tuple[Draw, float], ...] = (
    *((broken_fields, 40), (broken_bytes, 24), (broken_order, 10), (foreign_message, 5), (broken_query, 8)),
    *((broken_token, 4), (broken_metadata, 3), (too_large, 1), (left_halfway, 3)),
)
"""With how often each is drawn, in parts of a hundred."""
