"""Pixels as a pulled model wants them: what its makers call preprocessing, by name and number, without their library.

For the device only. Holds one picture for the length of a call.

Every number is part of the model's recipe, so of its id: a collection made with another crop is another collection.
Resizing is Pillow's, on bytes: bicubic in floating point (torchvision's tensors) gives other pixels, so other vectors.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from unseen.embed.model import check_pixels
from unseen.pixels import Pixels

Float32Array = npt.NDArray[np.float32]

SHORTEST, SQUASH = "shortest", "squash"
FLOOR, EVEN = "floor", "even"
FILTERS = {"bicubic": Image.Resampling.BICUBIC, "bilinear": Image.Resampling.BILINEAR}
LARGEST_VALUE = 255
LONGEST_RATIO = 64
"""A line of 65535 pixels, resized whole to a short side of 224 to keep its middle, would take ten gigabytes."""


@dataclass(frozen=True)
class PictureInput:
    """How a picture becomes numbers."""

    side_px: int
    resize: str
    """"shortest": the short side to ``side_px``, then the middle of the long one. "squash": both sides to it."""
    crop: str
    """Where the middle begins when one pixel is left over: "floor" (transformers) or "even" (torchvision)."""
    interpolation: str
    """"bicubic" or "bilinear"."""
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    """Of red, green, blue, on a scale from 0 to 1."""

    def numbers(self, pixels: Pixels) -> Float32Array:
        """Return float32 (1, 3, side, side) of a picture uint8 (height, width, 3); InvalidInput for anything else."""
        check_pixels(pixels)
        if self.resize == SHORTEST:
            pixels = _without_far_ends(pixels)
        resized = Image.fromarray(pixels).resize(self._size(*pixels.shape[:2]), FILTERS[self.interpolation])
        left, top = (self._begin(length) for length in resized.size)
        square = resized.crop((left, top, left + self.side_px, top + self.side_px))
        scaled = np.asarray(square, np.float32) / np.float32(LARGEST_VALUE)
        normal = (scaled - np.asarray(self.mean, np.float32)) / np.asarray(self.std, np.float32)
        return np.ascontiguousarray(normal.transpose(2, 0, 1)[None])

    def _size(self, height: int, width: int) -> tuple[int, int]:
        if self.resize == SQUASH:
            return self.side_px, self.side_px
        long = int(self.side_px * max(height, width) / min(height, width))
        return (long, self.side_px) if width >= height else (self.side_px, long)

    def _begin(self, length: int) -> int:
        spare = length - self.side_px
        return spare // 2 if self.crop == FLOOR else round(spare / 2)


def _without_far_ends(pixels: Pixels) -> Pixels:
    """A very long picture without the ends that the crop to its middle would leave out."""
    most = LONGEST_RATIO * min(pixels.shape[:2])
    height, width = pixels.shape[:2]
    top, left = max(0, height - most) // 2, max(0, width - most) // 2
    return np.ascontiguousarray(pixels[top : height - top, left : width - left])
