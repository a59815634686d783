"""A picture of what would be covered, for a person to look at before anything is written: boxes, scores, regions.

For the device only: faces are visible in it.
"""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from unseen.deid.faces import Face
from unseen.deid.report import CoverReport
from unseen.pixels import Pixels

COVERED, LEFT, REGION = (230, 30, 30), (250, 200, 0), (30, 110, 250)
"""Red is covered, yellow is found and left, blue is covered whatever is found."""


def drawn(pixels: Pixels, report: CoverReport) -> Pixels:
    """Return a copy of the picture uint8 (height, width, 3) that the report is about, with boxes and scores drawn."""
    picture = Image.fromarray(pixels)
    pen = ImageDraw.Draw(picture)
    width, height = picture.size
    for left, top, right, bottom in report.settings.always_cover:
        _box(pen, (left * width, top * height, right * width, bottom * height), "always", REGION, picture.size)
    for face in report.faces:
        _box(pen, face.box, _label(face), COVERED, picture.size)
    for face, _ in report.left:
        _box(pen, face.box, f"{_label(face)} left", LEFT, picture.size)
    return np.asarray(picture)


def _label(face: Face) -> str:
    return f"{face.score:.2f}" + (f" turned {90 * face.turn}" if face.turn else "")


def _box(
    pen: ImageDraw.ImageDraw,
    box: tuple[float, float, float, float],
    label: str,
    colour: tuple[int, int, int],
    size: tuple[int, int],
) -> None:
    left, top, right, bottom = box
    line = max(1, max(size) // 400)
    font = ImageFont.load_default(max(10, max(size) // 50))
    pen.rectangle((left, top, max(left, right - 1), max(top, bottom - 1)), outline=colour, width=line)
    text_left, text_top, text_right, text_bottom = pen.textbbox((0, 0), label, font=font)
    x = min(left, max(0, size[0] - (text_right - text_left) - 2 * line))
    y = max(0, top - (text_bottom - text_top) - 3 * line)
    pen.rectangle((x, y, x + text_right - text_left + 2 * line, y + text_bottom - text_top + 2 * line), fill=colour)
    pen.text((x + line - text_left, y + line - text_top), label, fill="white", font=font)
