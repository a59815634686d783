"""Where the faces are: CenterFace (Xu et al. 2019) through onnxruntime.

For the device only. Holds a picture for the length of a call. Boxes and scores stay on the device.

A missed face costs more than a false one, so the threshold is low (0.2) and every picture is looked at twice: with its
long side at 640 pixels, where small faces are found, and at 192, where one that fills the picture is (docs/models.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from threading import Lock

import numpy as np
import numpy.typing as npt
import onnxruntime as ort
from PIL import Image

from unseen.errors import ImageRefused, InvalidConfiguration, InvalidInput
from unseen.weights import open_session, read_manifest

Pixels = npt.NDArray[np.uint8]
FOLDER = Path(__file__).parent / "models"
MODEL_FILE = "centerface.onnx"
CELL_PX = 4
"""The heat map has one value for 4 x 4 pixels of the network's picture."""
LARGEST_SIDE_PX = 4096
CLOSE_UP = 0.3
"""What a look at a smaller side may add: faces that take this share of the picture's long side or more. Smaller ones
are the business of the largest look; a small one mistakes dark heads, painted over already, for faces."""
SIDE_MULTIPLE_PX = 32
"""The network halves its picture five times."""
LARGEST_OVERLAP = 0.3
"""Of two boxes whose intersection is more than this share of their union, the weaker is the same face again."""
MOST_FACES = 1000
"""Boxes kept before weeding out doubles; a picture with more is one big crowd and is covered all the same."""


@dataclass(frozen=True)
class Face:
    """A found face: left, top, right, bottom in pixels of the picture (right and bottom excluded), score 0 to 1."""

    box: tuple[float, float, float, float]
    score: float


class FaceFinder:
    """Finds faces in upright pictures. Opened at the first picture; safe for several threads."""

    def __init__(
        self,
        *,
        threshold: float = 0.2,
        long_sides_px: Sequence[int] = (640, 192),
        turns: Sequence[int] = (0,),
        threads: int = 1,
    ) -> None:
        """turns: quarter turns to look at as well, e.g. (0, 1, 2, 3) where the orientation of pictures is unknown."""
        looks = [(side, turn) for side in long_sides_px for turn in turns]
        sound = all(SIDE_MULTIPLE_PX <= side <= LARGEST_SIDE_PX and turn in {0, 1, 2, 3} for side, turn in looks)
        if not 0 < threshold < 1 or not looks or not sound:
            raise InvalidConfiguration(
                f"got threshold={threshold}, long_sides_px={tuple(long_sides_px)}, turns={tuple(turns)}, expected "
                f"a threshold between 0 and 1, sides of {SIDE_MULTIPLE_PX} to {LARGEST_SIDE_PX} px, turns of 0 to 3"
            )
        self.threshold = threshold
        self.long_sides_px = tuple(long_sides_px)
        self.turns = tuple(turns)
        self._looks = looks
        self._threads = threads
        self._manifest = read_manifest(FOLDER)
        self._lock = Lock()

    @property
    def detector_sha256(self) -> str:
        """The hash of the network's file, as pinned."""
        return self._manifest.files[MODEL_FILE].sha256

    def find(self, pixels: Pixels) -> list[Face]:
        """Return the faces of a picture uint8 (height, width, 3), strongest first; ImageRefused when it cannot look."""
        if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3 or 0 in pixels.shape:
            raise InvalidInput(
                f"got pixels of shape {pixels.shape} and type {pixels.dtype}, expected (height, width, 3) of uint8"
            )
        found = [self._look(pixels, side, turn) for side, turn in self._looks]
        boxes = np.concatenate([boxes for boxes, _ in found])
        scores = np.concatenate([scores for _, scores in found])
        boxes, scores = _without_doubles(boxes, scores)
        return [
            Face((float(box[0]), float(box[1]), float(box[2]), float(box[3])), float(score))
            for box, score in zip(boxes, scores, strict=True)
        ]

    def close(self) -> None:
        """Let go of the network; a later call reads it again."""
        with self._lock:
            self.__dict__.pop("_network", None)

    @cached_property
    def _network(self) -> ort.InferenceSession:
        return open_session(self._manifest.read(MODEL_FILE), self._threads)

    def _look(
        self, pixels: Pixels, long_side: int, turn: int
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        turned = np.ascontiguousarray(np.rot90(pixels, turn))
        height, width = turned.shape[:2]
        shrink = long_side / max(height, width)
        seen_width, seen_height = _whole_cells(width * shrink), _whole_cells(height * shrink)
        picture = Image.fromarray(turned).resize((seen_width, seen_height), Image.Resampling.BILINEAR)
        heat, size, offset = self._run(np.asarray(picture, np.float32).transpose(2, 0, 1)[None])
        boxes, scores = _boxes(heat, size, offset, self.threshold)
        boxes *= np.array([width / seen_width, height / seen_height] * 2)
        if long_side < max(self.long_sides_px):
            large = np.maximum(boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]) >= CLOSE_UP * max(height, width)
            boxes, scores = boxes[large], scores[large]
        boxes[:, 0::2] = boxes[:, 0::2].clip(0, width)
        boxes[:, 1::2] = boxes[:, 1::2].clip(0, height)
        return _turned_back(boxes, turn, width, height), scores

    def _run(self, picture: npt.NDArray[np.float32]) -> list[npt.NDArray[np.float32]]:
        with self._lock:
            network = self._network
        try:
            maps: list[npt.NDArray[np.float32]] = network.run(["heat", "size", "offset"], {"pixels": picture})
        except Exception as error:  # onnxruntime's errors have no common root; any of them means "not looked at"
            raise ImageRefused("the face finder failed, so the picture stays here; try a smaller picture") from error
        if not all(np.isfinite(values).all() for values in maps):
            raise ImageRefused("the face finder gave no numbers, so the picture stays here")
        return [values[0] for values in maps]


