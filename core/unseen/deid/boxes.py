"""Boxes around faces: how much two overlap, which are the same face twice, and how they turn with a picture.

For the device only: boxes say where people stood. A box is left, top, right, bottom in pixels, right and bottom
excluded.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Boxes = npt.NDArray[np.float64]
"""(n, 4)"""
Scores = npt.NDArray[np.float64]
"""(n,), 0 to 1"""

LARGEST_OVERLAP = 0.3
"""Of two boxes whose intersection is more than this share of their union, the weaker is the same face again."""


def turned_back(boxes: Boxes, turn: int, width: int, height: int) -> Boxes:
    """Undo numpy's rot90 (counter-clockwise quarter turns) on boxes of a picture that is width x height after it."""
    for _ in range(turn):
        left, top, right, bottom = boxes.T
        boxes = np.stack([height - bottom, left, height - top, right], axis=1)
        width, height = height, width
    return boxes


def without_doubles(boxes: Boxes, scores: Scores) -> npt.NDArray[np.int64]:
    """Return the places of the strongest of boxes that overlap (greedy non-maximum suppression), strongest first."""
    left_over = np.argsort(-scores, kind="stable")
    kept: list[int] = []
    while left_over.size:
        best, left_over = int(left_over[0]), left_over[1:]
        kept.append(best)
        left_over = left_over[overlap(boxes[best], boxes[left_over]) < LARGEST_OVERLAP]
    return np.array(kept, np.int64)


def overlap(box: Boxes, others: Boxes) -> Scores:
    """Return intersection over union of one box (4,) with each of (n, 4)."""
    width = np.minimum(box[2], others[:, 2]) - np.maximum(box[0], others[:, 0])
    height = np.minimum(box[3], others[:, 3]) - np.maximum(box[1], others[:, 1])
    shared = width.clip(0) * height.clip(0)
    areas = (others[:, 2] - others[:, 0]) * (others[:, 3] - others[:, 1])
    union = (box[2] - box[0]) * (box[3] - box[1]) + areas - shared
    return np.asarray(shared / np.maximum(union, 1e-9), np.float64)
