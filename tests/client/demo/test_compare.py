"""Agreement and ranks, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from unseen_client.demo.compare import agreement, plain_scores, rank_of


def test_plain_scores_are_cosines() -> None:
    rows = np.array([[3, 0], [0, 2], [1, 1], [-1, 0]], np.float32)
    assert plain_scores(rows, np.array([5, 0], np.float32)) == pytest.approx([1, 0, 0.5**0.5, -1])


def test_agreement_counts_the_shared_best_and_the_largest_difference() -> None:
    plain = np.array([0.9, 0.8, 0.7, 0.1], np.float32)
    found = agreement(["a", "b", "c", "d"], plain, {"d": 0.1, "c": 0.81, "b": 0.8, "a": 0.9}, top_k=2)
    assert found.overlap == 0.5
    assert found.largest_difference == pytest.approx(0.11)


def test_rank_is_the_best_place_of_any_right_answer() -> None:
    assert rank_of(["x", "b"], ["a", "b", "x"]) == 2
    assert rank_of(["nowhere"], ["a", "b"]) == 3
