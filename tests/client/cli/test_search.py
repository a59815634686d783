"""The search command: parts with weights as options, and what is done with the scores on this device."""

from __future__ import annotations

import json

import numpy as np
import pytest

from unseen.errors import InvalidInput
from unseen_client.cli.query_options import QueryOptions
from unseen_client.retrieval.query import Like, Picture, Words


def test_options_become_one_query() -> None:
    query = QueryOptions(
        words=["beach", "0.5:a harbour"], picture=["2.0:a.jpg"], like=["r1"], not_words=[".25:people"], not_like=["r2"]
    ).query()
    assert [(part.content, part.weight) for part in query.parts] == [
        (Words("beach"), 1.0),
        (Words("a harbour"), 0.5),
        (Picture("a.jpg"), 2.0),
        (Like("r1"), 1.0),
        (Words("people"), -0.25),
        (Like("r2"), -1.0),
    ]


def test_words_with_a_time_in_front_are_words() -> None:
    assert QueryOptions(words=["3:10 to Yuma"]).query().parts[0].content == Words("3:10 to Yuma")


def test_facets_are_for_all_parts() -> None:
    query = QueryOptions(words=["a"], picture=["b"], facet=["visual=0.5", "semantic=-1"]).query()
    assert [part.facets for part in query.parts] == [{"visual": 0.5, "semantic": -1.0}] * 2


@pytest.mark.parametrize("options", [{}, {"facet": ["visual=1"]}, {"words": ["a"], "facet": ["visual"]}])
def test_nothing_to_search_for_and_odd_facets_are_refused(options) -> None:
    with pytest.raises(InvalidInput, match=r"--words|--facet"):
        QueryOptions(**options).query()


@pytest.fixture
def filled(unseen, name, tmp_path):
    """A collection compared by l2 whose rows are 0 to 29 on a line."""
    np.save(tmp_path / "rows.npy", np.outer(np.arange(30), np.eye(8)[0]).astype(np.float32))
    (tmp_path / "ids.txt").write_text("\n".join(map(str, range(30))))
    for arguments in (
        ("create", name, "--dimension", 8, "--metric", "l2", "--longest", 29),
        ("enrol", name, tmp_path / "rows.npy", "--ids", tmp_path / "ids.txt", "--tag", "line"),
    ):
        done = unseen(*arguments)
        assert done.returncode == 0, done.stderr
    return name


def test_like_this_but_not_that_on_a_line_of_numbers(unseen, filled):
    def found(*arguments):
        done = unseen("search", filled, *arguments, "--rerank", "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)["hits"]

    between = found("--like", 10, "--like", 16, "-k", 3, "--min-score", -19)
    assert [(hit["id"], round(hit["score"])) for hit in between] == [("13", -18)]
    where = ("--where", "id in 3, 25, 9", "--where", "tag = line", "--temperature", 30)
    away = found("--like", 10, "--not-like", "1.0:16", *where)
    assert [hit["id"] for hit in away] == ["3", "9", "25"]
    assert sum(hit["relevance"] for hit in away) == pytest.approx(1)
    shown = unseen("search", filled, "--like", 10, "--temperature", 10)
    assert ("relevance" in shown.stdout, "%" in shown.stdout) == (True, True)
    assert "l2" in unseen("keys", "list").stdout


def test_words_taken_apart_stand_in_the_place_of_the_words_and_nothing_else_moves() -> None:
    options = QueryOptions(words=["0.5:the red car, no people"], tag=["dog", "not cat"], not_words=["rain"])
    assert options.only_words() == (0.5, "the red car, no people")
    query = options.with_words([(0.5, "a red car"), (-0.2, "people")]).query()
    assert [(part.content, part.weight) for part in query.parts] == [
        (Words("a red car"), 0.5),
        (Words("dog"), 1.0),
        (Words("cat"), -0.5),
        (Words("rain"), -1.0),
        (Words("people"), -0.2),
    ]
    for words in (None, ["a", "b"]):
        with pytest.raises(InvalidInput, match="--rewrite takes one --words"):
            QueryOptions(words=words, tag=["dog"]).only_words()
