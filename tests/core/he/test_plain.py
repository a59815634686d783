"""The plain twin is itself checked against arithmetic done by hand."""

from __future__ import annotations

import numpy as np

from unseen.he.plain import PlainIndex, plain_scores

ROWS = np.array([[1, 2, 3], [-4, 0, 32767], [0, 0, 0]], np.int16)
QUERY = np.array([10, -20, 1_000_000], np.int64)


def test_known_answer_without_overflow() -> None:
    assert plain_scores(ROWS, QUERY).tolist() == [10 - 40 + 3_000_000, -40 + 32_767_000_000, 0]


def test_index_answers_by_slot_and_forgets_what_is_cleared() -> None:
    index = PlainIndex(3)
    index.put(np.array([5, 1]), ROWS[:2])
    assert index.answer(QUERY, 6).tolist() == [0, 32_766_999_960, 0, 0, 0, 2_999_970]
    index.put(np.array([1]), ROWS[:1])
    index.clear(np.array([5, 3]))
    assert index.answer(QUERY, 6).tolist() == [0, 2_999_970, 0, 0, 0, 0]
    assert index.rows(np.array([1, 5])).tolist() == [[1, 2, 3], [0, 0, 0]]
