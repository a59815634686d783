"""The contact sheet: every query beside its best hits, and the faces that were covered. Stays on the device.

Shows only pictures after de-identification: thumbnails out of the records, and query pictures as the model saw them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont, ImageOps

Box = tuple[int, int, int, int]

PAPER, INK, QUIET, RULE = "#FBFAF7", "#1D2327", "#7A8288", "#E4E1D8"
RIGHT, TRACK = "#1F7A5A", "#E9E6DD"
MARGIN, COLUMN, GUTTER = 56, 900, 48
WIDTH = 2 * MARGIN + 2 * COLUMN + GUTTER
QUERY_TILE, HIT_TILE, GAP = (196, 147), (124, 93), 12
ROW = 196
FACE_TILE = (176, 176)
MOST_FACES = 10
HITS_SHOWN = 5
FACTS_HEAD, FACT_LINE = 84, 36


@dataclass(frozen=True)
class Shown:
    """One hit on the sheet."""

    name: str
    score: float
    thumbnail: bytes
    right: bool
    """Whether this is an expected answer."""


@dataclass(frozen=True)
class Row:
    """One query on the sheet."""

    words: str
    """The query's words; of a picture query, how it differs from its answer."""
    picture: bytes | None
    """The query picture after de-identification, as JPEG; None for words."""
    rank: int
    hits: tuple[Shown, ...]
    covered: int = 0
    """Faces, or what might be one, covered in the query picture."""


@dataclass(frozen=True)
class Covered:
    """A photograph in which something was covered."""

    jpeg: bytes
    words: str


@dataclass(frozen=True)
class Facts:
    """A short list on the sheet: what, and how much."""

    heading: str
    lines: tuple[tuple[str, str], ...]


def draw(
    path: Path,
    title: str,
    subtitle: str,
    covered: Sequence[Covered],
    rows: Sequence[Row],
    facts: Sequence[Facts] = (),
) -> None:
    """Write the sheet as PNG: header, covered photographs, picture queries on the left, word queries on the right.

    ``facts`` are listed under the shorter column.
    """
    left = [row for row in rows if row.picture is not None]
    right = [row for row in rows if row.picture is None]
    columns = [("Picture queries", left), ("Word queries", right)]
    top = 150 + (FACE_TILE[1] + 108 if covered else 0)
    facts_at = 0 if len(left) <= len(right) else 1
    ends = [top + 62 + len(queries) * ROW for _, queries in columns]
    ends[facts_at] += sum(FACTS_HEAD + FACT_LINE * len(group.lines) for group in facts)
    sheet = Image.new("RGB", (WIDTH, max(ends) + MARGIN), PAPER)
    pen = ImageDraw.Draw(sheet)
    _text(pen, (MARGIN, 44), title, 40, INK, bold=True)
    _text(pen, (MARGIN, 98), subtitle, 20, QUIET)
    if covered:
        _covered(sheet, pen, 150, covered)
    for number, (heading, queries) in enumerate(columns):
        x = MARGIN + number * (COLUMN + GUTTER)
        _text(pen, (x, top), heading, 24, INK, bold=True)
        _text(
            pen,
            (x + COLUMN, top + 6),
            "best hits, scores decrypted on the device; green: the right answer",
            16,
            QUIET,
            anchor="ra",
        )
        for line, row in enumerate(queries):
            _row(sheet, pen, x, top + 50 + line * ROW, row)
    y = top + 62 + len(columns[facts_at][1]) * ROW
    for group in facts:
        _facts(pen, MARGIN + facts_at * (COLUMN + GUTTER), y, group)
        y += FACTS_HEAD + FACT_LINE * len(group.lines)
    sheet.save(path, optimize=True)


def _covered(sheet: Image.Image, pen: ImageDraw.ImageDraw, y: int, covered: Sequence[Covered]) -> None:
    heading = "Covered on the device, before anything else happened: faces, and what might be one"
    _text(pen, (MARGIN, y), heading, 24, INK, bold=True)
    for number, picture in enumerate(covered[:MOST_FACES]):
        x = MARGIN + number * (FACE_TILE[0] + GAP)
        _paste(sheet, pen, picture.jpeg, (x, y + 42), FACE_TILE)
        _text(pen, (x, y + 50 + FACE_TILE[1]), picture.words, 14, QUIET)


def _facts(pen: ImageDraw.ImageDraw, x: int, y: int, group: Facts) -> None:
    _text(pen, (x, y + 26), group.heading, 24, INK, bold=True)
    for number, (what, much) in enumerate(group.lines):
        line = y + FACTS_HEAD + number * FACT_LINE
        pen.line((x, line - 8, x + COLUMN, line - 8), fill=RULE, width=1)
        _text(pen, (x, line), what, 18, INK)
        _text(pen, (x + COLUMN, line), much, 18, QUIET, anchor="ra")


