"""How faces are covered: every choice a person may make, checked once. The defaults are what was measured best.

For the device only. Holds no picture. Figures behind every default: docs/deidentification.md.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from unseen.errors import InvalidConfiguration

Region = tuple[float, float, float, float]
"""Left, top, right, bottom as shares of the upright picture's width and height: (0, 0, 1, 0.1) is its top tenth."""

SMALLEST_SIDE_PX, LARGEST_SIDE_PX = 32, 4096
MOST_LOOKS = 8
LARGEST_MASK_SCALE = 4.0
MOST_CELLS = 4
"""More cells than this told faces apart far better than chance has it, whatever the noise on them."""
MOST_REGIONS = 100


class Method(StrEnum):
    """What stands where a face was."""

    SOLID = "solid"
    """Black. Nothing of the face is left, so nothing can be computed back: the default."""
    BLUR = "blur"
    """A few cells of the mean colour with noise on them, smoothed. The noise is on the cells, under the smoothing."""
    MOSAIC = "mosaic"
    """The same cells with hard edges."""


class Shape(StrEnum):
    """The outline of what is covered."""

    ELLIPSE = "ellipse"
    """The whole found box, and the ellipse that is ``mask_scale`` times as large."""
    BOX = "box"
    """The box that is ``mask_scale`` times as large."""


class Turned(StrEnum):
    """Whether faces are looked for that lie on their side or stand on their head."""

    AUTO = "auto"
    """Where the file does not say which side is up."""
    ALWAYS = "always"
    NEVER = "never"


@dataclass(frozen=True)
class DeidSettings:
    """Choices about covering faces; InvalidConfiguration when one makes no sense.

    Sizes are shares of the picture's longer side, so that they mean the same at every resolution.
    """

    method: Method = Method.SOLID
    threshold: float = 0.22
    """Scores above it count as faces, 0 to 1. Lower finds more faces and more that are none."""
    mask_scale: float = 1.3
    """How much larger than the found box the covered shape is: 1 to 4."""
    shape: Shape = Shape.ELLIPSE
    cells: int = 3
    """Blur and mosaic: cells along the longer side of a region, 1 to 4."""
    smallest_face: float = 0.0
    """Found boxes whose longer side is a smaller share than this are left as they are, and reported."""
    largest_face: float = 1.0
    always_cover: tuple[Region, ...] = ()
    """Regions that are covered whatever is found."""
    never_cover: tuple[Region, ...] = ()
    """A face whose middle lies in one of these is left as it is, and reported."""
    turned: Turned = Turned.AUTO
    long_sides_px: tuple[int, ...] = (640, 192)
    """Sizes at which a picture is looked at. The largest finds faces down to about 12 pixels at that size; smaller ones
    find faces that fill the picture."""

    def __post_init__(self) -> None:
        try:
            for name, kind in (("method", Method), ("shape", Shape), ("turned", Turned)):
                object.__setattr__(self, name, kind(getattr(self, name)))
            for name in ("always_cover", "never_cover"):
                regions = tuple(tuple(float(side) for side in region) for region in getattr(self, name))
                object.__setattr__(self, name, regions)
            object.__setattr__(self, "long_sides_px", tuple(self.long_sides_px))
            faults = self._faults()
        except (TypeError, ValueError, OverflowError) as error:
            raise InvalidConfiguration(f"got {error}, expected the choices of DeidSettings: {_EXPECTED}") from error
        if faults:
            raise InvalidConfiguration("; ".join(faults))

    def as_dict(self) -> dict[str, Any]:
        """Return the choices as plain numbers, strings and lists, ready for JSON."""
        fields = asdict(self)
        regions = {name: [list(region) for region in fields[name]] for name in ("always_cover", "never_cover")}
        return {**fields, **regions, "long_sides_px": list(self.long_sides_px)}

    def _faults(self) -> list[str]:
        """What is wrong, one by one."""
        regions = (*self.always_cover, *self.never_cover)
        sides = self.long_sides_px
        checks = (
            (("threshold",), 0 < self.threshold < 1),
            (("mask_scale",), 1 <= self.mask_scale <= LARGEST_MASK_SCALE),
            (("cells",), 1 <= self.cells <= MOST_CELLS),
            (("smallest_face", "largest_face"), 0 <= self.smallest_face <= self.largest_face <= 1),
            (("always_cover", "never_cover"), len(regions) <= MOST_REGIONS and all(map(_is_region, regions))),
            (
                ("long_sides_px",),
                1 <= len(sides) <= MOST_LOOKS and all(SMALLEST_SIDE_PX <= side <= LARGEST_SIDE_PX for side in sides),
            ),
        )
        return [
            f"got {', '.join(f'{name}={getattr(self, name)}' for name in names)}, expected {_EXPECTED_OF[names[0]]}"
            for names, sound in checks
            if not sound
        ]


_EXPECTED_OF = {
    "threshold": "a threshold between 0 and 1",
    "mask_scale": f"a mask scale of 1 to {LARGEST_MASK_SCALE:g}",
    "cells": f"1 to {MOST_CELLS} cells",
    "smallest_face": "face sizes of 0 to 1 with the smallest first",
    "always_cover": f"at most {MOST_REGIONS} regions of left < right and top < bottom within 0 to 1",
    "long_sides_px": f"1 to {MOST_LOOKS} long sides of {SMALLEST_SIDE_PX} to {LARGEST_SIDE_PX} px",
}
_EXPECTED = ", ".join(_EXPECTED_OF.values())


def _is_region(region: tuple[float, ...]) -> bool:
    if len(region) != 4 or not all(math.isfinite(side) for side in region):
        return False
    left, top, right, bottom = region
    return 0 <= left < right <= 1 and 0 <= top < bottom <= 1
