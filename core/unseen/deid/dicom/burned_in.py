"""Text, and where there may be people faces, drawn or photographed into the pixels: found and painted in every frame.

    frame 1: look -> paint -> look again ...   what was painted stays painted in every frame
    frame 2: look -> ...                       so text that stands still is found once

The first, the middle and the last frame are looked at thoroughly: print over a pattern that hides it takes several
times the work to find, and what is burned in stands in all of them.

For the device only. Holds decoded frames for the length of a call. What an object keeps after this was looked at in
every frame, in every window; what is not found is not covered: docs/dicom.md has the figures, and
``unseen.deid.text.cover`` says what a repeated look leaves.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from unseen.deid.dicom.stored import StoredFrames
from unseen.deid.faces import Face, FaceFinder
from unseen.deid.text.cover import text_of
from unseen.deid.text.finder import TextFinder
from unseen.deid.text.patches import Mask
from unseen.deid.text.reader import TextReader
from unseen.deid.text.report import CoveredLine
from unseen.errors import ImageRefused

FACE_SCALE = 1.6
"""A face is painted as a box this many times as large as the found one: hair line, ears and chin stick out."""
MOST_FACE_PASSES = 3


@dataclass(frozen=True)
class BurnedInReport:
    """What was covered in the pixels of one object. Stays on the device. Holds places, never what stood there."""

    frames: int
    lines: tuple[tuple[int, CoveredLine], ...]
    """Frame in which it was found first (from 1), and the line."""
    marks_kept: int
    """Lines that stayed because they are technical marks, counted once a frame."""
    passes: int
    """How often the frame that needed it most was painted."""
    faces_looked_for: bool
    faces: tuple[tuple[int, tuple[int, int, int, int]], ...]
    """Frame (from 1), and left, top, right, bottom of what was painted."""

    @property
    def covered(self) -> int:
        """Places painted."""
        return len(self.lines) + len(self.faces)

    def as_dict(self) -> dict[str, Any]:
        """Return the report as plain numbers, strings, lists and dictionaries, ready for JSON."""
        return {
            "frames": self.frames,
            "lines": [{"frame": at, "box": list(line.box), "score": round(line.score, 4)} for at, line in self.lines],
            "marks_kept": self.marks_kept,
            "passes": self.passes,
            "faces_looked_for": self.faces_looked_for,
            "faces": [{"frame": at, "box": list(box)} for at, box in self.faces],
        }


@dataclass(frozen=True)
class Finders:
    """The networks that look, and what they let pass."""

    text: TextFinder
    reader: TextReader | None = None
    """Only with ``keep_marks``."""
    faces: FaceFinder | None = None
    """Only where the pixels may be a photograph of a person."""
    keep_marks: bool = False


def burned_in(frames: StoredFrames, finders: Finders) -> tuple[Mask, BurnedInReport]:
    """Return which pixels (rows, columns) of every frame must be painted, and the report.

    Raises:
        ImageRefused: text or a face was still found after painting, or could not be looked for.
    """
    mask = np.zeros(frames.frame_shape, np.bool_)
    lines: list[tuple[int, CoveredLine]] = []
    faces: list[tuple[int, tuple[int, int, int, int]]] = []
    marks = passes = 0
    thoroughly = False
    for frame in range(len(frames.stored)):
        thorough = frame in {0, len(frames.stored) // 2, len(frames.stored) - 1}
        same = frame > 0 and np.array_equal(frames.stored[frame], frames.stored[frame - 1])
        if same and thoroughly >= thorough:
            continue
        thoroughly = thorough
        if finders.faces is not None:
            boxes = _paint_faces(frames, frame, mask, finders.faces)
            faces += [(frame + 1, box) for box in boxes]
        mask, report = text_of(
            lambda painted, at=frame: frames.views(at, painted),  # type: ignore[misc]  # a default binds the frame
            mask,
            finders.text,
            finders.reader,
            finders.keep_marks,
            thorough=thorough,
        )
        lines += [(frame + 1, line) for line in report.lines]
        marks += report.marks_kept
        passes = max(passes, report.passes)
    looked = finders.faces is not None
    return mask, BurnedInReport(len(frames.stored), tuple(lines), marks, passes, looked, tuple(faces))


def _paint_faces(frames: StoredFrames, frame: int, mask: Mask, finder: FaceFinder) -> list[tuple[int, int, int, int]]:
    """Paint every face of one frame into the mask, in whichever direction it stands; the painted boxes."""
    painted: list[tuple[int, int, int, int]] = []
    for _ in range(MOST_FACE_PASSES + 1):
        faces = finder.find(frames.views(frame, mask)[0], turned=True)
        if not faces:
            return painted
        for face in faces:
            left, top, right, bottom = _box(face, mask.shape)
            mask[top:bottom, left:right] = True
            painted.append((left, top, right, bottom))
    raise ImageRefused("faces were still found after painting, so the object stays here; crop it or leave it out")


def _box(face: Face, shape: tuple[int, ...]) -> tuple[int, int, int, int]:
    left, top, right, bottom = face.box
    middle_x, middle_y = (left + right) / 2, (top + bottom) / 2
    half_width, half_height = FACE_SCALE * (right - left) / 2, FACE_SCALE * (bottom - top) / 2
    return (
        max(math.floor(middle_x - half_width), 0),
        max(math.floor(middle_y - half_height), 0),
        min(math.ceil(middle_x + half_width), shape[1]),
        min(math.ceil(middle_y + half_height), shape[0]),
    )
