from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.counted_keystream import counted_keystream
from unseen.deid import cover
from unseen.deid.cover import COLOUR_NOISE, FILL, SHADE_NOISE, TINT_NOISE, covered, covered_regions
from unseen.deid.faces import Face
from unseen.deid.settings import DeidSettings, Method, Shape

BLANK = 9
SOLID = DeidSettings()
MASK_SCALE = SOLID.mask_scale
SPREAD = [DeidSettings(method=method, cells=cells) for method in (Method.BLUR, Method.MOSAIC) for cells in (1, 3, 4)]


def plainly_covered(height: int, width: int, box: tuple[float, float, float, float]) -> npt.NDArray[np.bool_]:
    """Pixel by pixel: covered when any point of it lies in the box, or its nearest point in the larger ellipse."""
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
    painted = (covered(picture, [Face(box, 1.0)], SOLID) == FILL).all(axis=2)
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
    painted = covered(picture, [Face((25.0, 15.0, 30.0, 20.0), 1.0)], SOLID)
    assert (painted[15:, 25:] == FILL).all()
    painted = covered(picture, [Face((0.0, 0.0, 30.0, 20.0), 1.0)], SOLID)
    assert (painted == FILL).all()


def test_a_box_is_covered_to_its_corners() -> None:
    picture = np.full((40, 40, 3), BLANK, np.uint8)
    painted = covered(picture, [Face((10.0, 10.0, 30.0, 20.0), 1.0)], DeidSettings(shape=Shape.BOX, mask_scale=1.5))
    expected = np.zeros((40, 40), bool)
    expected[7:23, 5:35] = True
    assert ((painted == FILL).all(axis=2) == expected).all()


@pytest.mark.parametrize("settings", [SOLID, *SPREAD])
def test_the_original_is_not_touched_and_the_rest_stays(settings: DeidSettings) -> None:
    picture = np.random.default_rng(1).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    before = picture.copy()
    painted = covered(picture, [Face((10.0, 10.0, 20.0, 20.0), 1.0)], settings)
    assert (picture == before).all()
    hidden = plainly_covered(40, 40, (10, 10, 20, 20))
    near = plainly_covered(40, 40, (9, 9, 21, 21))
    assert (painted[~near] == before[~near]).all()
    assert (painted[hidden] != before[hidden]).any(axis=-1).mean() > 0.9
    assert covered(picture, [], settings).tolist() == before.tolist()


@pytest.mark.parametrize("settings", [SOLID, *SPREAD])
def test_boxes_thinner_than_a_pixel_are_covered(monkeypatch: pytest.MonkeyPatch, settings: DeidSettings) -> None:
    monkeypatch.setattr(cover, "keystream", counted_keystream())  # fresh noise may be none, once in six million times
    painted = covered(np.full((5, 5, 3), 200, np.uint8), [Face((2.2, 2.2, 2.2, 2.2), 1.0)], settings)
    assert (painted[2, 2] != 200).any()


def test_regions_are_covered_where_their_shares_say() -> None:
    picture = np.full((100, 200, 3), BLANK, np.uint8)
    painted = covered_regions(picture, [(0.0, 0.9, 0.5, 1.0), (0.995, 0.0, 1.0, 0.001)], SOLID)
    expected = np.zeros((100, 200), bool)
    expected[90:, :100] = True
    expected[0, 199] = True
    assert ((painted == FILL).all(axis=2) == expected).all()
    assert (picture == BLANK).all()


@pytest.mark.parametrize("method", [Method.BLUR, Method.MOSAIC])
@pytest.mark.parametrize("cells", [2, 3, 4])
def test_two_faces_with_the_same_cells_cannot_be_told_apart(
    monkeypatch: pytest.MonkeyPatch, method: Method, cells: int
) -> None:
    """What is finer than a cell leaves no trace: with the same noise, faces that differ within cells come out equal."""
    monkeypatch.setattr(cover, "keystream", bytes)
    settings = DeidSettings(method=method, cells=cells, shape=Shape.BOX, mask_scale=1)
    first = np.random.default_rng(2).integers(60, 190, (cells, cells, 3), dtype=np.uint8).repeat(12, 0).repeat(12, 1)
    checks = np.indices(first.shape[:2]).sum(axis=0)[..., None] % 2
    second = (first + checks * 40 - 20).astype(np.uint8)
    face = [Face((0.0, 0.0, float(first.shape[1]), float(first.shape[0])), 1.0)]
    assert (first != second).all()
    assert (covered(first, face, settings) == covered(second, face, settings)).all()


@pytest.mark.parametrize("method", [Method.BLUR, Method.MOSAIC])
def test_the_noise_lies_on_the_cells_and_is_new_every_time(method: Method) -> None:
    settings = DeidSettings(method=method, cells=4, shape=Shape.BOX, mask_scale=1)
    picture = np.full((80, 80, 3), 128, np.uint8)
    copies = [covered(picture, [Face((0.0, 0.0, 80.0, 80.0), 1.0)], settings) for _ in range(1200)]
    assert len({copy.tobytes() for copy in copies}) == 1200
    cells = np.array([copy[10::20, 10::20] for copy in copies], float) - 128
    spread = np.sqrt(sum((2 * most + 1) ** 2 for most in (TINT_NOISE, SHADE_NOISE, COLOUR_NOISE)) / 12)
    assert cells.std() == pytest.approx(spread, rel=0.12 if method is Method.MOSAIC else 0.35)
    assert abs(cells.mean()) < 6
    # One cell's colours move together more than two cells' do, and what is common to a region is common to both.
    one, other = cells[:, 0, 0], cells[:, 3, 3]
    assert np.corrcoef(one[:, 0], one[:, 1])[0, 1] == pytest.approx(SHADE_NOISE**2 / 14400, abs=0.2)
    assert np.corrcoef(one[:, 0], other[:, 0])[0, 1] == pytest.approx(TINT_NOISE**2 / 14400, abs=0.2)
    assert abs(np.corrcoef(one[:, 0], other[:, 1])[0, 1]) < 0.25


def test_mosaic_has_no_more_colours_than_cells_and_blur_has_no_edges() -> None:
    picture = np.random.default_rng(3).integers(0, 256, (120, 96, 3), dtype=np.uint8)
    face = [Face((0.0, 0.0, 96.0, 120.0), 1.0)]
    mosaic = covered(picture, face, DeidSettings(method=Method.MOSAIC, cells=4, shape=Shape.BOX, mask_scale=1))
    assert len(np.unique(mosaic.reshape(-1, 3), axis=0)) <= 4 * 3
    blur = covered(picture, face, DeidSettings(method=Method.BLUR, cells=4, shape=Shape.BOX, mask_scale=1)).astype(int)
    assert np.abs(np.diff(blur, axis=0)).max() <= 24
    assert np.abs(np.diff(blur, axis=1)).max() <= 24
