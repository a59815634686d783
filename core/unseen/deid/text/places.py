"""Where text of a picture is known to be, and how far it may go on from there.

For the device only. Holds places of one picture for the length of a call.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from unseen.deid.text.finder import Line
from unseen.deid.text.patches import Mask, Patch, grown

REACH = 1.0
"""Text goes on at this distance from a line, in heights of the higher one: three or four blanks, or the next line."""


class KnownPlaces:
    """Lines that are painted or were read and kept. Changes; for one thread."""

    def __init__(self, painted: Mask) -> None:
        """painted: (height, width), what is painted without a line being known there."""
        self._held = painted.copy()
        self._reached = painted.copy()

    def add(self, line: Line) -> None:
        """Text is known to be where this line is."""
        paint(self._held, line)
        margin = _reach(line)
        left, top, right, bottom = line.box
        rows, columns = slice(top, bottom + 2 * margin), slice(left, right + 2 * margin)
        wider = np.pad(self._reached, margin)
        wider[rows, columns] |= grown(line.inside, margin)
        height, width = self._reached.shape
        self._reached = wider[margin : margin + height, margin : margin + width]

    def going_on(self, lines: Sequence[Line]) -> list[Line]:
        """Return the lines within reach of a known place, or of a line that goes on itself."""
        known, going, apart = self._copy(), list[Line](), list(lines)
        while True:
            near = [known.reaches(line) for line in apart]
            if not any(near):
                return going
            for line in (line for line, is_near in zip(apart, near, strict=True) if is_near):
                known.add(line)
                going.append(line)
            apart = [line for line, is_near in zip(apart, near, strict=True) if not is_near]

    def reaches(self, line: Line) -> bool:
        """Return whether a line is so near to a known place that the text of one may go on in the other."""
        margin = _reach(line)
        left, top, right, bottom = line.box
        wider = np.pad(self._held, margin)[top : bottom + 2 * margin, left : right + 2 * margin]
        return meets(line, self._reached) or bool((wider & grown(line.inside, margin)).any())

    def _copy(self) -> KnownPlaces:
        copy = KnownPlaces(self._held)
        copy._reached = self._reached.copy()
        return copy


def paint(mask: Mask, line: Line) -> None:
    """Set the pixels of a line in a mask (height, width)."""
    left, top, right, bottom = line.box
    mask[top:bottom, left:right] |= line.inside


def meets(line: Line, mask: Mask) -> bool:
    """Return whether a line has a pixel in a mask (height, width)."""
    left, top, right, bottom = line.box
    return bool((mask[top:bottom, left:right] & line.inside).any())


def _reach(line: Line) -> int:
    return max(1, round(Patch(line.box, line.inside).thickness * REACH))
