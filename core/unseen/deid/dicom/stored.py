"""Frames as numbers, how they may look to a person, and how a place in them is painted.

For the device only. Holds decoded pixels for the length of a call.

A picture of more than eight bits is shown through a window, and text that one window hides another shows. So frames of
grey are shown twice: from their smallest number to their largest, and from the first percent to the last.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from unseen.deid.text.patches import Mask
from unseen.pixels import Pixels

TAILS_PERCENT: Final = 1.0
ALIKE: Final = 0.9
"""A second window that takes this share of the first shows the same and is left out."""
WHITE: Final = 255
MOST_SAMPLED: Final = 1 << 18
"""Percentiles of larger frames are taken from a grid of about this many pixels."""


class Shown(StrEnum):
    """What the numbers of a pixel mean."""

    GREY = "MONOCHROME2"
    GREY_INVERTED = "MONOCHROME1"
    RGB = "RGB"
    PALETTE = "PALETTE COLOR"


@dataclass(frozen=True, eq=False)
class StoredFrames:
    """Every frame of an object, decoded."""

    stored: npt.NDArray[Any]
    """(frames, rows, columns) or (frames, rows, columns, 3), whole numbers of 8, 16 or 32 bits."""
    shown: Shown
    """Photometric interpretation of ``stored``: the value that the object has to state."""
    bits_allocated: int = 8
    """Bits that a number takes in the object: 1, or those of ``stored``."""
    coloured: npt.NDArray[np.uint8] | None = None
    """(frames, rows, columns, 3): what the numbers of a palette look like."""

    @property
    def frame_shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return int(self.stored.shape[1]), int(self.stored.shape[2])

    def views(self, frame: int, mask: Mask) -> list[Pixels]:
        """One frame, painted where the mask says, in every way in which it may be looked at."""
        picture = self.stored[frame] if self.coloured is None else self.coloured[frame]
        painted = picture.copy()
        painted[mask] = self.paint() if self.coloured is None else 0
        if painted.ndim == 3:
            return [_eight_bits(painted)]
        return _windows(painted)

    def paint(self) -> Any:
        """The number for painted pixels: the darkest that occurs, and black where there are colours."""
        if self.shown is Shown.RGB:
            return 0
        if self.coloured is not None:
            frame, row, column = np.unravel_index(int(self.coloured.sum(axis=3, dtype=np.int32).argmin()), self._sizes)
            return self.stored[frame, row, column]
        return self.stored.max() if self.shown is Shown.GREY_INVERTED else self.stored.min()

    def painted(self, mask: Mask) -> bytes:
        """Every frame with (rows, columns) painted over, as native pixel data (PS3.5 section 8.1)."""
        result = self.stored.copy()
        result[:, mask] = self.paint()
        if self.bits_allocated == 1:
            return np.packbits(result.astype(np.bool_).reshape(-1), bitorder="little").tobytes()
        return result.tobytes()

    @property
    def _sizes(self) -> tuple[int, ...]:
        return tuple(self.stored.shape[:3])


def _eight_bits(colours: npt.NDArray[Any]) -> Pixels:
    """RGB of more than eight bits, brought down to eight by its own range."""
    if colours.dtype == np.uint8:
        return np.asarray(colours, np.uint8)
    return _window(colours, float(colours.min()), float(colours.max()))


def _windows(grey: npt.NDArray[Any]) -> list[Pixels]:
    """(rows, columns, 3) of grey numbers, through one window or two."""
    low, high = float(grey.min()), float(grey.max())
    step = max(1, int((grey.size / MOST_SAMPLED) ** 0.5))
    inner_low, inner_high = np.percentile(grey[::step, ::step], (TAILS_PERCENT, 100 - TAILS_PERCENT))
    bounds = [(0.0, 255.0) if grey.dtype == np.uint8 and high > WHITE // 2 else (low, high)]
    if inner_low < inner_high and inner_high - inner_low < ALIKE * (bounds[0][1] - bounds[0][0]):
        bounds.append((float(inner_low), float(inner_high)))
    return [np.repeat(_window(grey, *bound)[..., None], 3, axis=2) for bound in bounds]


def _window(numbers: npt.NDArray[Any], low: float, high: float) -> Pixels:
    scale = 255.0 / (high - low) if high > low else 0.0
    shown: Pixels = np.clip((numbers.astype(np.float32) - low) * scale, 0, 255).astype(np.uint8)
    return shown
