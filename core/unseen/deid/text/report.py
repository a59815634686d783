"""What text was covered in a picture, and by what. Stays on the device. Holds places, never what stood there."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class CoveredLine:
    """One covered line: left, top, right, bottom in pixels of the picture (right and bottom excluded), score 0 to 1."""

    box: tuple[int, int, int, int]
    score: float


@dataclass(frozen=True)
class TextReport:
    """The text of one picture."""

    lines: tuple[CoveredLine, ...]
    """Every line that was found and painted over, in the order found."""
    marks_kept: int
    """Lines that stayed because they are technical marks."""
    passes: int
    """How often the picture was painted: 0 without text, more than 1 when a second look found something."""
    threshold: float
    looks: tuple[str, ...]
    detector_sha256: str
    reader_sha256: str
    """Empty where nothing had to be read."""

    @property
    def lines_covered(self) -> int:
        """How many found lines are painted over."""
        return len(self.lines)

    def as_dict(self) -> dict[str, Any]:
        """Return the report as plain numbers, strings, lists and dictionaries, ready for JSON."""
        lines = [{"box": list(line.box), "score": round(line.score, 4)} for line in self.lines]
        return {**asdict(self), "lines": lines, "looks": list(self.looks)}
