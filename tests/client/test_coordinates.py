"""Coordinates in records: they come back exactly, every row of a dimension takes the same bytes, and few."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unseen.he.quantise import quantise_rows
from unseen.params import OWNER_DEFAULT
from unseen_client.coordinates import (
    LONGEST,
    as_coordinates,
    as_vector,
    coordinates_bytes,
    low_bits,
    read_coordinates,
    write_coordinates,
)

SCALE = OWNER_DEFAULT.row_scale


def slow_bits(row: list[int], low: int) -> str:
    """The code written out one coordinate after the other."""
    folded = [2 * value if value >= 0 else -2 * value - 1 for value in row]
    lows = "".join(format(value % 2**low, f"0{low}b")[::-1] for value in folded)
    return lows + "0" * (-len(lows) % 8) + "".join("1" * (value // 2**low) + "0" for value in folded)


@given(st.integers(8, 200), st.integers(0, 2**32 - 1), st.sampled_from(["even", "peaked", "one"]))
@settings(deadline=None, max_examples=60)
def test_every_row_comes_back_and_all_of_a_dimension_take_the_same_bytes(dimension: int, seed: int, kind: str) -> None:
    vector = np.random.default_rng(seed).normal(size=dimension)
    vector = {"even": np.sign(vector), "peaked": vector**5, "one": np.eye(dimension)[seed % dimension]}[kind]
    row = quantise_rows(OWNER_DEFAULT, vector[None].astype(np.float32))[0]
    data = write_coordinates(row, SCALE)
    assert len(data) == coordinates_bytes(SCALE, dimension)
    found, scale = read_coordinates(data)
    assert (found.tolist(), scale) == (row.tolist(), SCALE)
    assert as_coordinates(as_vector(row, SCALE), SCALE).tolist() == row.tolist()
    expected = slow_bits(row.tolist(), low_bits(SCALE, dimension))
    bits = np.unpackbits(np.frombuffer(data[4:], np.uint8), bitorder="little")
    assert "".join(map(str, bits))[: len(expected)] == expected


def test_known_answer() -> None:
    row = np.array([3, -1, 0, 4095, -4096, 17, 1, -2], np.int16)
    data = write_coordinates(row, SCALE)
    assert hashlib.sha256(data).hexdigest()[:16] == "ba9b189293e973ea"


def test_a_row_of_512_takes_a_third_less_than_half_floats() -> None:
    assert coordinates_bytes(SCALE, 512) == 713


def test_longest_row_there_can_be_fits_and_a_longer_one_is_refused() -> None:
    assert OWNER_DEFAULT.row_norm_cap < LONGEST * SCALE
    level = np.full(512, int(OWNER_DEFAULT.row_norm_cap / 512**0.5), np.int16)
    assert read_coordinates(write_coordinates(level, SCALE))[0].tolist() == level.tolist()
    with pytest.raises(ValueError, match="longer"):
        write_coordinates(4 * level, SCALE)


@pytest.mark.parametrize("change", ["empty", "cut", "longer", "no ends", "no dimension"])
def test_other_bytes_are_refused(change: str) -> None:
    data = write_coordinates(np.arange(-32, 32, dtype=np.int16), SCALE)
    wrong = {
        "empty": b"\0",
        "cut": data[:-1],
        "longer": data + b"\0",
        "no ends": data[:-20] + b"\xff" * 20,
        "no dimension": data[:2] + bytes(2) + data[4:],
    }[change]
    with pytest.raises(ValueError, match="coordinates"):
        read_coordinates(wrong)
