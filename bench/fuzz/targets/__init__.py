"""The targets, by the room that their parsers are in. Importing one of these imports what it fuzzes."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module

from bench.fuzz.target import Target

ROOMS = (
    "messages",
    "documents",
    "audit_log",
    "keys",
    "records",
    "device_files",
    "device_keys",
    "choices",
    "store_files",
    "children",
    "models",
    "brought",
    "neighbours",
)


def of_room(room: str) -> tuple[Target, ...]:
    """The targets of one room."""
    targets: tuple[Target, ...] = import_module(f"{__name__}.{room}").TARGETS
    return targets


def all_targets() -> Iterator[tuple[str, Target]]:
    """Every target, behind the name of its room."""
    for room in ROOMS:
        for target in of_room(room):
            yield room, target
