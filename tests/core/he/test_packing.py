"""Promises of ``unseen.he.packing``: one product of polynomials is N/k inner products, and the traffic is least."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unseen.errors import InvalidInput
from unseen.he.message import query_bytes, reply_block_bytes
from unseen.he.packing import Packing, choose_factor, factors, should_repack, traffic_bytes
from unseen.params import DEFAULT, PUBLISHED

RING_DEGREE = 64


@st.composite
def packings(draw: st.DrawFn) -> Packing:
    dimension = draw(st.integers(8, 70))
    return Packing(RING_DEGREE, dimension, draw(st.sampled_from(factors(RING_DEGREE, dimension))))


@settings(deadline=None)
@given(packings(), st.integers(0, 2**32 - 1))
def test_product_of_packed_polynomials_is_every_inner_product(packing: Packing, seed: int) -> None:
    random = np.random.default_rng(seed)
    rows = random.integers(-255, 256, (packing.rows_per_block, packing.dimension)).astype(np.int16)
    query = random.integers(-30000, 30001, packing.dimension)
    total = np.zeros(2 * RING_DEGREE - 1, np.int64)
    low = packing.query_polynomials(query)
    for chunk, polynomial in enumerate(packing.row_polynomials(rows)):
        total += np.convolve(np.pad(low[chunk], (0, RING_DEGREE - packing.factor)), polynomial.astype(np.int64))
    wrapped = total[:RING_DEGREE] - np.pad(total[RING_DEGREE:], (0, 1))
    assert (wrapped[packing.score_coefficients()] == rows.astype(np.int64) @ query).all()


@settings(deadline=None)
@given(packings(), st.integers(0, 2**32 - 1))
def test_rows_come_back_from_their_polynomials(packing: Packing, seed: int) -> None:
    shape = (packing.rows_per_block, packing.dimension)
    rows = np.random.default_rng(seed).integers(-300, 301, shape, dtype=np.int16)
    assert (packing.rows_of_polynomials(packing.row_polynomials(rows)) == rows).all()


def test_layout_is_as_drawn() -> None:
    packing = Packing(16, 8, 4)
    rows = np.arange(32).reshape(4, 8).astype(np.int16)
    assert packing.row_polynomials(rows)[0].tolist() == [3, 2, 1, 0, 11, 10, 9, 8, 19, 18, 17, 16, 27, 26, 25, 24]
    assert packing.row_polynomials(rows)[1].tolist()[:4] == [7, 6, 5, 4]
    assert packing.query_polynomials(np.arange(8)).tolist() == [[0, 1, 2, 3], [4, 5, 6, 7]]


@pytest.mark.parametrize("parameters", PUBLISHED, ids=lambda p: p.name)
@pytest.mark.parametrize("slots", [0, 1, 130, 1_000, 10_000, 100_000, 1_000_000])
@pytest.mark.parametrize("dimension", [8, 100, 512, 4096])
def test_chosen_factor_has_the_least_traffic_that_the_wire_really_has(parameters, slots: int, dimension: int) -> None:
    def on_the_wire(factor: int) -> int:
        packing = Packing(parameters.ring_degree, dimension, factor)
        return query_bytes(parameters, packing) + packing.blocks(max(slots, 1)) * reply_block_bytes(parameters, packing)

    chosen = choose_factor(parameters, dimension, slots)
    assert on_the_wire(chosen) == min(on_the_wire(factor) for factor in factors(parameters.ring_degree, dimension))
    assert on_the_wire(chosen) == traffic_bytes(
        parameters, Packing(parameters.ring_degree, dimension, chosen), max(slots, 1)
    )


@pytest.mark.parametrize(("rows", "most_bytes"), [(10_000, 580_000), (100_000, 1_900_000), (1_000_000, 7_200_000)])
def test_traffic_of_512_dimensions_stays_below_what_the_readme_says(rows: int, most_bytes: int) -> None:
    packing = Packing(DEFAULT.ring_degree, 512, choose_factor(DEFAULT, 512, rows))
    assert traffic_bytes(DEFAULT, packing, rows) <= most_bytes


def test_a_growing_collection_is_repacked_rarely_and_stays_near_the_least_traffic() -> None:
    slots, chosen_at, factor, repacked = 1_000, 1_000, choose_factor(DEFAULT, 512, 1_000), 0
    while slots < 2_000_000:
        slots += 1_000
        if should_repack(DEFAULT, 512, slots, chosen_at, factor):
            chosen_at, factor, repacked = slots, choose_factor(DEFAULT, 512, slots), repacked + 1
        least = traffic_bytes(DEFAULT, Packing(2048, 512, choose_factor(DEFAULT, 512, slots)), slots)
        assert traffic_bytes(DEFAULT, Packing(2048, 512, factor), slots) <= 1.06 * least
    assert repacked <= 6


def test_a_collection_that_has_not_grown_keeps_its_packing() -> None:
    assert not should_repack(DEFAULT, 512, 100_000, 100_000, 512)
    assert should_repack(DEFAULT, 512, 150_000, 100_000, 512)
    assert not should_repack(DEFAULT, 512, 150_000, 100_000, choose_factor(DEFAULT, 512, 150_000))


@pytest.mark.parametrize(("dimension", "factor"), [(7, 1), (4097, 1), (512, 3), (512, 1024), (512, 0)])
def test_impossible_packing_is_refused(dimension: int, factor: int) -> None:
    with pytest.raises(InvalidInput, match="expected"):
        Packing(2048, dimension, factor)
