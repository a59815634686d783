"""Where text would be covered, drawn into a picture for a person to look at. For the device only: text shows in it."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from PIL import Image, ImageDraw

from unseen.deid.text.report import CoveredLine
from unseen.pixels import Pixels

COVERED = (230, 30, 30)
LABEL_PX = 11


def drawn_lines(pixels: Pixels, lines: Iterable[CoveredLine]) -> Pixels:
    """Return a copy of a picture uint8 (height, width, 3) with the box and score of every line."""
    picture = Image.fromarray(pixels)
    pen = ImageDraw.Draw(picture)
    for line in lines:
        left, top, right, bottom = line.box
        pen.rectangle((left, top, max(left, right - 1), max(top, bottom - 1)), outline=COVERED)
        pen.text((left, max(0, top - LABEL_PX)), f"{line.score:.2f}", fill=COVERED)
    return np.asarray(picture)
