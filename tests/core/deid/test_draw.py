from __future__ import annotations

import numpy as np

from unseen.deid.draw import COVERED, LEFT, REGION, drawn
from unseen.deid.faces import Face
from unseen.deid.report import CoverReport, Left
from unseen.deid.settings import DeidSettings


def report(faces: tuple[Face, ...], left: tuple[tuple[Face, Left], ...], settings: DeidSettings) -> CoverReport:
    return CoverReport(faces, left, 1, True, (200, 100), settings, "0" * 64)


def test_boxes_scores_and_regions_are_drawn_in_their_colours_and_the_rest_stays() -> None:
    pixels = np.full((100, 200, 3), 128, np.uint8)
    settings = DeidSettings(always_cover=((0.8, 0.5, 1, 1),))
    picture = drawn(
        pixels, report((Face((20, 40, 60, 80), 0.91),), ((Face((100, 40, 120, 70), 0.4), Left.TOO_SMALL),), settings)
    )
    assert picture.shape == pixels.shape
    assert (pixels == 128).all()
    assert tuple(picture[60, 20]) == tuple(picture[60, 59]) == COVERED
    assert tuple(picture[60, 100]) == LEFT
    assert tuple(picture[80, 160]) == REGION
    assert (picture[50:70, 25:55] == 128).all()
    # The scores stand on a label above each box, white on its colour.
    assert (picture[:40, :90].min(axis=2) > 180).any()


def test_labels_stay_within_the_picture() -> None:
    pixels = np.zeros((40, 60, 3), np.uint8)
    corner = Face((50, 0, 60, 8), 0.5, turn=3)
    assert (drawn(pixels, report((corner,), (), DeidSettings())) != 0).any()
    tiny = np.zeros((1, 1, 3), np.uint8)
    assert drawn(tiny, report((Face((0, 0, 1, 1), 0.5),), (), DeidSettings())).shape == (1, 1, 3)
