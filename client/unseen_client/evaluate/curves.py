"""A picture of the curves: recall over the number of hits, a panel for each kind of question, a line for each way."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO

from PIL import Image, ImageDraw, ImageFont

from unseen_client.evaluate.run import Line

PANEL, MARGIN, LEGEND_LINE = (560, 360), 64, 24
PAPER, INK, RULE = "#FBFAF7", "#1D2327", "#D9D5C9"
COLOURS = ("#7A8288", "#1F7A5A", "#C28A1B", "#23527C", "#A23B52", "#6B4C9A", "#2E8B8B", "#8A5A2B")
HEADINGS = {"pictures": "picture: same label", "labels": "label: its pictures", "captions": "caption: its picture"}


def draw(lines: Sequence[Line]) -> bytes:
    """The picture as PNG."""
    kinds = list(dict.fromkeys(line.kind for line in lines))
    ways = list(dict.fromkeys(line.way for line in lines))
    width = len(kinds) * (PANEL[0] + MARGIN) + MARGIN
    picture = Image.new("RGB", (width, PANEL[1] + 2 * MARGIN + LEGEND_LINE * (len(ways) + 1)), PAPER)
    pen = ImageDraw.Draw(picture)
    for at, kind in enumerate(kinds):
        _panel(pen, MARGIN + at * (PANEL[0] + MARGIN), [line for line in lines if line.kind == kind], ways)
    for at, way in enumerate(ways):
        top = PANEL[1] + 2 * MARGIN + at * LEGEND_LINE
        pen.line([(MARGIN, top + 8), (MARGIN + 40, top + 8)], fill=_colour(at), width=3)
        pen.text((MARGIN + 52, top), way, fill=INK, font=_font(15))
    buffer = BytesIO()
    picture.save(buffer, format="PNG")
    return buffer.getvalue()


def _panel(pen: ImageDraw.ImageDraw, left: int, lines: Sequence[Line], ways: Sequence[str]) -> None:
    top, (wide, high) = MARGIN, PANEL
    most = len(lines[0].measures.curve)
    heading = f"{HEADINGS[lines[0].kind]} ({lines[0].questions} questions)"
    pen.text((left, top - 34), heading, fill=INK, font=_font(17))
    for tenth in range(0, 11, 2):
        y = top + high - high * tenth / 10
        pen.line([(left, y), (left + wide, y)], fill=RULE)
        pen.text((left - 30, y - 8), f"{tenth / 10:.1f}", fill=INK, font=_font(13))
    for k in sorted({1, *range(10, most + 1, 10), most}):
        pen.text((left + _x(k, most) - 4, top + high + 8), str(k), fill=INK, font=_font(13))
    pen.text((left + wide - 120, top + high + 26), "recall at k hits", fill=INK, font=_font(13))
    for line in lines:
        points = [(left + _x(k, most), top + high * (1 - recall)) for k, recall in enumerate(line.measures.curve, 1)]
        at = ways.index(line.way)
        pen.line(points, fill=_colour(at), width=1 + 2 * (len(ways) - at))  # those that coincide stay in sight


def _x(k: int, most: int) -> float:
    return PANEL[0] * (k - 1) / max(1, most - 1)


def _colour(at: int) -> str:
    return COLOURS[at % len(COLOURS)]


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)
