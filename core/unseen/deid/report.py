"""What was covered in a picture, and by what. Stays on the device: boxes say where people stood."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from unseen.deid.faces import Face


@dataclass(frozen=True)
class CoverReport:
    """One picture's de-identification."""

    faces: tuple[Face, ...]
    """Every face that was found and painted over, in the order found; boxes in pixels of the covered picture."""
    passes: int
    """How often the picture was painted: 0 without faces, more than 1 when a second look found something."""
    method: str
    detector_sha256: str
    threshold: float
    long_sides_px: tuple[int, ...]

    @property
    def faces_covered(self) -> int:
        """How many found faces are painted over."""
        return len(self.faces)

    def as_dict(self) -> dict[str, Any]:
        """Return the report as plain numbers, strings, lists and dictionaries, ready for JSON."""
        return {**asdict(self), "faces": [{"box": list(face.box), "score": face.score} for face in self.faces]}
