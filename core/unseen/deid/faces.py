"""Where the faces are: CenterFace (Xu et al. 2019) through onnxruntime.

For the device only. Holds a picture for the length of a call. Boxes and scores stay on the device.

A missed face costs more than a false one, so the threshold is low (0.22) and every picture is looked at three times:
with its long side at 640 pixels, where small faces are found, as it is and mirrored, for a weak face is often seen one
way only; and at 192, where one that fills the picture is. Where nobody says which side is up, three small and strict
looks at the turned picture decide which other way is worth a thorough one:

    640 px, 640 px mirrored, 192 px: at 0.22      and, when it may be turned,
    384 px at 0.5, by 90, 180 and 270 degrees     a face, surer than it stands? -> 640 px at 0.22, turned that way

docs/deidentification.md has what each of them finds and mistakes.
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

from unseen.deid.boxes import LARGEST_OVERLAP, Boxes, Scores, overlap, turned_back, without_doubles
from unseen.deid.settings import LARGEST_SIDE_PX, SMALLEST_SIDE_PX
from unseen.errors import ImageRefused, InvalidConfiguration, InvalidInput
from unseen.pixels import Pixels
from unseen.weights import open_session, read_manifest

FOLDER = Path(__file__).parent / "models"
MODEL_FILE = "centerface.onnx"
CELL_PX = 4
"""The heat map has one value for 4 x 4 pixels of the network's picture."""
CLOSE_UP = 0.3
"""What a look at a smaller side may add: faces that take this share of the picture's long side or more. Smaller ones
are the business of the largest look; a small one mistakes dark heads, painted over already, for faces."""
TURNED_SIDE_PX, TURNED_THRESHOLD = 384, 0.5
"""A look at a turned picture that is probably upright: smaller for speed, stricter for truth."""
SIDE_MULTIPLE_PX = 32
"""The network halves its picture five times."""
DARK = 40
"""A picture whose brightest hundredth starts below this is made brighter to be looked at, never in the output."""
LARGEST_GAIN = 6.0
"""More makes faces of the sensor's noise."""
SAME_FACE = 0.5
"""Two looks whose boxes share so much of their union mean one face and nothing beside it."""
MOST_FACES = 1000
"""Boxes kept before weeding out doubles; a picture with more is one big crowd and is covered all the same."""


@dataclass(frozen=True)
class Face:
    """A found face: left, top, right, bottom in pixels of the picture (right and bottom excluded), score 0 to 1."""

    box: tuple[float, float, float, float]
    score: float
    turn: int = 0
    """Quarter turns, counter-clockwise, after which the picture showed it: 0 for an upright face."""


