"""A picture in, the places of all text in it out, or ImageRefused. Nothing is passed on in doubt.

For the device only. Holds a picture for the length of a call.

    look -> paint every line -> look again -> ... -> nothing: look thoroughly, once -> paint -> look -> nothing -> done
                                                                    eight times painted, still text -> refused

Painted over is everything that looks like writing, whatever it says. With ``keep_marks`` a line stays that is read with
certainty and is, as a whole, on the list of technical marks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np

from unseen.deid.text.finder import THOROUGH_LOOKS, Line, Pixels, TextFinder
from unseen.deid.text.marks import is_technical_mark
from unseen.deid.text.patches import Mask
from unseen.deid.text.reader import TextReader
from unseen.deid.text.report import CoveredLine, TextReport
from unseen.errors import ImageRefused

Views: TypeAlias = Callable[[Mask], Sequence[Pixels]]
"""Shows a picture with some pixels painted over, in every way in which it may be shown: uint8 (height, width, 3)."""
MOST_PASSES = 8
"""Four were the most that any picture of the bench needed; a restless one has more of what is no text each time."""
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
    mask = painted.copy()
    covered: list[CoveredLine] = []
    for passes in range(MOST_PASSES + 1):
        shown = views(mask)
        lines = finder.find(shown, mask)
        if not lines and thorough:
            thorough = False  # once: in bands a restless picture has a little more of what is no text every time
            lines = finder.find(shown, mask, looks=THOROUGH_LOOKS)
        marks = [line for line in lines if keep_marks and reader is not None and _is_mark(line, shown[0], reader)]
        lines = [line for line in lines if not any(line is mark for mark in marks)]
        if not lines:
            return mask, _report(covered, len(marks), passes, finder, reader if keep_marks else None)
        for line in lines:
            left, top, right, bottom = line.box
            mask[top:bottom, left:right] |= line.inside
            covered.append(CoveredLine(line.box, line.score))
    raise ImageRefused(
        f"text was still found after painting {MOST_PASSES} times, so the picture stays here; crop it or leave it out"
    )


def _is_mark(line: Line, pixels: Pixels, reader: TextReader) -> bool:
    return is_technical_mark(reader.read(pixels, line.box))


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
