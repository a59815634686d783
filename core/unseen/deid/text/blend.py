"""Painted places as a smooth continuation of what is around them: for looking again, and for vectors.

For the device only. The hard edges of paint look like print to a detector of print. Nothing is computed from painted
pixels, so what was under the paint plays no part.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from unseen.deid.text.patches import Mask, box_sums

Pixels = npt.NDArray[np.uint8]
RADII_PX = (6, 24, 96)
"""A painted pixel takes the mean of what is not painted this far around it, or farther where there is nothing."""


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
