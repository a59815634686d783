"""The benches of the two protections measure what they say: whole searches, with the errors that were worked out."""

from __future__ import annotations

import numpy as np
import pytest

from bench import owner_checks, scan_owner
from bench.searches import search_of
from bench.vectors import clustered_vectors
from unseen.params import DEFAULT, OWNER_DEFAULT


@pytest.mark.parametrize("parameters", [DEFAULT, OWNER_DEFAULT], ids=lambda p: p.name)
def test_a_search_scores_every_row_with_the_error_that_was_worked_out(parameters) -> None:
    vectors = clustered_vectors(700, 64, seed=1)
    search = search_of(parameters, vectors)
    errors = np.concatenate([search.scores(query) - vectors @ query for query in vectors[:3]])
    assert errors.shape == (2100,)
    assert errors.std() == pytest.approx(search.error_std, rel=0.15)
    assert search.wrap_probability_log2 < -128


def test_the_scan_bench_reports_both_protections_side_by_side() -> None:
    figures = scan_owner.figures(rows=300, dimension=64, threads=1, repeats=1)
    assert figures["ratio_to_sealed"] > 0
    assert figures["owner_ns_per_row"] > 0
    assert figures["query_bytes_at_10000_rows"] < figures["reply_bytes_at_10000_rows"] < 600_000
    assert figures["at_rest_bytes_per_row"] >= 4 * 64


def test_the_bench_of_the_checks_times_each_and_counts_what_they_notice() -> None:
    assert all(milliseconds > 0 for milliseconds in owner_checks.costs(rows=20, dimension=64).values())
    noticed = owner_checks.noticed(dimension=64, queries=20)
    assert set(noticed) == {"a row too few", "an erased row too many"}
    assert min(noticed.values()) > 0
