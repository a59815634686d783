"""Pixels as the classifier wants them: 224 x 224, centred, scaled. Pinned: a change here is another model.

For the device only. Holds one picture for the length of a call.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image

from unseen.embed.model import check_pixels
from unseen.pixels import Pixels

MIDDLE, RANGE = 127.0, 128.0
"""EfficientNet-lite was trained on (value - 127) / 128."""


def network_input(pixels: Pixels, side: int, largest_stretch: float) -> npt.NDArray[np.float32]:
    """Return float32 (1, 3, side, side) of a picture uint8 (height, width, 3); InvalidInput for anything else.

    The whole picture counts, nothing is cropped: its short side is stretched by at most ``largest_stretch`` towards a
    square, and what is still missing becomes a white border.
    """
    check_pixels(pixels)
    height, width = pixels.shape[:2]
    elongation = max(height, width) / min(height, width)
    short = max(1, round(side * min(elongation, largest_stretch) / elongation))
    size = (side, short) if width >= height else (short, side)
    is_grey = np.array_equal(pixels[..., 0], pixels[..., 1]) and np.array_equal(pixels[..., 0], pixels[..., 2])
    # Channels are resized one by one, so of grey one stands for all three: a third of the work, the same numbers.
    picture = Image.fromarray(np.ascontiguousarray(pixels[..., 0]) if is_grey else pixels)
    square = Image.new(picture.mode, (side, side), "white")
    resized = picture.resize(size, Image.Resampling.BICUBIC)
    square.paste(resized, ((side - size[0]) // 2, (side - size[1]) // 2))
    scaled = (np.asarray(square, np.float32) - MIDDLE) / RANGE
    if is_grey:
        return np.repeat(scaled[None, None], 3, axis=1)
    return np.ascontiguousarray(scaled.transpose(2, 0, 1)[None])
