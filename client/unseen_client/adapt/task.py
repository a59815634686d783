"""What an adapter is taught: pictures towards the text of their label or caption, and away from other, public texts.

Runs on the device; holds vectors of private pictures while it is used. Which texts a picture is held against, and in
which directions it may be moved, is public: the list of labels (it stands on the card), or what the bundled model knows
of ImageNet's classes. A caption is seen by the loss of its own picture only.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from unseen.embed.bundled import VISUAL_DIMENSION
from unseen.errors import InvalidInput

Float32Matrix = npt.NDArray[np.float32]
Float64Array = npt.NDArray[np.float64]

LARGEST_RANK = 64
"""Directions that pictures may be moved in: more of them cost more noise than they are worth."""


class Lesson(StrEnum):
    """What the text of an image is."""

    LABELS = "labels"
    """One of a few words that many images share, and that everybody may know."""
    CAPTIONS = "captions"
    """A sentence of the image's own, as private as the image."""


@dataclass(frozen=True, eq=False)
class Task:
    """Pictures with their right texts, and the texts that these are told from."""

    rows: Float32Matrix
    """(n, 512): vectors of the bundled model."""
    own: Float32Matrix
    """(n, 384): the vector of each picture's label or caption."""
    others: Float32Matrix
    """(k, 384): public texts; for labels all of them, the right one among them."""
    labels: npt.NDArray[np.int64] | None
    """(n,): which of ``others`` is right; None for captions, which are not among them."""
    up: Float32Matrix
    """(r, 384): the public directions that the semantic part may be moved in; orthonormal."""

    @property
    def semantic(self) -> Float32Matrix:
        """(n, 384): the semantic parts of the rows, at unit length."""
        parts = self.rows[:, VISUAL_DIMENSION:]
        return np.asarray(parts / np.linalg.norm(parts, axis=1, keepdims=True), np.float32)

    def part(self, chosen: npt.NDArray[np.bool_]) -> Task:
        """The same with some of the pictures only."""
        labels = None if self.labels is None else self.labels[chosen]
        return Task(self.rows[chosen], self.own[chosen], self.others, labels, self.up)


def labels_task(rows: Float32Matrix, labels: npt.NDArray[np.int64], texts: Float32Matrix) -> Task:
    """Pictures of which each has one of k labels; ``texts`` (k, 384) are the labels' vectors. Raises InvalidInput."""
    if len(texts) < 2:
        raise InvalidInput(f"got {len(texts)} labels, expected two or more: there is nothing to tell apart")
    return Task(rows, texts[labels], texts, labels, main_directions(texts))


def captions_task(rows: Float32Matrix, captions: Float32Matrix, public: Float32Matrix) -> Task:
    """Pictures with a caption each (n, 384), told from public texts (k, 384) of which the length does not count."""
    unit = public / np.linalg.norm(public, axis=1, keepdims=True)
    return Task(rows, captions, np.asarray(unit, np.float32), None, main_directions(unit))


def main_directions(texts: npt.NDArray[np.floating]) -> Float32Matrix:
    """The directions in which public texts differ most from nothing: orthonormal (r, 384), r at most LARGEST_RANK."""
    _, sizes, directions = np.linalg.svd(np.asarray(texts, np.float64), full_matrices=False)
    rank = int(min(LARGEST_RANK, (sizes > 1e-3 * sizes[0]).sum()))
    return np.ascontiguousarray(directions[:rank], np.float32)


def scores(task: Task, down: Float32Matrix) -> Float64Array:
    """How well each picture finds its own text, in [0, 1], with these weights (r, 512): (n,).

    With labels 1 or 0: whether the right one is the nearest. With captions the part of the public texts that are
    farther away than the picture's own. Each score depends on its own picture alone.
    """
    moved = task.semantic + (task.rows @ down.T) @ task.up
    moved /= np.maximum(np.linalg.norm(moved, axis=1, keepdims=True), np.finfo(np.float32).tiny)
    others = moved @ task.others.T
    if task.labels is not None:
        return np.asarray(others.argmax(axis=1) == task.labels, np.float64)
    own = np.einsum("nd,nd->n", moved, task.own)
    return np.asarray((others < own[:, None]).mean(axis=1), np.float64)