def _whole_cells(pixels: float) -> int:
    return max(1, int(np.ceil(round(pixels) / SIDE_MULTIPLE_PX))) * SIDE_MULTIPLE_PX


def _boxes(
    heat: npt.NDArray[np.float32], size: npt.NDArray[np.float32], offset: npt.NDArray[np.float32], threshold: float
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return (n, 4) boxes in the network's pixels and their scores: CenterFace section 3.2, "as anchor-free points"."""
    rows, columns = np.nonzero(heat[0] > threshold)
    scores = heat[0, rows, columns].astype(np.float64)
    strongest = np.argsort(-scores, kind="stable")[:MOST_FACES]
    rows, columns, scores = rows[strongest], columns[strongest], scores[strongest]
    height, width = (np.exp(size[axis, rows, columns].astype(np.float64)) * CELL_PX for axis in (0, 1))
    middle_y = (rows + offset[0, rows, columns] + 0.5) * CELL_PX
    middle_x = (columns + offset[1, rows, columns] + 0.5) * CELL_PX
    corners = (middle_x - width / 2, middle_y - height / 2, middle_x + width / 2, middle_y + height / 2)
    return np.stack(corners, axis=1), scores


def _turned_back(boxes: npt.NDArray[np.float64], turn: int, width: int, height: int) -> npt.NDArray[np.float64]:
    """Undo numpy's rot90 (counter-clockwise quarter turns) on boxes of a picture that is width x height after it."""
    for _ in range(turn):
        left, top, right, bottom = boxes.T
        boxes = np.stack([height - bottom, left, height - top, right], axis=1)
        width, height = height, width
    return boxes


def _without_doubles(
    boxes: npt.NDArray[np.float64], scores: npt.NDArray[np.float64]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Keep the strongest of boxes that overlap (greedy non-maximum suppression), strongest first."""
    left_over = np.argsort(-scores, kind="stable")
    kept: list[int] = []
    while left_over.size:
        best, left_over = int(left_over[0]), left_over[1:]
        kept.append(best)
        left_over = left_over[overlap(boxes[best], boxes[left_over]) < LARGEST_OVERLAP]
    return boxes[kept], scores[kept]


def overlap(box: npt.NDArray[np.float64], others: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return intersection over union of one box (4,) with each of (n, 4)."""
    width = np.minimum(box[2], others[:, 2]) - np.maximum(box[0], others[:, 0])
    height = np.minimum(box[3], others[:, 3]) - np.maximum(box[1], others[:, 1])
    shared = width.clip(0) * height.clip(0)
    areas = (others[:, 2] - others[:, 0]) * (others[:, 3] - others[:, 1])
    union = (box[2] - box[0]) * (box[3] - box[1]) + areas - shared
    return np.asarray(shared / np.maximum(union, 1e-9), np.float64)
