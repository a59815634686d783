from __future__ import annotations

import numpy as np
import numpy.typing as npt
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from unseen.deid.text.patches import box_sums, grown, patches_of

Masks = arrays(np.bool_, array_shapes(min_dims=2, max_dims=2, max_side=14))


def flooded(mask: npt.NDArray[np.bool_]) -> set[frozenset[tuple[int, int]]]:
    """The patches of a mask the plain way: pixel by pixel, over sides and corners."""
    left = {(int(y), int(x)) for y, x in zip(*np.nonzero(mask), strict=True)}
    found = set()
    while left:
        patch, ahead = set(), [left.pop()]
        while ahead:
            y, x = ahead.pop()
            patch.add((y, x))
            near = {(y + dy, x + dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)} & left
            left -= near
            ahead += near
        found.add(frozenset(patch))
    return found


@settings(max_examples=150, deadline=None)
@given(Masks)
def test_patches_are_those_of_a_flood(mask: npt.NDArray[np.bool_]) -> None:
    found = {
        frozenset(
            (int(y) + patch.box[1], int(x) + patch.box[0]) for y, x in zip(*np.nonzero(patch.inside), strict=True)
        )
        for patch in patches_of(mask)
    }
    assert found == flooded(mask)


@settings(max_examples=60, deadline=None)
@given(Masks, st.integers(0, 4))
def test_a_grown_mask_holds_every_pixel_within_reach(mask: npt.NDArray[np.bool_], margin: int) -> None:
    height, width = mask.shape
    plain = np.zeros((height + 2 * margin, width + 2 * margin), np.bool_)
    for y, x in zip(*np.nonzero(mask), strict=True):
        plain[y : y + 2 * margin + 1, x : x + 2 * margin + 1] = True
    np.testing.assert_array_equal(grown(mask, margin), plain)


@settings(max_examples=60, deadline=None)
@given(arrays(np.uint8, array_shapes(min_dims=2, max_dims=2, max_side=9)), st.integers(0, 12))
def test_box_sums_are_sums_over_boxes(values: npt.NDArray[np.uint8], radius: int) -> None:
    sums = box_sums(values.astype(np.float64), radius)
    for y in range(values.shape[0]):
        for x in range(values.shape[1]):
            box = values[max(0, y - radius) : y + radius + 1, max(0, x - radius) : x + radius + 1]
            assert sums[y, x] == box.sum(dtype=np.int64)


def test_thickness_is_the_height_of_a_line_however_it_lies() -> None:
    line = np.zeros((60, 60), np.bool_)
    line[20:25, 3:55] = True
    assert patches_of(line)[0].thickness == 5
    assert patches_of(line.T)[0].thickness == 5


def test_an_empty_mask_has_no_patch() -> None:
    assert patches_of(np.zeros((5, 7), np.bool_)) == []
