"""What `unseen eval` measures: known answers, and the same by plainer arithmetic."""

from __future__ import annotations

from fractions import Fraction
from statistics import median

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unseen.errors import InvalidInput
from unseen.params import N2048_Q29
from unseen_client.evaluate.material import Item, read_material
from unseen_client.evaluate.measures import average_precision, in_order, measured
from unseen_client.evaluate.questions import Embedded, questions_of
from unseen_client.evaluate.run import quantised


def test_known_answers():
    # Right rows at places 1, 3 and 4 of five; and at place 2 of two.
    first, second = np.array([1, 0, 1, 1, 0], bool), np.array([0, 1], bool)
    assert average_precision(first) == pytest.approx((1 / 1 + 2 / 3 + 3 / 4) / 3)
    found = measured([first, second], (1, 3, 10), 4)
    assert found.recall == pytest.approx({1: (1 / 3 + 0) / 2, 3: (2 / 3 + 1) / 2, 10: 1})
    assert found.precision == pytest.approx({1: 0.5, 3: (2 / 3 + 1 / 3) / 2, 10: (0.3 + 0.1) / 2})
    assert found.mean_average_precision == pytest.approx((29 / 36 + 1 / 2) / 2)
    assert found.median_rank == 1.5
    assert found.curve == pytest.approx((1 / 6, (1 / 3 + 1) / 2, (2 / 3 + 1) / 2, 1))


def test_the_best_comes_first_ties_stay_and_what_is_left_out_is_no_answer():
    scores = np.array([0.5, np.nan, 0.9, 0.5, -1])
    right = np.array([True, True, False, False, True])
    assert in_order(scores, right).tolist() == [False, True, False, True]


rankings = st.lists(st.lists(st.booleans(), min_size=1, max_size=12).filter(any), min_size=1, max_size=5)


@given(rankings, st.integers(1, 15))
def test_measures_agree_with_plain_arithmetic(given_rankings, k):
    found = measured([np.array(one) for one in given_rankings], (k,), 3)
    recall = [Fraction(sum(one[:k]), sum(one)) for one in given_rankings]
    precision = [Fraction(sum(one[:k]), k) for one in given_rankings]
    average = [
        sum(Fraction(sum(one[: at + 1]), at + 1) for at, right in enumerate(one) if right) / sum(one)
        for one in given_rankings
    ]
    for value, plain in ((found.recall[k], recall), (found.precision[k], precision)):
        assert value == pytest.approx(float(sum(plain) / len(plain)))
    assert found.mean_average_precision == pytest.approx(float(sum(average) / len(average)))
    assert found.median_rank == median(one.index(True) + 1 for one in given_rankings)


class Words:
    """Stands in for the model's words: a direction for each."""

    dimension = 3

    def text(self, words):
        return np.eye(3, dtype=np.float32)[{"red shoe": 0, "bag": 1, "a hat": 2}[words]]


def test_questions_and_their_right_answers():
    items = [Item(None, "red_shoe"), Item(None, "bag"), Item(None, "red_shoe"), Item(None, "", "a hat")]
    rows = np.eye(4, 3, dtype=np.float32)
    pictures, labels, captions = questions_of(Embedded(items, rows, -rows), Words(), 10)
    assert pictures.right.tolist() == [[False, False, True, False], [True, False, False, False]]
    assert pictures.left_out.tolist() == [[True, False, False, False], [False, False, True, False]]
    np.testing.assert_array_equal(pictures.seen, -rows[[0, 2]])
    assert labels.right.tolist() == [[False, True, False, False], [True, False, True, False]]
    np.testing.assert_array_equal(labels.covered, np.eye(3)[[1, 0]])
    assert captions.right.tolist() == [[False, False, False, True]]


def test_quantised_scores_are_float_scores_but_for_the_rounding(unit_vectors):
    rows, queries = unit_vectors(200, 64), unit_vectors(5, 64, seed=2)
    np.testing.assert_allclose(quantised(N2048_Q29, rows, queries), queries @ rows.T, atol=0.01)
    assert np.abs(quantised(N2048_Q29, rows, queries) - queries @ rows.T).max() > 1e-5


def test_labels_are_sub_folders_and_a_sample_is_always_the_same(tmp_path):
    for label in ("cats", "dogs"):
        (tmp_path / label / "deep").mkdir(parents=True)
        for at in range(5):
            (tmp_path / label / "deep" / f"{at}.png").touch()
    (tmp_path / "unlabelled.png").touch()
    items = read_material(tmp_path, None, 100)
    assert [item.label for item in items] == ["cats"] * 5 + ["dogs"] * 5
    sample = read_material(tmp_path, None, 4)
    assert len(sample) == 4
    assert sample == read_material(tmp_path, None, 4)
    (tmp_path / "m.csv").write_text("path,label,description\nx.png,hat,a red hat\ny.png,,\n")
    with pytest.raises(InvalidInput, match="1 pictures of which the right answers are known"):
        read_material(tmp_path / "m.csv", None, 4)
    with pytest.raises(InvalidInput, match="sub-folder"):
        read_material(tmp_path / "cats" / "deep", None, 4)
