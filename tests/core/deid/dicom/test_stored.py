from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from unseen.deid.dicom.stored import Shown, StoredFrames

MASK = np.zeros((4, 6), np.bool_)
MASK[1:3, 2:5] = True


@pytest.mark.parametrize("kind", ["u1", "i1", "u2", "i2", "u4", "i4"])
@pytest.mark.parametrize(("shown", "expected"), [(Shown.GREY, "min"), (Shown.GREY_INVERTED, "max")])
def test_grey_is_painted_with_the_darkest_number_that_occurs(kind: str, shown: Shown, expected: str) -> None:
    stored = np.random.default_rng(3).integers(0, 100, (2, 4, 6)).astype(kind)
    frames = StoredFrames(stored, shown, 8 * stored.itemsize)
    painted = np.frombuffer(frames.painted(MASK), kind).reshape(stored.shape)
    assert (painted[:, MASK] == getattr(stored, expected)()).all()
    np.testing.assert_array_equal(painted[:, ~MASK], stored[:, ~MASK])


def test_colours_are_painted_black_in_every_frame() -> None:
    stored = np.random.default_rng(4).integers(1, 255, (3, 4, 6, 3)).astype(np.uint8)
    painted = np.frombuffer(StoredFrames(stored, Shown.RGB).painted(MASK), np.uint8).reshape(stored.shape)
    assert not painted[:, MASK].any()
    np.testing.assert_array_equal(painted[:, ~MASK], stored[:, ~MASK])


def test_a_palette_is_painted_with_the_number_of_its_darkest_colour() -> None:
    stored = np.arange(24, dtype=np.uint8).reshape(1, 4, 6)
    colours = np.full((1, 4, 6, 3), 200, np.uint8)
    colours[0, 3, 1] = (1, 2, 3)
    frames = StoredFrames(stored, Shown.PALETTE, 8, colours)
    assert frames.paint() == stored[0, 3, 1]
    assert not frames.views(0, MASK)[0][MASK].any()


def test_single_bits_are_packed_again_as_they_came() -> None:
    bits = np.random.default_rng(5).integers(0, 2, (2, 4, 6)).astype(np.uint8)
    packed = StoredFrames(bits, Shown.GREY, 1).painted(np.zeros((4, 6), np.bool_))
    np.testing.assert_array_equal(np.unpackbits(np.frombuffer(packed, np.uint8), bitorder="little")[:48], bits.ravel())


def test_letters_of_single_bits_are_white_in_some_view() -> None:
    bits = np.zeros((1, 4, 6), np.uint8)
    bits[0, 1, 2] = 1
    assert max(view.max() for view in StoredFrames(bits, Shown.GREY, 1).views(0, np.zeros((4, 6), np.bool_))) == 255


def test_text_that_the_whole_range_hides_shows_in_the_second_window() -> None:
    grey = np.random.default_rng(6).integers(1000, 1010, (1, 64, 64)).astype(np.uint16)
    grey[0, 0, 0] = 65535
    grey[0, 30:34, 20:40] = 1060
    views = StoredFrames(grey, Shown.GREY, 16).views(0, np.zeros((64, 64), np.bool_))
    contrast = [int(view[31, 30, 0]) - int(view[10, 10, 0]) for view in views]
    assert contrast[0] < 3
    assert contrast[1] > 100


@pytest.mark.parametrize("values", [np.zeros((1, 3, 3), np.int16), np.full((1, 3, 3), 7, np.uint8)])
def test_an_even_frame_has_a_view(values: np.ndarray[Any, Any]) -> None:
    for view in StoredFrames(values, Shown.GREY, 16).views(0, np.zeros((3, 3), np.bool_)):
        assert view.shape == (3, 3, 3)
        assert view.dtype == np.uint8
