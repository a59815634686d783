"""Solid paint over faces: nothing of what is under it remains, and nothing can be computed back.

For the device only. Blur and mosaic are not offered: blurred faces are recognised again (Revelio, 2025: 95.9 %).
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from unseen.deid.faces import Face, Pixels

MASK_SCALE = 1.3
"""The ellipse is this much wider and taller than the found box: hair line, ears and chin stick out of boxes."""
FILL = (0, 0, 0)
"""Black: with grey or white, hair around the paint looked like a face to the detector again more often."""


def covered(pixels: Pixels, faces: Iterable[Face], mask_scale: float = MASK_SCALE) -> Pixels:
    """Return a copy of a picture uint8 (height, width, 3) with every face painted over.

    Painted are the whole found box, touched pixels included, and the ellipse that is ``mask_scale`` times as large;
    both reach the last row and column where the box does.
    """
    painted = pixels.copy()
    for face in faces:
        _paint(painted, face, mask_scale)
    return painted


def _paint(pixels: Pixels, face: Face, mask_scale: float) -> None:
    left, top, right, bottom = face.box
    height, width = pixels.shape[:2]
    pixels[_touched(face.box, height, width)] = FILL
    radius_x, radius_y = (right - left) * mask_scale / 2, (bottom - top) * mask_scale / 2
    middle_x, middle_y = (left + right) / 2, (top + bottom) / 2
    around = (middle_x - radius_x, middle_y - radius_y, middle_x + radius_x, middle_y + radius_y)
    rows, columns = _touched(around, height, width)
    # A pixel is painted when the point of it that is nearest to the middle lies inside: no half-covered rim remains.
    y = _nearest(rows, middle_y) / max(radius_y, 1e-9)
    x = _nearest(columns, middle_x) / max(radius_x, 1e-9)
    inside = y[:, None] ** 2 + x[None, :] ** 2 <= 1
    pixels[rows, columns][inside] = FILL


def _touched(box: tuple[float, float, float, float], height: int, width: int) -> tuple[slice, slice]:
    """Return the rows and columns that a box touches, at least one of each, inside a picture height x width."""
    left, top, right, bottom = box
    first_row, first_column = min(max(math.floor(top), 0), height - 1), min(max(math.floor(left), 0), width - 1)
    last_row = min(max(math.ceil(bottom), first_row + 1), height)
    last_column = min(max(math.ceil(right), first_column + 1), width)
    return slice(first_row, last_row), slice(first_column, last_column)


def _nearest(pixels: slice, middle: float) -> npt.NDArray[np.float64]:
    """Distance from a middle line to the nearest edge of each pixel: 0 for the pixel that holds it."""
    first = np.arange(pixels.start, pixels.stop, dtype=np.float64)
    return np.maximum(np.maximum(first - middle, middle - (first + 1)), 0)
