"""Pictures with plain print in known places, drawn with the font that Pillow brings."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

WHITE = (255, 255, 255)


def page(height: int = 256, width: int = 384, level: int = 0) -> Image.Image:
    return Image.new("RGB", (width, height), (level, level, level))


def write(
    picture: Image.Image, text: str, x: int, y: int, size_px: int = 20, colour: tuple[int, int, int] = WHITE
) -> tuple[int, int, int, int]:
    """Draw text; the box of its ink: left, top, right, bottom."""
    pen, font = ImageDraw.Draw(picture), ImageFont.load_default(size_px)
    pen.text((x, y), text, fill=colour, font=font)
    left, top, right, bottom = pen.textbbox((x, y), text, font=font)
    return round(left), round(top), round(right), round(bottom)


def ink_of(picture: Image.Image, empty: Image.Image) -> npt.NDArray[np.bool_]:
    """Which pixels the letters changed."""
    return (np.asarray(picture) != np.asarray(empty)).any(axis=2)
