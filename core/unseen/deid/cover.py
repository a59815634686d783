"""What stands where a face was: paint, or a few noisy cells. Nothing finer than a cell remains under any method.

For the device only. Blur as others do it is not offered: a plain Gaussian blur and a plain mosaic of many tiles were
recognised again in our own measurement and in others' (docs/deidentification.md). Here a region is first reduced to a
few cells of mean colour, then noise is laid on the cells, and only then are they spread out again, smoothly or not. A
deblurring that undoes the spreading perfectly finds the noisy cells.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
from PIL import Image

from unseen.deid.faces import Face
from unseen.deid.settings import DeidSettings, Method, Region, Shape
from unseen.entropy import keystream
from unseen.pixels import Pixels

FILL = (0, 0, 0)
"""Black: with grey or white, hair around the paint looked like a face to the detector again more often."""
TINT_NOISE, SHADE_NOISE, COLOUR_NOISE = 80, 80, 40
"""Of 255, either way: what moves every cell of a region in one colour, all colours of one cell, one colour of one cell.
Without the first, the colour of skin and light told faces apart; without the second, the noise of three colours evened
out."""

Box = tuple[float, float, float, float]
Area = tuple[slice, slice]


def covered(pixels: Pixels, faces: Iterable[Face], settings: DeidSettings, mask_scale: float | None = None) -> Pixels:
    """Return a copy of a picture uint8 (height, width, 3) with every face covered.

    Covered are, for an ellipse, the whole found box, touched pixels included, and the ellipse that is ``mask_scale``
    times as large (the settings' when None); for a box, the box that is that much larger. Both reach the last row and
    column where the found box does.
    """
    result = pixels.copy()
    for face in faces:
        _cover_face(result, face.box, settings, mask_scale or settings.mask_scale)
    return result


def covered_regions(pixels: Pixels, regions: Iterable[Region], settings: DeidSettings) -> Pixels:
    """Return a copy of a picture with every region, in shares of its width and height, covered: touched pixels too."""
    result = pixels.copy()
    height, width = pixels.shape[:2]
    for left, top, right, bottom in regions:
        area = _touched((left * width, top * height, right * width, bottom * height), height, width)
        result[area] = _stand_in(result[area], settings)
    return result


def _cover_face(pixels: Pixels, box: Box, settings: DeidSettings, mask_scale: float) -> None:
    height, width = pixels.shape[:2]
    around = _grown(box, mask_scale)
    area = _touched(around, height, width)
    hidden = np.ones(pixels[area].shape[:2], bool)
    if settings.shape is Shape.ELLIPSE:
        hidden = _ellipse(area, around)
        rows, columns = _touched(box, height, width)
        hidden[_within(rows, area[0]), _within(columns, area[1])] = True
    pixels[area][hidden] = _stand_in(pixels[area], settings)[hidden]


def _stand_in(region: Pixels, settings: DeidSettings) -> Pixels:
    """Return what covers a region (height, width, 3), of the same shape."""
    if settings.method is Method.SOLID:
        return np.full(region.shape, FILL, np.uint8)
    height, width = region.shape[:2]
    cell = max(height, width) / settings.cells
    grid = (max(1, min(width, round(width / cell))), max(1, min(height, round(height / cell))))
    means = np.asarray(Image.fromarray(region).resize(grid, Image.Resampling.BOX), np.int16)
    rows, columns, colours = means.shape
    noise = _noise((1, 1, colours), TINT_NOISE) + _noise((rows, columns, 1), SHADE_NOISE)
    cells = Image.fromarray((means + noise + _noise(means.shape, COLOUR_NOISE)).clip(0, 255).astype(np.uint8))
    spread = Image.Resampling.BICUBIC if settings.method is Method.BLUR else Image.Resampling.NEAREST
    return np.asarray(cells.resize((width, height), spread))


def _noise(shape: tuple[int, ...], most: int) -> npt.NDArray[np.int16]:
    """Return secret whole numbers, uniform from -most to most (but for 2^-24 of them)."""
    drawn = np.frombuffer(keystream(4 * math.prod(shape)), np.uint32)
    return (drawn % (2 * most + 1)).astype(np.int16).reshape(shape) - np.int16(most)


def _grown(box: Box, scale: float) -> Box:
    left, top, right, bottom = box
    radius_x, radius_y = (right - left) * scale / 2, (bottom - top) * scale / 2
    middle_x, middle_y = (left + right) / 2, (top + bottom) / 2
    return middle_x - radius_x, middle_y - radius_y, middle_x + radius_x, middle_y + radius_y


def _ellipse(area: Area, around: Box) -> npt.NDArray[np.bool_]:
    """A pixel is inside when the point of it that is nearest to the middle is: no half-covered rim remains."""
    left, top, right, bottom = around
    rows, columns = area
    y = _nearest(rows, (top + bottom) / 2) / max((bottom - top) / 2, 1e-9)
    x = _nearest(columns, (left + right) / 2) / max((right - left) / 2, 1e-9)
    return np.asarray(y[:, None] ** 2 + x[None, :] ** 2 <= 1)


def _within(inner: slice, outer: slice) -> slice:
    """An inner run of rows or columns, counted from the start of the outer one."""
    return slice(inner.start - outer.start, inner.stop - outer.start)


def _touched(box: Box, height: int, width: int) -> Area:
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
