from __future__ import annotations

import hashlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unseen.embed.preprocess import network_input


def test_values_are_scaled_and_channels_come_first() -> None:
    pixels = np.zeros((224, 224, 3), np.uint8)
    pixels[..., 0], pixels[..., 1], pixels[..., 2] = 255, 127, 0
    planes = network_input(pixels, 224, 1.5)
    assert planes.shape == (1, 3, 224, 224)
    assert [float(planes[0, channel, 5, 7]) for channel in range(3)] == [1.0, 0.0, -127 / 128]


@pytest.mark.parametrize(
    ("height", "width", "rows", "columns"),
    [(300, 300, 224, 224), (200, 300, 224, 224), (100, 300, 112, 224), (300, 100, 224, 112), (1, 1000, 1, 224)],
)
def test_short_sides_are_stretched_by_at_most_a_half(height: int, width: int, rows: int, columns: int) -> None:
    planes = network_input(np.zeros((height, width, 3), np.uint8), 224, 1.5)
    black = planes[0, 0] < 0.9
    assert (black.any(axis=1).sum(), black.any(axis=0).sum()) == (rows, columns)


@settings(max_examples=30, deadline=None)
@given(height=st.integers(1, 400), width=st.integers(1, 400))
def test_any_size_fits_and_is_centred(height: int, width: int) -> None:
    planes = network_input(np.zeros((height, width, 3), np.uint8), 64, 1.5)
    assert planes.shape == (1, 3, 64, 64)
    rows, columns = np.nonzero(planes[0, 0] < 0.9)
    assert abs((rows.min() + rows.max()) - 63) <= 1
    assert abs((columns.min() + columns.max()) - 63) <= 1


def test_preprocessing_is_pinned() -> None:
    y, x = np.mgrid[0:90, 0:160]
    pixels = np.stack([x, y, x ^ y], axis=2).astype(np.uint8)
    levels = (network_input(pixels, 224, 1.5) * 128 + 127).round().astype(np.uint8)
    assert hashlib.sha256(levels.tobytes()).hexdigest()[:16] == "dcd67dcfb2f73f91"


@settings(max_examples=30, deadline=None)
@given(height=st.integers(1, 90), width=st.integers(1, 90), seed=st.integers(0, 1000))
def test_grey_gives_what_it_gives_beside_a_colour(height: int, width: int, seed: int) -> None:
    grey = np.random.default_rng(seed).integers(0, 256, (height, width), np.uint8)
    coloured = np.stack([grey, grey, 255 - grey], axis=2)
    planes = network_input(np.repeat(grey[..., None], 3, axis=2), 64, 1.5)
    np.testing.assert_array_equal(planes[0, :2], network_input(coloured, 64, 1.5)[0, :2])
    np.testing.assert_array_equal(planes[0, 2], planes[0, 0])
