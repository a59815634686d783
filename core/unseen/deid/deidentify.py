"""A picture in, the same picture without faces out, or ImageRefused. Nothing is passed on in doubt.

For the device only. Holds a picture for the length of a call.

    cover regions -> look -> cover -> look again -> cover what is still found -> ... -> look: nothing -> done
                                                                  five times covered, still a face -> refused
"""

from __future__ import annotations

from unseen.deid.cover import covered, covered_regions
from unseen.deid.faces import Face, FaceFinder
from unseen.deid.report import CoverReport, Left
from unseen.deid.settings import DeidSettings, Turned
from unseen.errors import ImageRefused
from unseen.pixels import Pixels

MOST_PASSES = 5
GROWTH = 0.3
"""What is found again after covering is mostly the hair around the paint: the next ellipse is this much larger."""


def deidentify(
    pixels: Pixels, finder: FaceFinder, settings: DeidSettings | None = None, *, upright: bool = False
) -> tuple[Pixels, CoverReport]:
    """Return the covered picture uint8 (height, width, 3) and the report; ImageRefused when a face remains findable.

    upright: whether it is known which side of the picture is up (the file said so, and it was turned accordingly).
    """
    settings = settings or DeidSettings(threshold=finder.threshold, long_sides_px=finder.long_sides_px)
    turned = settings.turned is Turned.ALWAYS or (settings.turned is Turned.AUTO and not upright)
    found: list[Face] = []
    left: list[tuple[Face, Left]] = []
    result = covered_regions(pixels, settings.always_cover, settings)
    for passes in range(MOST_PASSES + 1):
        reasons = [(face, _reason_to_leave(face, pixels, settings)) for face in finder.find(result, turned=turned)]
        left = [(face, why) for face, why in reasons if why] if passes == 0 else left
        faces = [face for face, why in reasons if not why]
        if not faces:
            height, width = pixels.shape[:2]
            report = CoverReport(
                tuple(found), tuple(left), passes, turned, (width, height), settings, finder.detector_sha256
            )
            return result, report
        found += faces
        result = covered(result, faces, settings, settings.mask_scale + GROWTH * passes)
    raise ImageRefused(
        f"faces were still found after covering {MOST_PASSES} times, so the picture stays here; crop it, leave it out, "
        "or cover the place with always_cover"
    )


def _reason_to_leave(face: Face, pixels: Pixels, settings: DeidSettings) -> Left | None:
    left, top, right, bottom = face.box
    height, width = pixels.shape[:2]
    share = max(right - left, bottom - top) / max(height, width)
    x, y = (left + right) / 2 / width, (top + bottom) / 2 / height
    if any(region[0] <= x <= region[2] and region[1] <= y <= region[3] for region in settings.never_cover):
        return Left.NEVER
    if share < settings.smallest_face:
        return Left.TOO_SMALL
    return Left.TOO_LARGE if share > settings.largest_face else None
