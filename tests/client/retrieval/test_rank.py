"""From scores to hits, against a plain twin that sorts a list; and mirrors that move while they are read."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from unseen.errors import IntegrityError, InvalidInput
from unseen.types import CatalogueEntry
from unseen_client import Record
from unseen_client.mirror import Mirror
from unseen_client.retrieval import rank
from unseen_client.retrieval.choice import LEAST_CANDIDATES, choice
from unseen_client.retrieval.fuse import MadePart, fused
from unseen_client.retrieval.metric import metric_of
from unseen_client.retrieval.rank import Ranking

COUNT = 300
EXACT = np.random.default_rng(4).permutation(np.linspace(-1, 1, COUNT))
SCORES = (EXACT + 0.01 * np.random.default_rng(5).standard_normal(COUNT)).astype(np.float32)


def row(number: int) -> bytes:
    return number.to_bytes(16, "big")


def record(number: int) -> Record:
    return Record(id=str(number), extra={"number": str(number)}, vector=np.array([EXACT[number], 0], np.float32))


def opened(row_id: bytes, sealed: bytes) -> Record:
    assert sealed == b"sealed-" + row_id
    return record(int.from_bytes(row_id, "big"))


def ranking(*, on_device_only: bool = False, without=(), opening=opened, **chosen) -> Ranking:
    top_k = chosen.pop("top_k", 10)
    return Ranking(
        choice(top_k, **chosen), opening, lambda vectors: vectors[:, 0], on_device_only, frozenset(map(row, without))
    )


@pytest.fixture(scope="module")
def mirror(tmp_path_factory):
    one = Mirror(tmp_path_factory.mktemp("mirror") / "mirror.sqlite")
    one.apply(0, 1, [], [CatalogueEntry(row(at), at, 1, b"sealed-" + row(at)) for at in range(COUNT)])
    yield one
    one.close()


def ids(hits) -> list[int]:
    return [int(hit.id) for hit in hits]


def best(scores, among=range(COUNT)) -> list[int]:
    return sorted(among, key=lambda at: (-scores[at], at))


def test_without_wishes_the_best_scores_are_the_hits(mirror):
    found = rank.hits(mirror, SCORES, 1, ranking())
    assert ids(found) == best(SCORES)[:10]
    assert [hit.score for hit in found] == [float(SCORES[at]) for at in ids(found)]
    assert {hit.relevance for hit in found} == {None}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30, deadline=None)
@given(
    st.integers(1, 40), st.integers(0, COUNT), st.booleans(), st.none() | st.floats(-1, 1), st.sets(st.integers(0, 20))
)
def test_filters_cut_off_and_reranking_agree_with_the_plain_twin(mirror, top_k, below, again, cut, without):
    found = rank.hits(
        mirror,
        SCORES,
        1,
        ranking(top_k=top_k, where=f"number < {below}", rerank=again, min_score=cut, without=without),
    )
    expected = best(SCORES, [at for at in range(below) if at not in without])
    scores = SCORES
    if again:
        expected, scores = best(EXACT, expected[: max(LEAST_CANDIDATES, 10 * top_k)]), EXACT.astype(np.float32)
    assert ids(found) == [at for at in expected[:top_k] if cut is None or scores[at] >= cut]


def test_hits_are_filled_up_however_few_rows_fulfil_the_conditions(mirror):
    worst = best(SCORES)[-3:]
    found = rank.hits(mirror, SCORES, 1, ranking(top_k=3, where=f"number in {', '.join(map(str, worst))}"))
    assert ids(found) == worst


def test_no_more_records_are_opened_than_are_needed(mirror):
    seen: list[bytes] = []

    def counting(row_id, sealed):
        seen.append(row_id)
        return opened(row_id, sealed)

    rank.hits(mirror, SCORES, 1, ranking(opening=counting))
    assert len(seen) == 10
    rank.hits(mirror, SCORES, 1, ranking(opening=counting, where=lambda record: True))
    assert len(seen) == 20


def test_candidates_are_as_many_as_were_asked_for(mirror):
    found = rank.hits(mirror, SCORES, 1, ranking(candidates=15))
    assert ids(found) == best(EXACT, best(SCORES)[:15])[:10]


def softmax(scores, temperature):
    powers = [math.exp(score / temperature) for score in scores]
    return [power / sum(powers) for power in powers]


def test_relevances_of_all_rows_sum_to_one_and_are_the_softmax(mirror):
    found = rank.hits(mirror, SCORES, 1, ranking(top_k=COUNT, temperature=0.1))
    assert sum(hit.relevance for hit in found) == pytest.approx(1)
    assert [hit.relevance for hit in found] == pytest.approx(softmax([float(SCORES[at]) for at in ids(found)], 0.1))


def test_a_hits_relevance_does_not_depend_on_how_many_hits_are_wanted_or_cut_off(mirror):
    whole = rank.hits(mirror, SCORES, 1, ranking(top_k=COUNT, temperature=0.1))
    few = rank.hits(mirror, SCORES, 1, ranking(top_k=4, temperature=0.1, min_score=whole[2].score))
    assert [hit.relevance for hit in few] == pytest.approx([hit.relevance for hit in whole[:3]])


def test_relevances_are_over_the_rows_that_fulfil_the_conditions_and_are_not_left_out(mirror):
    found = rank.hits(mirror, SCORES, 1, ranking(top_k=COUNT, temperature=0.1, where="number < 20", without=[3]))
    assert len(found) == 19
    assert sum(hit.relevance for hit in found) == pytest.approx(1)


def test_relevances_after_reranking_are_of_the_exact_scores(mirror):
    found = rank.hits(mirror, SCORES, 1, ranking(top_k=5, candidates=COUNT, temperature=0.1))
    assert [hit.relevance for hit in found] == pytest.approx(softmax(EXACT[best(EXACT)], 0.1)[:5])
    some = rank.hits(mirror, SCORES, 1, ranking(top_k=5, candidates=10, temperature=0.1))
    rest = [float(SCORES[at]) for at in best(SCORES)[10:]]
    mixed = softmax([*sorted(EXACT[best(SCORES)[:10]], reverse=True), *rest], 0.1)
    assert [hit.relevance for hit in some] == pytest.approx(mixed[:5])


@pytest.mark.parametrize("temperature", [1e-9, 5e-324])
def test_a_very_small_temperature_does_not_overflow(mirror, temperature):
    found = rank.hits(mirror, SCORES, 1, ranking(top_k=2, temperature=temperature))
    assert [hit.relevance for hit in found] == [1.0, 0.0]


def test_scores_of_another_metric_choose_candidates_and_no_more(mirror):
    found = rank.hits(mirror, SCORES, 1, ranking(on_device_only=True, candidates=30, top_k=30, temperature=0.1))
    assert ids(found) == best(EXACT, best(SCORES)[:30])
    assert sum(hit.relevance for hit in found) == pytest.approx(1)


@pytest.mark.parametrize(
    ("vector", "error"),
    [(None, InvalidInput), (np.zeros(3, np.float32), IntegrityError), (np.array([np.nan, 0]), IntegrityError)],
)
def test_a_record_without_a_vector_of_the_collection_cannot_be_scored_again(mirror, vector, error):
    def broken(row_id, sealed):
        there = opened(row_id, sealed)
        return Record(id=there.id, vector=vector) if int(there.id) == best(SCORES)[3] else there

    with pytest.raises(error, match="vector"):
        rank.hits(mirror, SCORES, 1, ranking(rerank=True, opening=broken))
    assert len(rank.hits(mirror, SCORES, 1, ranking(opening=broken))) == 10


@pytest.mark.parametrize(("vector", "asked"), [(np.ones(2), np.ones(3)), (np.zeros(3), np.ones(3))])
def test_records_that_the_query_cannot_be_compared_with_end_in_the_same_error(mirror, vector, asked):
    def odd(row_id, sealed):
        return Record(id=opened(row_id, sealed).id, vector=vector.astype(np.float32))

    query = fused(metric_of("cosine"), [MadePart(asked, 1.0)])
    with pytest.raises(IntegrityError, match="none of this collection's"):
        rank.hits(mirror, SCORES, 1, Ranking(choice(5, rerank=True), odd, query.exact, exact_only=False))


def test_a_mirror_behind_the_reply_gives_none(mirror):
    for wishes in ({}, {"rerank": True}, {"temperature": 1.0}, {"where": "number < 9"}):
        assert rank.hits(mirror, SCORES, 2, ranking(**wishes)) is None


def test_no_rows_are_no_hits(tmp_path):
    empty = Mirror(tmp_path / "mirror.sqlite")
    assert rank.hits(empty, np.zeros(0, np.float32), 0, ranking(temperature=1.0, rerank=True)) == []
    empty.close()


def test_rows_that_go_while_records_are_tried_are_passed_over(tmp_path):
    moving = Mirror(tmp_path / "mirror.sqlite")
    moving.apply(0, 1, [], [CatalogueEntry(row(at), at, 1, b"sealed-" + row(at)) for at in range(COUNT)])
    order = best(SCORES)

    def tried(one: Record) -> bool:
        if int(one.id) == order[0]:
            moving.apply(1, 2, [row(order[-1])], [CatalogueEntry(row(COUNT), order[-1], 2, b"sealed-" + row(COUNT))])
        return int(one.id) in order[-2:]

    assert ids(rank.hits(moving, SCORES, 1, ranking(where=tried))) == [order[-2]]
    moving.close()


@pytest.mark.parametrize(
    "wishes",
    [
        {"top_k": 0},
        {"min_score": math.nan},
        {"temperature": 0.0},
        {"temperature": math.inf},
        {"candidates": 5},
        {"top_k": 10**30},
        {"candidates": 10**30},
    ],
)
def test_wishes_that_cannot_be_are_refused(wishes):
    with pytest.raises(InvalidInput, match=next(iter(wishes))):
        ranking(**wishes)
