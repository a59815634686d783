"""Numbers of a scanner to a picture of 8 bits: the pinned half of a DICOM model (``unseen.embed.dicom_model``).

    grey      stored -> modality LUT or rescale -> the object's first VOI LUT, else its first window -> 8 bits
                                                -> and once more from percentile to percentile       -> 8 bits
                     MONOCHROME1 turned over
    colour    YBR to RGB by the decoder, palettes by their table, 8 bits

Runs in a child process (``views_child``) that holds no key and no name. Holds one frame for the length of a call.
A picture that brings a window is rendered twice: as somebody looked at it, and with all that was measured, so that the
same slice at another window is still found. One that brings none is rendered once.
PS3.3 sections C.7.6.3, C.7.6.16.2.9 and .10, C.11.1, C.11.2.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset
from pydicom.pixels.processing import apply_color_lut, apply_modality_lut, apply_voi

from unseen.embed.dicom_model import EMPTY_SHARE, TAILS_PERCENT
from unseen.pixels import Pixels

Numbers = npt.NDArray[Any]
Floats = npt.NDArray[np.floating[Any]]
Mask = npt.NDArray[np.bool_]
Way = Callable[[Numbers], Floats]

WHITE = 255.0
COLOURS = frozenset({"RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT"})
"""The decoder makes RGB of all of them."""
GREYS = frozenset({"MONOCHROME1", "MONOCHROME2"})
PALETTE = "PALETTE COLOR"
TRANSFORMS = {
    "PixelValueTransformationSequence": ("RescaleSlope", "RescaleIntercept"),
    "FrameVOILUTSequence": ("WindowCenter", "WindowWidth", "VOILUTFunction"),
}
"""What a frame of an enhanced object says for itself, and in which functional group."""
MOST_SAMPLED = 1 << 20
"""What is measured of larger frames is measured on a grid of about this many pixels."""
BAND_PIXELS = 1 << 20
"""Worked on at once."""


class UnknownPixels(Exception):
    """Pixels that nobody here knows how to show."""


def rendered(numbers: Numbers, dataset: Dataset, frame: int, mask: Mask | None = None) -> list[Pixels]:
    """One decoded frame (counted from 0) as one or two pictures of uint8; UnknownPixels.

    Grey ones are (rows, columns), coloured ones (rows, columns, 3).

    mask: (rows, columns), what is black and counts for nothing, like padding.
    """
    photometric = str(dataset.get("PhotometricInterpretation", "")).strip()
    if photometric in GREYS and numbers.ndim == 2:
        pictures = _grey_pictures(numbers, dataset, frame, mask, inverted=photometric == "MONOCHROME1")
    else:
        pictures = [_coloured(numbers, dataset, photometric)]
    for picture in pictures:
        if mask is not None:
            picture[mask] = 0
    return pictures


def _coloured(numbers: Numbers, dataset: Dataset, photometric: str) -> Pixels:
    if photometric in COLOURS and numbers.ndim == 3 and numbers.shape[2] == 3:
        return _eight_bits(numbers, int(dataset.BitsStored))
    if photometric == PALETTE and numbers.ndim == 2:
        colours = apply_color_lut(numbers, dataset)[..., :3]
        return _eight_bits(colours, 8 * colours.dtype.itemsize)
    raise UnknownPixels


def _grey_pictures(numbers: Numbers, dataset: Dataset, frame: int, mask: Mask | None, inverted: bool) -> list[Pixels]:
    """Band by band, so that a large frame needs little more memory than its numbers."""
    transforms = _transforms(dataset, frame)
    step = max(1, math.isqrt(numbers.size // MOST_SAMPLED))
    sample = numbers[::step, ::step]
    measured = np.asarray(apply_modality_lut(sample, transforms))
    hidden = _hidden(sample, dataset, None if mask is None else mask[::step, ::step])
    ways = _ways_to_show(measured, transforms, hidden, is_stored=measured is sample)
    pictures: list[Pixels] = [np.empty(numbers.shape, np.uint8) for _ in ways]
    rows = max(1, BAND_PIXELS // numbers.shape[1])
    for top in range(0, numbers.shape[0], rows):
        band = slice(top, top + rows)
        if measured.shape == numbers.shape and rows >= numbers.shape[0]:
            values = measured
        else:
            values = np.asarray(apply_modality_lut(numbers[band], transforms))
            hidden = _hidden(numbers[band], dataset, None if mask is None else mask[band])
        for picture, way in zip(pictures, ways, strict=True):
            shown = way(values)
            picture[band] = np.rint(WHITE - shown if inverted else shown)
            if hidden is not None:
                picture[band][hidden] = 0
    return pictures


def _hidden(numbers: Numbers, dataset: Dataset, mask: Mask | None) -> Mask | None:
    hidden = padding(numbers, dataset)
    return hidden if mask is None else mask if hidden is None else hidden | mask


def padding(numbers: Numbers, dataset: Dataset) -> Mask | None:
    """Which pixels hold no picture: the padding value, or everything up to its limit (PS3.3 section C.7.5.1.1.2).

    None where the object names no such value.
    """
    first = dataset.get("PixelPaddingValue")
    if not isinstance(first, int):
        return None
    last = dataset.get("PixelPaddingRangeLimit")
    low, high = sorted((first, last if isinstance(last, int) else first))
    return np.asarray((numbers >= low) & (numbers <= high), np.bool_)


def _ways_to_show(values: Numbers, dataset: Dataset, hidden: Mask | None, *, is_stored: bool) -> list[Way]:
    """How values become 0 for the darkest to 255 for the brightest: as shown, and whole. What is hidden does not count.

    Decided by a sample of the frame's values; carried out on all of them. ``is_stored``: they are what the file holds.
    """
    inside = values if hidden is None or hidden.all() else values[~hidden]
    low, high = _percentiles(inside)
    if not (math.isfinite(low) and math.isfinite(high)):  # of a slope that is no number, or beyond every one
        raise UnknownPixels

    def whole(values: Numbers) -> Floats:
        return _between(values, low, high)

    for way in (_by_table, _by_window):
        shown = way(inside, dataset)
        if shown is not None and _shows_something(shown):
            return [partial(_shown, way, dataset), whole]
    if is_stored and _is_picture_of_eight_bits(inside, dataset):
        return [lambda values: values.astype(np.float32)]
    return [whole]


def _shown(way: Callable[[Numbers, Dataset], Floats | None], dataset: Dataset, values: Numbers) -> Floats:
    shown = way(values, dataset)
    if shown is None:
        raise UnknownPixels
    return shown


def _by_table(values: Numbers, dataset: Dataset) -> Floats | None:
    """Through the first VOI LUT; None where there is none, or none that fits whole numbers."""
    tables = dataset.get("VOILUTSequence")
    if not tables or not np.issubdtype(values.dtype, np.integer):
        return None
    try:
        looked_up = np.asarray(apply_voi(values, dataset, 0), np.float64)
        top = 2.0 ** int(tables[0].LUTDescriptor[2]) - 1
    except (NotImplementedError, ValueError, AttributeError, IndexError, KeyError, TypeError):
        return None
    return np.clip(looked_up * (WHITE / top), 0, WHITE) if top > 0 else None


def _by_window(values: Numbers, dataset: Dataset) -> Floats | None:
    """Through the first window (PS3.3 sections C.11.2.1.2 and C.11.2.1.3); None where there is none that can be."""
    centre, width = _first(dataset.get("WindowCenter")), _first(dataset.get("WindowWidth"))
    function = str(dataset.get("VOILUTFunction") or "LINEAR")
    if centre is None or width is None or width <= 0 or (function == "LINEAR" and width < 1):
        return None
    if function == "SIGMOID":
        return WHITE / (1 + np.exp(np.clip(-4 * (values.astype(np.float64) - centre) / width, -700, 700)))
    if function == "LINEAR_EXACT":
        return _between(values, centre - width / 2, centre + width / 2)
    return _between(values, centre - 0.5 - (width - 1) / 2, centre - 0.5 + (width - 1) / 2)


def _between(values: Numbers, low: float, high: float) -> Floats:
    """Black up to ``low``, white from ``high``; where both are one number, black up to it and white above."""
    if high <= low:
        return np.where(values > low, WHITE, 0.0)
    shown = values.astype(np.float64)
    shown -= low
    shown *= WHITE / (high - low)
    return np.clip(shown, 0, WHITE, out=shown)


def _percentiles(values: Numbers) -> tuple[float, float]:
    """The bounds of a picture that brings no window; of nearly one number the smallest and the largest."""
    low, high = np.percentile(values, (TAILS_PERCENT, 100 - TAILS_PERCENT))
    if low < high:
        return float(low), float(high)
    return float(values.min()), float(values.max())


def _shows_something(shown: Floats) -> bool:
    """Whether a window leaves more than an even black or white surface."""
    return max(float((shown < 1).mean()), float((shown > WHITE - 1).mean())) < EMPTY_SHARE


def _is_picture_of_eight_bits(numbers: Numbers, dataset: Dataset) -> bool:
    """Grey of 8 bits without window or rescaling is a picture already, as of an ultrasound, unless it is very dark."""
    is_unsigned = numbers.dtype == np.uint8 and int(dataset.BitsStored) == 8
    return is_unsigned and int(numbers.max()) > WHITE / 2


def _eight_bits(colours: Numbers, bits: int) -> Pixels:
    if colours.dtype == np.uint8 and bits == 8:
        return np.ascontiguousarray(colours)
    top = 2.0 ** min(max(bits, 1), 8 * colours.dtype.itemsize) - 1
    return np.rint(np.clip(colours.astype(np.float64) * (WHITE / top), 0, WHITE)).astype(np.uint8)


def _transforms(dataset: Dataset, frame: int) -> Dataset:
    """The data set with what the frame's functional groups say put over it (PS3.3 section C.7.6.16)."""
    groups = [_item(dataset.get("SharedFunctionalGroupsSequence"), 0)]
    groups.append(_item(dataset.get("PerFrameFunctionalGroupsSequence"), frame))
    said = Dataset()
    for name in (
        *("BitsStored", "BitsAllocated", "PixelRepresentation", "PhotometricInterpretation", "SamplesPerPixel"),
        *("ModalityLUTSequence", "RescaleSlope", "RescaleIntercept", "VOILUTSequence"),
        *("WindowCenter", "WindowWidth", "VOILUTFunction", "PixelPaddingValue", "PixelPaddingRangeLimit"),
    ):
        if name in dataset:
            said[name] = dataset[name]
    for group in groups:
        for sequence, names in TRANSFORMS.items():
            item = _item(group.get(sequence), 0)
            for name in names:
                if name in item:
                    said[name] = item[name]
    return said


def _item(sequence: Any, at: int) -> Dataset:
    return sequence[at] if isinstance(sequence, Sequence) and len(sequence) > at else Dataset()


def _first(value: Any) -> float | None:
    """The first of one number or several; None for no number."""
    if value is None or isinstance(value, str):
        return None
    try:
        number = float(value) if not isinstance(value, Sequence) else float(value[0])
    except (TypeError, ValueError, IndexError):
        return None
    return number if math.isfinite(number) else None
