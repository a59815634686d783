"""A picture in, the same picture without faces out, or ImageRefused. Nothing is passed on in doubt.

For the device only. Holds a picture for the length of a call.

    look -> paint -> look again -> paint what is still found -> ... -> look: nothing -> done
                                                                  three times painted, still a face -> refused
"""

from __future__ import annotations

from unseen.deid.cover import FILL, MASK_SCALE, covered
from unseen.deid.faces import Face, FaceFinder, Pixels
from unseen.deid.report import CoverReport
from unseen.errors import ImageRefused

MOST_PASSES = 3
GROWTH = 0.3
"""What is found again after painting is mostly the hair around the paint: the next ellipse is this much larger."""
METHOD = f"solid {FILL}, box and ellipse x{MASK_SCALE}, x{MASK_SCALE + GROWTH:g} when found again"


def deidentify(pixels: Pixels, finder: FaceFinder) -> tuple[Pixels, CoverReport]:
    """Return the covered picture uint8 (height, width, 3) and the report; ImageRefused when a face remains findable."""
    found: list[Face] = []
    painted = pixels
    for passes in range(MOST_PASSES + 1):
        faces = finder.find(painted)
        if not faces:
            return painted, _report(found, passes, finder)
        found += faces
        painted = covered(painted, faces, MASK_SCALE + GROWTH * passes)
    raise ImageRefused(
        f"faces were still found after painting {MOST_PASSES} times, so the picture stays here; crop it or leave it out"
    )


def _report(found: list[Face], passes: int, finder: FaceFinder) -> CoverReport:
    return CoverReport(
        faces=tuple(found),
        passes=passes,
        method=METHOD,
        detector_sha256=finder.detector_sha256,
        threshold=finder.threshold,
        long_sides_px=finder.long_sides_px,
    )
