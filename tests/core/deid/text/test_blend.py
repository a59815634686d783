from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from unseen.deid.text.blend import blended, grained

Pictures = arrays(np.uint8, (12, 15, 3))
Masks = arrays(np.bool_, (12, 15))
Fill: TypeAlias = Callable[[npt.NDArray[np.uint8], npt.NDArray[np.bool_]], npt.NDArray[np.uint8]]
either = pytest.mark.parametrize("fill", [blended, grained])


@either
@settings(max_examples=60, deadline=None)
@given(one=Pictures, other=Pictures, painted=Masks)
def test_what_was_under_the_paint_plays_no_part(
    fill: Fill, one: npt.NDArray[np.uint8], other: npt.NDArray[np.uint8], painted: npt.NDArray[np.bool_]
) -> None:
    same_outside = np.where(painted[..., None], other, one)
    np.testing.assert_array_equal(fill(one, painted), fill(same_outside, painted))


@either
@settings(max_examples=40, deadline=None)
@given(pixels=Pictures, painted=Masks)
def test_what_is_not_painted_stays(fill: Fill, pixels: npt.NDArray[np.uint8], painted: npt.NDArray[np.bool_]) -> None:
    np.testing.assert_array_equal(fill(pixels, painted)[~painted], pixels[~painted])


@either
@given(level=st.integers(0, 255))
def test_paint_in_a_plain_picture_disappears(fill: Fill, level: int) -> None:
    pixels = np.full((40, 50, 3), level, np.uint8)
    painted = np.zeros((40, 50), np.bool_)
    painted[10:30, 5:45] = True
    dirty = pixels.copy()
    dirty[painted] = 7
    np.testing.assert_array_equal(fill(dirty, painted), pixels)


@either
def test_a_picture_that_is_all_paint_is_black(fill: Fill) -> None:
    assert not fill(np.full((30, 30, 3), 99, np.uint8), np.ones((30, 30), np.bool_)).any()


def test_paint_in_a_grainy_picture_has_its_grain() -> None:
    pixels = np.random.default_rng(5).normal(90, 12, (120, 160, 1)).clip(0, 255).astype(np.uint8).repeat(3, axis=2)
    painted = np.zeros((120, 160), np.bool_)
    painted[40:80, 30:130] = True
    pixels[painted] = 0
    spread = {fill: float(fill(pixels, painted)[painted].std()) for fill in (blended, grained)}
    assert spread[blended] < 3
    assert 9 < spread[grained] < 15
