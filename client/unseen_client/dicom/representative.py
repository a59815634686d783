"""Which frames stand for an object, and which slices for a volume, when not every one becomes a row.

Runs where the images are. Knows placements, no pixels.

A clip or a volume of n pictures is stood for by up to k of them, spread evenly over its middle 80 %: the ends show air,
the frozen first frame or the last one. A series of single slices (CT, MR, PET) is one volume for each direction of its
slices, ordered along it; without places in space by instance number. Every other single picture stands for itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from unseen.deid.dicom.placement import Placement

PICTURES_PER_VOLUME = 8
"""Of one volume or clip, unless the caller says otherwise."""
OUTER_SHARE = 0.1
"""Left out at either end of a volume from which some are chosen."""
SLICED = frozenset({"CT", "MR", "PT"})
"""Modalities whose single frames are slices of one body."""


def spread(count: int, wanted: int) -> tuple[int, ...]:
    """Up to ``wanted`` numbers of 0 to ``count`` - 1, evenly over the middle; all of them when 0 are wanted."""
    if not wanted or count <= wanted:
        return tuple(range(count))
    outer = min(int(OUTER_SHARE * count), (count - wanted) // 2)
    inner = count - 2 * outer
    return tuple(outer + (2 * at + 1) * inner // (2 * wanted) for at in range(wanted))


def chosen_frames(placement: Placement, wanted: int) -> tuple[int, ...]:
    """Frames of one object, counted from 0, that stand for it; of a report its words count as one."""
    return (0,) if placement.is_report else spread(placement.frames, wanted)


def chosen_objects(placements: Mapping[str, Placement], wanted: int) -> set[str]:
    """Which objects have a picture that becomes a row; the keys are the caller's own."""
    volumes: dict[object, list[str]] = {}
    chosen = set()
    for key, placement in placements.items():
        if placement.frames == 1 and placement.modality in SLICED and not placement.is_report:
            volumes.setdefault((placement.series, placement.normal), []).append(key)
        else:
            chosen.add(key)
    for keys in volumes.values():
        ordered = _along(keys, placements)
        chosen.update(ordered[at] for at in spread(len(ordered), wanted))
    return chosen


def _along(keys: Sequence[str], placements: Mapping[str, Placement]) -> list[str]:
    """Slices of one stack in their order; one copy of an object that is there several times."""
    by_instance = {placements[key].instance: key for key in reversed(keys)}

    def place(key: str) -> tuple[float, int, str]:
        placement = placements[key]
        return placement.distance_mm or 0.0, placement.instance_number or 0, placement.instance

    return sorted(by_instance.values(), key=place)
