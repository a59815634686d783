"""How much of what the gateway refused is kept, and how long: then the oldest is destroyed, so that it cannot fill up.

    quarantine.json    {"days", "most_bytes"} as the gateway was started with, for whoever lists the quarantine

Runs at the edge of the site. Numbers only; what is kept is sealed and lies in the queue.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from unseen.errors import InvalidInput
from unseen.json_text import read_json
from unseen_client.home import disk_failures, write_private

NAME = "quarantine.json"
DEFAULT_DAYS = 90.0
DEFAULT_BYTES = 5 << 30
DAY_S = 86_400.0
MOST_DAYS = 36_500.0


@dataclass(frozen=True)
class Refused:
    """One object in quarantine, for whoever looks at it."""

    name: str
    sender: str
    accepted_at_s: float
    size_bytes: int
    refused_at_s: float
    code: str
    reason: str


@dataclass(frozen=True)
class Held:
    """The same for whoever makes room."""

    name: str
    size_bytes: int
    refused_at_s: float
    """Seconds since 1970."""


@dataclass(frozen=True)
class Bounds:
    """What a site chooses; InvalidInput when it makes no sense."""

    days: float = DEFAULT_DAYS
    """Since the object was refused: how long somebody has to look at it."""
    most_bytes: int = DEFAULT_BYTES

    def __post_init__(self) -> None:
        if not (math.isfinite(self.days) and 0 < self.days <= MOST_DAYS and self.most_bytes > 0):
            raise InvalidInput(
                f"got a quarantine of {self.days} days and {self.most_bytes} bytes, expected more than 0, and at most "
                f"{MOST_DAYS:g} days"
            )

    def beyond(self, held: Sequence[Held], now_s: float) -> list[str]:
        """Names of what is to be destroyed: what is too old, then the oldest until the others fit."""
        oldest_first = sorted(held, key=lambda one: one.refused_at_s)
        left_bytes = sum(one.size_bytes for one in oldest_first)
        names = []
        for one in oldest_first:
            if now_s - one.refused_at_s <= self.days * DAY_S and left_bytes <= self.most_bytes:
                break
            names.append(one.name)
            left_bytes -= one.size_bytes
        return names

    def write(self, folder: Path) -> None:
        """Note them beside the queue; StoreFailed."""
        write_private(folder / NAME, json.dumps(asdict(self)).encode())

    @classmethod
    def read(cls, folder: Path) -> Bounds:
        """Those that the last gateway here was started with, the usual ones where there was none; StoreFailed."""
        missing_or_damaged = (FileNotFoundError, ValueError, OverflowError, KeyError, TypeError, InvalidInput)
        with disk_failures(folder / NAME), suppress(*missing_or_damaged):
            told = read_json((folder / NAME).read_bytes())
            return cls(float(told["days"]), int(told["most_bytes"]))
        return cls()
