"""Events: the facts about noise that was released. A ledger stores them; every epsilon of a sum is computed from them.

An event says which mechanism, with which parameters, released noise about which unit, and what one such release
guarantees by itself. It names no person, holds no vector and may be public: it travels with the row it belongs to.

What may never change: a mechanism's name and version keep their meaning, and a parameter is never removed, so that a
better accountant can compute anew in ten years. A change of what a mechanism does is a new version.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from math import isfinite

from unseen.errors import UnsupportedEvent
from unseen.json_text import read_json

ONE_EMBEDDING = "one image embedding"
"""The unit of privacy: what is protected is one vector, not a person with many."""
REPLACE_ONE = "replace one"
"""Neighbouring: any vector may be replaced by any other one."""
_NEWER = "it may come from a newer release; use that one"


@dataclass(frozen=True)
class Event:
    """One release of one vector through one mechanism."""

    mechanism: str
    version: int
    epsilon: float
    """What one release guarantees by itself, between any two vectors, together with ``delta``."""
    delta: float
    parameters: tuple[tuple[str, float], ...]
    """What the mechanism really did, by name, in the order of names: the accountants read these, not epsilon."""
    unit: str = ONE_EMBEDDING
    neighbouring: str = REPLACE_ONE

    @property
    def is_finite(self) -> bool:
        """Whether every number is one."""
        return all(map(isfinite, (self.epsilon, self.delta, *dict(self.parameters).values())))

    def parameter(self, name: str) -> float:
        """One parameter; raises UnsupportedEvent when the event lacks it or it is no finite number."""
        value = dict(self.parameters).get(name)
        if value is None or not isfinite(value):
            raise UnsupportedEvent(f"an event of {self.mechanism!r} lacks {name!r}: it cannot be accounted for")
        return value

    def to_json(self) -> str:
        """The one text form: keys in order, no spaces, every digit of every number."""
        fields = {
            "mechanism": self.mechanism,
            "version": self.version,
            "epsilon": float(self.epsilon),
            "delta": float(self.delta),
            "parameters": {name: float(value) for name, value in self.parameters},
            "unit": self.unit,
            "neighbouring": self.neighbouring,
        }
        return json.dumps(fields, sort_keys=True, separators=(",", ":"), allow_nan=False)

    @staticmethod
    def from_json(text: str) -> Event:
        """The inverse of ``to_json``; raises UnsupportedEvent for anything else."""
        try:
            fields = read_json(text)
            event = Event(
                mechanism=str(fields["mechanism"]),
                version=int(fields["version"]),
                epsilon=float(fields["epsilon"]),
                delta=float(fields["delta"]),
                parameters=tuple(sorted((str(name), float(value)) for name, value in fields["parameters"].items())),
                unit=str(fields["unit"]),
                neighbouring=str(fields["neighbouring"]),
            )
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError):
            raise UnsupportedEvent(f"got a text that is no event: {_NEWER}") from None
        if not event.is_finite or event.to_json() != text:
            raise UnsupportedEvent(f"got an event with something in it that is not understood: {_NEWER}")
        return event
