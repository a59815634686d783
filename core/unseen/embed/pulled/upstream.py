"""The files that upstream publishes, as something that can be asked: which are there, what a configuration says.

For the device only. Holds names and configurations; they come from a stranger, so every reading can be refused.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from unseen.errors import InvalidInput
from unseen.json_text import read_json

LONGEST_TOLD = 120
PICKLES = (".bin", ".pth", ".pt", ".ckpt", ".pkl")
"""Endings of files that are pickles, so can hold code."""


@dataclass(frozen=True)
class Upstream:
    """A folder or repository of a model."""

    present: frozenset[str]
    read: Callable[[str], bytes]
    pickles: frozenset[str]

    def json(self, name: str) -> dict[str, Any]:
        """Return a configuration; raises InvalidInput when it is missing or no JSON object."""
        if name not in self.present:
            raise refused(f"no {name}", "it among the model's files")
        try:
            told = read_json(self.read(name))
        except ValueError as error:
            raise refused(f"a {name} that is no JSON", "a configuration") from error
        if not isinstance(told, dict):
            raise refused(f"a {name} without names", "a configuration")
        return told

    def json_or_nothing(self, name: str) -> dict[str, Any]:
        """Return a configuration, empty where there is none."""
        return self.json(name) if name in self.present else {}

    def one_of(self, *names: str) -> str:
        """Return the first of these names that is present; raises InvalidInput when none is."""
        found = next((name for name in names if name in self.present), None)
        if found is None:
            raise refused(f"none of {', '.join(names)}", "one of them among the model's files")
        return found

    def weights(self, *names: str) -> str:
        """Return the first weights file present that is safetensors, or a pickle that somebody vouches for."""
        safe = [name for name in names if name in self.present and name.endswith(".safetensors")]
        vouched = [name for name in names if name in self.present & self.pickles]
        if safe or vouched:
            return (safe + vouched)[0]
        pickles = sorted(name for name in self.present if name.endswith(PICKLES))
        if pickles:
            raise refused(
                f"weights in {pickles[0]}, a pickle, which can hold code",
                "safetensors: look for a revision that has it, or save the model anew with its own library; if you "
                "have the SHA-256 from somebody you trust, give it with --sha256 FILE=HEX",
            )
        raise refused(f"none of {', '.join(names)}", "one of them (weights in several files are not read)")


def refused(got: str, expected: str) -> InvalidInput:
    """The refusal of a model that is not understood. got: may hold what a stranger wrote."""
    return InvalidInput(f"got a model with {one_line(got, LONGEST_TOLD)}, expected {expected}")


def one_line(text: str, longest: int | None = None) -> str:
    """Return a stranger's text as a terminal may show it: one line, no control characters, no turned directions."""
    plain = "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text[:longest])
    return plain if longest is None or len(text) <= longest else plain + "…"


def whole(value: Any, what: str) -> int:
    """Return a number of a configuration; raises InvalidInput for anything that is no whole number."""
    if not isinstance(value, int | float) or isinstance(value, bool) or value != int(value):
        raise refused(f"{what} that is no whole number", "one")
    return int(value)


def without_code(configuration: bytes) -> dict[str, Any]:
    """Return a JSON configuration less what names code of a model's own; raises InvalidInput."""
    try:
        told = read_json(configuration)
    except ValueError as error:
        raise refused("a configuration that is no JSON", "a JSON object") from error
    if not isinstance(told, dict):
        raise refused("a configuration without names", "a JSON object")
    told.pop("auto_map", None)
    return told
