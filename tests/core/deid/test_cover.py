from __future__ import annotations

import numpy as np
import numpy.typing as npt
from hypothesis import given
from hypothesis import strategies as st

from unseen.deid.cover import FILL, MASK_SCALE, covered
from unseen.deid.faces import Face

Pixels = npt.NDArray[np.uint8]
BLANK = 9


def plainly_covered(height: int, width: int, box: tuple[float, float, float, float]) -> npt.NDArray[np.bool_]:
    """Pixel by pixel: painted when any point of it lies in the box, or its nearest point in the larger ellipse."""
    left, top, right, bottom = box
    middle_x, middle_y = (left + right) / 2, (top + bottom) / 2
    radius_x, radius_y = (right - left) * MASK_SCALE / 2, (bottom - top) * MASK_SCALE / 2
    painted = np.zeros((height, width), bool)
    for y in range(height):
        for x in range(width):
            in_box = x < right and x + 1 > left and y < bottom and y + 1 > top
            near_x, near_y = min(max(middle_x, x), x + 1), min(max(middle_y, y), y + 1)
            in_ellipse = ((near_x - middle_x) / radius_x) ** 2 + ((near_y - middle_y) / radius_y) ** 2 < 1 - 1e-9
            painted[y, x] = in_box or in_ellipse
    return painted


sides = st.integers(1, 24)
places = st.floats(0, 1)


@given(height=sides, width=sides, x=places, y=places, w=st.floats(0.02, 1), h=st.floats(0.02, 1))
def test_paint_covers_what_the_plain_way_covers(
    height: int, width: int, x: float, y: float, w: float, h: float
) -> None:
    left, top = x * width * 0.95, y * height * 0.95
    box = (left, top, min(width, left + w * width), min(height, top + h * height))
    picture = np.full((height, width, 3), BLANK, np.uint8)
    painted = (covered(picture, [Face(box, 1.0)]) == FILL).all(axis=2)
    assert not (plainly_covered(height, width, box) & ~painted).any()
    # ... and hardly more: nothing beyond one pixel around the larger box.
    grow_x, grow_y = (box[2] - box[0]) * (MASK_SCALE - 1) / 2 + 1, (box[3] - box[1]) * (MASK_SCALE - 1) / 2 + 1
    rows, columns = np.nonzero(painted)
    assert columns.min() >= np.floor(box[0] - grow_x)
    assert columns.max() <= np.ceil(box[2] + grow_x)
    assert rows.min() >= np.floor(box[1] - grow_y)
    assert rows.max() <= np.ceil(box[3] + grow_y)


def test_paint_reaches_the_last_row_and_column() -> None:
    picture = np.full((20, 30, 3), BLANK, np.uint8)
    painted = covered(picture, [Face((25.0, 15.0, 30.0, 20.0), 1.0)])
    assert (painted[15:, 25:] == FILL).all()
    painted = covered(picture, [Face((0.0, 0.0, 30.0, 20.0), 1.0)])
    assert (painted == FILL).all()


def test_the_original_is_not_touched_and_the_rest_stays() -> None:
    picture = np.random.default_rng(1).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    before = picture.copy()
    painted = covered(picture, [Face((10.0, 10.0, 20.0, 20.0), 1.0)])
    assert (picture == before).all()
    assert (painted[25:] == before[25:]).all()
    assert covered(picture, []).tolist() == before.tolist()


def test_boxes_thinner_than_a_pixel_are_painted() -> None:
    painted = covered(np.full((5, 5, 3), BLANK, np.uint8), [Face((2.2, 2.2, 2.2, 2.2), 1.0)])
    assert (painted[2, 2] == FILL).all()
