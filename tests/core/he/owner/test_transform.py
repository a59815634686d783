"""Promises of ``unseen.he.owner.transform``: exact, a homomorphism, and in the order of the server's transform."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.core.he.owner.slow_server import coefficients, negacyclic
from unseen.errors import InvalidInput
from unseen.he.lanes import LANES
from unseen.he.owner.transform import AT_ONCE, transform
from unseen.he.ring import ring
from unseen.params import N2048_Q31_OWNER as OWNER

PRIMES = tuple(zip(OWNER.moduli, OWNER.roots, strict=True))


@pytest.mark.parametrize(("modulus", "psi"), PRIMES)
def test_agrees_with_the_servers_transform(modulus: int, psi: int) -> None:
    polynomials = np.random.default_rng(1).integers(-modulus // 2, modulus // 2 + 1, (LANES, OWNER.ring_degree))
    lanes = np.ascontiguousarray((polynomials % modulus).T.astype(np.uint32))[None]
    ring(OWNER.ring_degree, modulus).forward(lanes)
    ours = transform(OWNER.ring_degree, modulus, psi)
    assert (ours.residues(ours.forward(polynomials)) == lanes[0].T).all()


@pytest.mark.parametrize(("modulus", "psi"), PRIMES)
@pytest.mark.parametrize("largest_value", [-(2**31), -40961, 61441, 2**31 - 1])
def test_largest_values_stay_exact(modulus: int, psi: int, largest_value: int) -> None:
    largest = np.full((1, OWNER.ring_degree), largest_value, np.int64)
    largest[0, ::3] = modulus // 2
    ours = transform(OWNER.ring_degree, modulus, psi)
    found = coefficients(ours.residues(ours.forward(largest)), modulus, psi)
    assert (found == largest % modulus).all()


def test_transform_of_x_is_the_odd_powers_of_psi_in_bit_reversed_order() -> None:
    modulus, psi = 257, 3**16 % 257
    x = np.zeros((1, 8), np.int64)
    x[0, 1] = 1
    ours = transform(8, modulus, psi)
    expected = [pow(psi, 2 * j + 1, modulus) for j in (0, 4, 2, 6, 1, 5, 3, 7)]
    assert ours.residues(ours.forward(x))[0].tolist() == expected


@settings(deadline=None, max_examples=20)
@given(st.sampled_from([4, 8, 16, 64, 256]), st.sampled_from(OWNER.moduli), st.integers(0, 2**32 - 1))
def test_products_of_transforms_are_transforms_of_products(degree: int, modulus: int, seed: int) -> None:
    psi = pow(dict(PRIMES)[modulus], OWNER.ring_degree // degree, modulus)
    ours = transform(degree, modulus, psi)
    random = np.random.default_rng(seed)
    polynomials = random.integers(-modulus, modulus + 1, (AT_ONCE + 1, degree))
    left, right = ours.forward(polynomials)[[0, -1]]
    product = negacyclic(polynomials[0], polynomials[-1], modulus)
    assert (ours.residues(ours.forward(product[None]))[0] == ours.residues(ours.centred(left * right))).all()


@pytest.mark.parametrize(("modulus", "psi"), [(40961, 1), (40961, 18089), (536813569, 3)])
def test_a_root_of_another_order_or_a_large_prime_is_refused(modulus: int, psi: int) -> None:
    with pytest.raises(InvalidInput, match="order 2N"):
        transform(2048, modulus, psi)
