"""Promises of ``unseen.he.ring``: the transform is evaluation at the odd powers of psi, and products are negacyclic."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unseen.he.lanes import LANES
from unseen.he.ring import ring

MODULUS = 536813569


def evaluated(polynomial: list[int], point: int) -> int:
    value = 0
    for coefficient in reversed(polynomial):
        value = (value * point + coefficient) % MODULUS
    return value


def some_lanes(degree: int, groups: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, MODULUS, (groups, degree, LANES)).astype(np.uint32)


@pytest.mark.parametrize("degree", [16, 256, 512, 2048, 4096])
def test_forward_is_evaluation_at_odd_powers_of_psi_in_bit_reversed_order(degree: int) -> None:
    of, lanes = ring(degree, MODULUS), some_lanes(degree, 2, degree)
    before = lanes.copy()
    of.forward(lanes)
    bits = degree.bit_length() - 1
    psi = int(of.roots[degree // 2, 0])  # index N/2 is 1 reversed
    for place in (0, 1, degree // 2, degree - 1):
        power = 2 * int(f"{place:0{bits}b}"[::-1], 2) + 1
        for group, lane in ((0, 0), (1, 7), (1, LANES - 1)):
            expected = evaluated(before[group, :, lane].tolist(), pow(psi, power, MODULUS))
            assert lanes[group, place, lane] == expected


@settings(deadline=None, max_examples=20)
@given(st.sampled_from([32, 512, 2048]), st.integers(0, 2**32 - 1))
def test_inverse_undoes_forward(degree: int, seed: int) -> None:
    of, lanes = ring(degree, MODULUS), some_lanes(degree, 1, seed)
    before = lanes.copy()
    of.forward(lanes)
    of.inverse(lanes)
    assert (lanes == before).all()


@pytest.mark.parametrize("fill", [0, 1, MODULUS - 1])
def test_extreme_residues_stay_reduced(fill: int) -> None:
    of, lanes = ring(2048, MODULUS), np.full((1, 2048, LANES), fill, np.uint32)
    of.forward(lanes)
    assert lanes.max() < MODULUS
    of.inverse(lanes)
    assert (lanes == fill).all()


def test_product_agrees_with_schoolbook(schoolbook) -> None:
    random = np.random.default_rng(4)
    left = random.integers(0, MODULUS, 2048)
    right = random.integers(-255, 256, 2048)
    lanes = np.zeros((1, 2048, LANES), np.uint32)
    lanes[0, :, 0], lanes[0, :, 1] = left, right % MODULUS
    of = ring(2048, MODULUS)
    of.forward(lanes)
    lanes[0, :, 2] = lanes[0, :, 0].astype(np.uint64) * lanes[0, :, 1] % MODULUS
    of.inverse(lanes)
    assert (lanes[0, :, 2] == schoolbook(left, right) % MODULUS).all()


@pytest.mark.parametrize(("degree", "modulus"), [(2048, 1 << 29), (2048, 1073692673), (2048, 536813567)])
def test_modulus_without_such_a_ring_is_refused(degree: int, modulus: int) -> None:
    with pytest.raises(ValueError, match="expected a prime"):
        ring(degree, modulus)
