from __future__ import annotations

import numpy as np
import numpy.typing as npt
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from unseen.deid.text.blend import blended

Pictures = arrays(np.uint8, (12, 15, 3))
Masks = arrays(np.bool_, (12, 15))


@settings(max_examples=60, deadline=None)
@given(Pictures, Pictures, Masks)
def test_what_was_under_the_paint_plays_no_part(
    one: npt.NDArray[np.uint8], other: npt.NDArray[np.uint8], painted: npt.NDArray[np.bool_]
) -> None:
    same_outside = np.where(painted[..., None], other, one)
    np.testing.assert_array_equal(blended(one, painted), blended(same_outside, painted))


@settings(max_examples=40, deadline=None)
@given(Pictures, Masks)
def test_what_is_not_painted_stays(pixels: npt.NDArray[np.uint8], painted: npt.NDArray[np.bool_]) -> None:
    np.testing.assert_array_equal(blended(pixels, painted)[~painted], pixels[~painted])


@given(st.integers(0, 255))
def test_paint_in_a_plain_picture_disappears(level: int) -> None:
    pixels = np.full((40, 50, 3), level, np.uint8)
    painted = np.zeros((40, 50), np.bool_)
    painted[10:30, 5:45] = True
    dirty = pixels.copy()
    dirty[painted] = 7
    np.testing.assert_array_equal(blended(dirty, painted), pixels)


def test_a_picture_that_is_all_paint_is_black() -> None:
    assert not blended(np.full((30, 30, 3), 99, np.uint8), np.ones((30, 30), np.bool_)).any()
