"""A picture in, the places of all text found in it out, or ImageRefused.

For the device only. Holds a picture for the length of a call.

    look -> paint every line -> look again -> ... -> nothing: look thoroughly -> nothing -----------> done
      ^                                                 |
      +--- the first time: paint every line ------------+
      +--- after that: paint what goes on from it ------+ nothing goes on --------------------------> done

    eight times painted, still text: refused

Painted over is everything that looks like writing, whatever it says. With ``keep_marks`` a line stays that is read with
certainty and is, as a whole, on the list of technical marks.

A thorough look that found text is made again until nothing goes on from what is painted or kept: of a line of which it
saw a part, all it can see is painted or the picture is refused. It looks at the whole picture every time: the network
weighs a place against all it is shown, so a part that is cut out gets another answer.

What is left: places that a repeated thorough look sees apart from all of these and the first did not. Restless pictures
(feathers, grass) show it a few more each time that are no text, and would be refused for nothing. That may cost text
which only a thorough look sees, in a place of its own, and only once other places were painted.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np

from unseen.deid.text.finder import THOROUGH_LOOKS, Line, TextFinder
from unseen.deid.text.marks import is_technical_mark
from unseen.deid.text.patches import Mask
from unseen.deid.text.places import KnownPlaces, meets, paint
from unseen.deid.text.reader import TextReader
from unseen.deid.text.report import CoveredLine, TextReport
from unseen.errors import ImageRefused
from unseen.pixels import Pixels

Views: TypeAlias = Callable[[Mask], Sequence[Pixels]]
"""Shows a picture with some pixels painted over, in every way in which it may be shown: uint8 (height, width, 3)."""
MOST_PASSES = 8
"""Six were the most that any picture of the bench needed; a restless one has more of what is no text each time."""
FILL = (0, 0, 0)


def cover_text(
    pixels: Pixels, finder: TextFinder, reader: TextReader | None = None, *, keep_marks: bool = False
) -> tuple[Pixels, TextReport]:
    """Return a picture uint8 (height, width, 3) with its text painted black, and the report; ImageRefused.

    reader: needed to keep marks; they are covered without one.
    """
    nothing = np.zeros(pixels.shape[:2], np.bool_)
    mask, report = text_of(lambda painted: [_black(pixels, painted)], nothing, finder, reader, keep_marks)
    return _black(pixels, mask), report


def text_of(
    views: Views,
    painted: Mask,
    finder: TextFinder,
    reader: TextReader | None,
    keep_marks: bool = False,
    *,
    thorough: bool = True,
) -> tuple[Mask, TextReport]:
    """Return which pixels (height, width) of a picture must be painted, and the report; ImageRefused: text remains.

    painted: (height, width), pixels that will be painted whatever is found; thorough: look in bands, too.
    """
    reader = reader if keep_marks else None
    mask = painted.copy()
    known = KnownPlaces(painted)
    covered: list[CoveredLine] = []
    again = False
    for passes in range(MOST_PASSES + 1):
        shown = views(mask)
        lines, marks = _told_apart(finder.find(shown, mask), shown[0], reader)
        if not lines and thorough:
            found = finder.find(shown, mask, looks=THOROUGH_LOOKS)
            lines, more = _told_apart(known.going_on(found) if again else found, shown[0], reader)
            marks += _apart(more, marks, mask.shape)
            again = True
        if not lines:
            return mask, _report(covered, len(marks), passes, finder, reader)
        for line in (*lines, *marks):
            known.add(line)
        for line in lines:
            paint(mask, line)
            covered.append(CoveredLine(line.box, line.score))
    raise ImageRefused(
        f"text was still found after painting {MOST_PASSES} times, so the picture stays here; crop it or leave it out"
    )


def _told_apart(lines: Sequence[Line], pixels: Pixels, reader: TextReader | None) -> tuple[list[Line], list[Line]]:
    """Lines to paint, and technical marks to keep: none without a reader."""
    kept = [reader is not None and is_technical_mark(reader.read(pixels, line.box)) for line in lines]
    return (
        [line for line, keep in zip(lines, kept, strict=True) if not keep],
        [line for line, keep in zip(lines, kept, strict=True) if keep],
    )


def _apart(lines: Sequence[Line], others: Sequence[Line], shape: tuple[int, ...]) -> list[Line]:
    """Lines that overlap none of the others."""
    taken = np.zeros(shape, np.bool_)
    for other in others:
        paint(taken, other)
    return [line for line in lines if not meets(line, taken)]


def _black(pixels: Pixels, mask: Mask) -> Pixels:
    painted = pixels.copy()
    painted[mask] = FILL
    return painted


def _report(
    covered: list[CoveredLine], marks: int, passes: int, finder: TextFinder, reader: TextReader | None
) -> TextReport:
    return TextReport(
        lines=tuple(covered),
        marks_kept=marks,
        passes=passes,
        threshold=finder.threshold,
        looks=tuple(str(look) for look in finder.looks),
        detector_sha256=finder.detector_sha256,
        reader_sha256=reader.reader_sha256 if reader else "",
    )