def _row(sheet: Image.Image, pen: ImageDraw.ImageDraw, x: int, y: int, row: Row) -> None:
    pen.line((x, y, x + COLUMN, y), fill=RULE, width=1)
    y += 16
    if row.picture is None:
        pen.rounded_rectangle((x, y, x + QUERY_TILE[0], y + QUERY_TILE[1]), 10, fill="#EFECE3")
        _wrapped(pen, (x + 16, y, x + QUERY_TILE[0] - 12, y + QUERY_TILE[1]), f"“{row.words}”", 23, INK)
    else:
        _paste(sheet, pen, row.picture, (x, y), QUERY_TILE)
        _text(pen, (x, y + QUERY_TILE[1] + 6), _short(row.words, 34), 14, QUIET)
        if row.covered:
            pen.rounded_rectangle((x + 8, y + 8, x + 132, y + 31), 11, fill=PAPER)
            _text(pen, (x + 70, y + 19), "covered: a face?", 14, INK, anchor="mm")
    for number, hit in enumerate(row.hits[:HITS_SHOWN]):
        _hit(sheet, pen, x + QUERY_TILE[0] + 36 + number * (HIT_TILE[0] + GAP), y, hit)
    if not any(hit.right for hit in row.hits[:HITS_SHOWN]):
        at = (x + QUERY_TILE[0] + 36, y + QUERY_TILE[1] + 6)
        _text(pen, at, f"the expected photograph came at place {row.rank}", 14, QUIET)


def _hit(sheet: Image.Image, pen: ImageDraw.ImageDraw, x: int, y: int, hit: Shown) -> None:
    _paste(sheet, pen, hit.thumbnail, (x, y), HIT_TILE)
    if hit.right:
        pen.rounded_rectangle((x - 4, y - 4, x + HIT_TILE[0] + 3, y + HIT_TILE[1] + 3), 10, outline=RIGHT, width=4)
    colour = RIGHT if hit.right else INK
    _text(pen, (x, y + HIT_TILE[1] + 8), _short(hit.name, 17), 14, colour)
    _text(pen, (x, y + HIT_TILE[1] + 27), f"{hit.score:+.3f}", 14, QUIET)
    bar, base = x + 52, y + HIT_TILE[1] + 36
    pen.line((bar, base, x + HIT_TILE[0], base), fill=TRACK, width=5)
    filled = int((HIT_TILE[0] - 52) * min(1.0, max(0.0, hit.score)))
    if filled:
        pen.line((bar, base, bar + filled, base), fill=colour, width=5)


def _paste(
    sheet: Image.Image, pen: ImageDraw.ImageDraw, jpeg: bytes, at: tuple[int, int], size: tuple[int, int]
) -> None:
    """A picture cut to fill its tile, with rounded corners; an empty tile where there is no picture."""
    box: Box = (*at, at[0] + size[0] - 1, at[1] + size[1] - 1)
    if not jpeg:
        pen.rounded_rectangle(box, 8, fill=TRACK)
        return
    with Image.open(BytesIO(jpeg)) as image:
        tile = ImageOps.fit(image.convert("RGB"), size, Image.Resampling.LANCZOS, centering=(0.5, 0.4))
    mask = Image.new("L", (2 * size[0], 2 * size[1]))
    ImageDraw.Draw(mask).rounded_rectangle((0, 0, 2 * size[0] - 1, 2 * size[1] - 1), 16, fill=255)
    sheet.paste(tile, at, mask.resize(size, Image.Resampling.LANCZOS))


def _text(
    pen: ImageDraw.ImageDraw,
    at: tuple[int, int],
    text: str,
    size: int,
    colour: str,
    bold: bool = False,
    anchor: str = "la",
) -> None:
    weight = 0.6 if bold else 0
    pen.text(at, text, colour, ImageFont.load_default(size), anchor, stroke_width=weight, stroke_fill=colour)


def _wrapped(pen: ImageDraw.ImageDraw, box: Box, text: str, size: int, colour: str) -> None:
    """Words broken into lines that fit the box, in its middle."""
    font = ImageFont.load_default(size)
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and pen.textlength(longer, font) > box[2] - box[0]:
            lines.append(word)
        else:
            lines[-1] = longer
    height = int(size * 1.3)
    y = (box[1] + box[3] - height * len(lines)) // 2
    for number, line in enumerate(lines):
        _text(pen, (box[0], y + number * height), line, size, colour)


def _short(text: str, characters: int) -> str:
    return text if len(text) <= characters else text[: characters - 1] + "…"
