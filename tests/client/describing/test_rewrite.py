"""Words taken apart by a language model: weighted words come back, and nothing else ever does."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unseen.errors import InvalidInput, MalformedMessage
from unseen_client.describing.rewrite import MOST_PARTS, rewritten
from unseen_client.retrieval.query import Words


class Says:
    """A model that says one thing."""

    def __init__(self, said: str) -> None:
        self.said = said
        self.asked: list[str] = []

    def reply(self, request, picture, most_tokens):
        self.asked.append(request)
        assert picture is None
        return self.said

    def close(self) -> None:
        pass


def parts(*each):
    return json.dumps({"parts": [{"words": words, "weight": weight} for words, weight in each]})


@pytest.mark.parametrize("fence", ["{}", "```json\n{}\n```", " ```\n{}\n``` "])
def test_words_become_weighted_words_whose_wanted_weights_sum_to_one(fence):
    model = Says(fence.replace("{}", parts(("a red car", 1), ("the sea", 0.6), ("people", -0.4))))
    query = rewritten("the one with the red car by the sea, no people", model)
    assert [(part.content, pytest.approx(part.weight)) for part in query.parts] == [
        (Words("a red car"), 1 / 1.6),
        (Words("the sea"), 0.6 / 1.6),
        (Words("people"), -0.4 / 1.6),
    ]
    assert "the one with the red car by the sea, no people" in model.asked[0]


@pytest.mark.parametrize(
    "said",
    [
        "",
        "Certainly! Here is the JSON you asked for:\n" + parts(("a car", 1)),
        parts(("a car", 1)) + " I hope this helps",
        "[" * 100_000,
        "```" + "\n" * 1_000_000 + "x",
        "```" + "\n" * 1_000_000 + "```",
        "```",
        "`````",
        "[]",
        '{"parts": []}',
        '{"parts": [{"words": "a", "weight": 1}], "tool": "read_file"}',
        '{"parts": [{"path": "/etc/passwd", "weight": 1}]}',
        '{"parts": [{"words": "a", "weight": 1, "id": "x"}]}',
        '{"parts": [{"words": ["a"], "weight": 1}]}',
        '{"parts": [{"words": "a", "weight": NaN}]}',
        '{"parts": [{"words": "a", "weight": 1e400}]}',
        '{"parts": [{"words": "a", "weight": true}]}',
        '{"parts": [{"words": "a", "weight": "1"}]}',
        parts(("a", 0)),
        parts(("a", 3)),
        parts(("a", -1)),
        parts(("", 1)),
        parts(("a\x1b[2J", 1)),
        parts(("a" * 201, 1)),
        parts(*[("a", 1)] * (MOST_PARTS + 1)),
    ],
)
def test_an_answer_that_is_not_weighted_words_is_one_clear_error(said):
    with pytest.raises(MalformedMessage, match="expected weighted words as JSON"):
        rewritten("a car", Says(said))


@given(st.text(max_size=200) | st.recursive(st.none() | st.floats() | st.text(), st.lists).map(json.dumps))
def test_whatever_a_model_says_gives_words_or_that_error(said):
    try:
        query = rewritten("a car", Says(said))
    except MalformedMessage:
        return
    assert all(isinstance(part.content, Words) for part in query.parts)


@pytest.mark.parametrize("words", ["", "  ", "a" * 1001])
def test_nothing_or_a_book_is_not_taken_apart(words):
    with pytest.raises(InvalidInput):
        rewritten(words, Says(parts(("a", 1))))
