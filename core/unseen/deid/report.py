"""What was found and covered in a picture, and by what. Stays on the device: boxes say where people stood."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np

from unseen.deid.boxes import LARGEST_OVERLAP, overlap
from unseen.deid.faces import Face
from unseen.deid.settings import DeidSettings


class Left(StrEnum):
    """Why a found face was left as it is: its owner's settings say so."""

    TOO_SMALL = "smaller than smallest_face"
    TOO_LARGE = "larger than largest_face"
    NEVER = "in a region of never_cover"


@dataclass(frozen=True)
class CoverReport:
    """One picture's de-identification."""

    faces: tuple[Face, ...]
    """Every box that was found and covered, in the order found, in pixels of the covered picture."""
    left: tuple[tuple[Face, Left], ...]
    """Every face that was found and left as it is, with the reason."""
    passes: int
    """How often faces were covered: 0 without faces, more than 1 when a second look found something."""
    turned: bool
    """Whether faces that lie on their side or stand on their head were looked for."""
    size_px: tuple[int, int]
    """Width and height of the picture."""
    settings: DeidSettings
    detector_sha256: str

    @property
    def faces_covered(self) -> int:
        """How many found faces are covered; one found again around its cover, and covered larger, counts once."""
        boxes = np.array([face.box for face in self.faces]).reshape(-1, 4)
        return sum(not (overlap(boxes[at], boxes[:at]) >= LARGEST_OVERLAP).any() for at in range(len(boxes)))

    def as_dict(self) -> dict[str, Any]:
        """Return the report as plain numbers, strings, lists and dictionaries, ready for JSON."""
        return {
            "faces": [_fields(face) for face in self.faces],
            "left": [{**_fields(face), "reason": why.value} for face, why in self.left],
            "passes": self.passes,
            "turned": self.turned,
            "size_px": list(self.size_px),
            "settings": self.settings.as_dict(),
            "detector_sha256": self.detector_sha256,
        }


def _fields(face: Face) -> dict[str, Any]:
    return {"box": [round(side, 2) for side in face.box], "score": round(face.score, 4), "turn": face.turn}
