"""Painted places as a continuation of what is around them: for looking again, and for vectors.

For the device only. The hard edges of paint look like print to a detector of print. So does a smooth place in a grainy
picture: the grain between two of them is a line on a plain page. Nothing is computed from painted pixels, so what was
under the paint plays no part.
"""

from __future__ import annotations

import numpy as np

from unseen.deid.text.patches import Mask, box_sums
from unseen.pixels import Pixels

RADII_PX = (6, 24, 96)
"""A painted pixel takes the mean of what is not painted this far around it, or farther where there is nothing."""
GRAIN_PX = 6
"""Grain is what differs from the mean this far around it."""
STEPS_PX = (24, 48, 96, 160)
"""A painted pixel takes the grain of a pixel so far right, left, below or above: the first that is not painted."""


def blended(pixels: Pixels, painted: Mask) -> Pixels:
    """Return a copy of a picture uint8 (height, width, 3) in which painted pixels have the colours around them."""
    if not painted.any():
        return pixels
    result = pixels.copy()
    missing = painted.copy()
    known = ~painted
    for radius in RADII_PX:
        count = box_sums(known.astype(np.float64), radius)
        here = missing & (count > 0)
        for colour in range(3):
            total = box_sums(np.where(known, pixels[..., colour], 0).astype(np.float64), radius)
            result[..., colour][here] = (total[here] / count[here]).round().astype(np.uint8)
        missing &= ~here
        if not missing.any():
            break
    result[missing] = 0
    return result


def grained(pixels: Pixels, painted: Mask) -> Pixels:
    """Return a copy as ``blended`` does, with the grain of a place nearby in what is painted."""
    if not painted.any():
        return pixels
    known = ~painted
    count = np.maximum(box_sums(known.astype(np.float64), GRAIN_PX), 1)[..., None]
    totals = [box_sums(np.where(known, pixels[..., colour], 0).astype(np.float64), GRAIN_PX) for colour in range(3)]
    grain = pixels - np.stack(totals, axis=2) / count
    result = blended(pixels, painted).astype(np.float64)
    missing = painted.copy()
    for step in STEPS_PX:
        for shift in ((0, -step), (0, step), (-step, 0), (step, 0)):
            here = missing & np.roll(known, shift, axis=(0, 1))
            result[here] += np.roll(grain, shift, axis=(0, 1))[here]
            missing &= ~here
    return result.round().clip(0, 255).astype(np.uint8)