class FaceFinder:
    """Finds faces. Opened at the first picture; safe for several threads."""

    def __init__(self, *, threshold: float = 0.22, long_sides_px: Sequence[int] = (640, 192), threads: int = 1) -> None:
        """long_sides_px: what the picture's longer side is reduced or enlarged to, one look for each."""
        sound = all(SMALLEST_SIDE_PX <= side <= LARGEST_SIDE_PX for side in long_sides_px)
        if not 0 < threshold < 1 or not long_sides_px or not sound:
            raise InvalidConfiguration(
                f"got threshold={threshold}, long_sides_px={tuple(long_sides_px)}, expected a threshold between 0 and "
                f"1, sides of {SMALLEST_SIDE_PX} to {LARGEST_SIDE_PX} px"
            )
        self.threshold = threshold
        self.long_sides_px = tuple(long_sides_px)
        self._threads = threads
        self._manifest = read_manifest(FOLDER)
        self._lock = Lock()

    @property
    def detector_sha256(self) -> str:
        """The hash of the network's file, as pinned."""
        return self._manifest.files[MODEL_FILE].sha256

    def find(self, pixels: Pixels, *, turned: bool = False) -> list[Face]:
        """Return the faces of a picture uint8 (height, width, 3), strongest first; ImageRefused when it cannot look.

        turned: look for faces that lie on their side or stand on their head as well.
        """
        if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3 or 0 in pixels.shape:
            raise InvalidInput(
                f"got pixels of shape {pixels.shape} and type {pixels.dtype}, expected (height, width, 3) of uint8"
            )
        picture = Image.fromarray(pixels)
        looks = [(*self._upright(picture), 0)]
        for turn in (1, 2, 3) if turned else ():
            looks += [(*look, turn) for look in self._turned(picture, turn, *looks[0][:2])]
        boxes = np.concatenate([boxes for boxes, _, _ in looks])
        scores = np.concatenate([scores for _, scores, _ in looks])
        turns = np.repeat([turn for *_, turn in looks], [len(scores) for _, scores, _ in looks])
        return [
            Face((float(left), float(top), float(right), float(bottom)), float(scores[place]), int(turns[place]))
            for place in without_doubles(boxes, scores)
            for left, top, right, bottom in [_with_doubles(boxes[place], boxes)]
        ]

    def close(self) -> None:
        """Let go of the network; a later call reads it again."""
        with self._lock:
            self.__dict__.pop("_network", None)

    @cached_property
    def _network(self) -> ort.InferenceSession:
        return open_session(self._manifest.read(MODEL_FILE), self._threads)

    def _upright(self, picture: Image.Image) -> tuple[Boxes, Scores]:
        """Return the faces of a picture as it stands, at every size."""
        largest = max(self.long_sides_px)
        looks = [self._look(picture, largest, 0, self.threshold, mirrored=True)]
        for side in self.long_sides_px:
            boxes, scores = self._look(picture, side, 0, self.threshold)
            if side < largest:
                long = np.maximum(boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1])
                close_up = long >= CLOSE_UP * max(picture.size)
                boxes, scores = boxes[close_up], scores[close_up]
            looks.append((boxes, scores))
        return np.concatenate([boxes for boxes, _ in looks]), np.concatenate([scores for _, scores in looks])

    def _turned(
        self, picture: Image.Image, turn: int, known: Boxes, known_scores: Scores
    ) -> list[tuple[Boxes, Scores]]:
        """Return what a turned look adds: a thorough one when a small, strict one sees a face better than it stands."""
        boxes, scores = self._look(picture, TURNED_SIDE_PX, turn, max(self.threshold, TURNED_THRESHOLD))
        better = [
            score > known_scores[overlap(box, known) >= LARGEST_OVERLAP].max(initial=0)
            for box, score in zip(boxes, scores, strict=True)
        ]
        if not any(better):
            return []
        return [(boxes, scores), self._look(picture, max(self.long_sides_px), turn, self.threshold)]

    def _look(
        self, picture: Image.Image, long_side: int, turn: int, threshold: float, *, mirrored: bool = False
    ) -> tuple[Boxes, Scores]:
        """Return boxes in pixels of the picture, and scores, of one pass of the network over it."""
        shrink = long_side / max(picture.size)
        size = (_whole_cells(picture.width * shrink), _whole_cells(picture.height * shrink))
        seen = np.asarray(picture.resize(size, Image.Resampling.BILINEAR, reducing_gap=3.0), np.float32)
        seen = np.rot90(_brightened(seen), turn)
        seen = seen[:, ::-1] if mirrored else seen
        heat, extent, offset = self._run(np.ascontiguousarray(seen.transpose(2, 0, 1)[None]))
        boxes, scores = _boxes(heat, extent, offset, threshold)
        if mirrored:
            boxes[:, [0, 2]] = seen.shape[1] - boxes[:, [2, 0]]
        boxes = turned_back(boxes, turn, seen.shape[1], seen.shape[0])
        boxes *= np.array([picture.width / size[0], picture.height / size[1]] * 2)
        boxes[:, 0::2] = boxes[:, 0::2].clip(0, picture.width)
        boxes[:, 1::2] = boxes[:, 1::2].clip(0, picture.height)
        return boxes, scores

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


def _with_doubles(box: Boxes, others: Boxes) -> Boxes:
    """Return the box (4,) around one face as every look saw it: they differ by a pixel or two, which is much of 18."""
    same = np.vstack([box, others[overlap(box, others) >= SAME_FACE]])
    return np.array([*same[:, :2].min(axis=0), *same[:, 2:].max(axis=0)])


def _whole_cells(pixels: float) -> int:
    return max(1, int(np.ceil(round(pixels) / SIDE_MULTIPLE_PX))) * SIDE_MULTIPLE_PX


def _brightened(seen: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return what the network sees of a dark picture: brighter, so that faces in the dark are faces."""
    brightest = float(np.percentile(seen[::4, ::4], 99))
    if brightest >= DARK:
        return seen
    return np.asarray(np.minimum(seen * min(LARGEST_GAIN, 255 / max(brightest, 1)), 255), np.float32)


def _boxes(
    heat: npt.NDArray[np.float32], size: npt.NDArray[np.float32], offset: npt.NDArray[np.float32], threshold: float
) -> tuple[Boxes, Scores]:
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
