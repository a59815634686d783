"""On real photographs: an adapter at an epsilon of 8 finds more, and an attack that works without privacy fails on it.

A small sample of `python -m bench.adapt`: the first 700 pictures of Fashion-MNIST, from the Debian package
dataset-fashion-mnist that `make system` installs.
"""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from bench import labelled_pictures
from bench.adapt import plan_for, precision, split, task_of, teach_privately, teach_without_privacy
from bench.membership import Attack, area, area_bound, attack, certainty, proven_epsilon, with_canaries
from unseen_client.adapt.task import Task, captions_task

PICTURES = 700
ATTACKED = 400
SHADOWS = 8
TEMPERATURE = 20.0


@pytest.fixture(scope="module")
def clothes() -> Task:
    if not labelled_pictures.FASHION.exists():
        pytest.skip("the Debian package dataset-fashion-mnist is not installed: make system")
    return task_of(labelled_pictures.fashion(PICTURES))


def test_precision_rises_on_pictures_that_were_not_learned_from(clothes, begin_noise_anew) -> None:
    begin_noise_anew()
    learned, measured = split(clothes)
    before = precision(measured, np.zeros((len(clothes.up), 512), np.float32))
    after = precision(measured, teach_privately(learned, plan_for(learned, 8.0)))
    assert after["words"] > before["words"] + 0.2
    assert after["pictures"] > before["pictures"] + 0.02


def test_an_attack_that_works_without_privacy_keeps_to_its_bound_with_it(clothes, begin_noise_anew) -> None:
    begin_noise_anew()
    some = clothes.part(np.arange(PICTURES) < ATTACKED)
    against = partial(attack, some, how=Attack(SHADOWS, 4, TEMPERATURE, 1, canary_every=8))
    plain = against(partial(teach_without_privacy, steps=300), delta=0.0)
    assert plain.by_ratio >= 0.7
    plan = plan_for(some.part(np.arange(ATTACKED) % 2 == 0), 2.0, steps=100)
    private = against(partial(teach_privately, plan=plan), delta=plan.delta)
    assert private.of_canaries is not None
    assert plain.of_canaries is not None
    assert max(private.by_ratio, private.of_canaries) <= area_bound(plan) < plain.by_ratio < plain.of_canaries
    assert private.epsilon_lower <= plan.epsilon < plain.epsilon_lower


# ---- the attack's own arithmetic -------------------------------------------------------------------------------------


def test_canaries_have_wrong_texts_and_all_others_their_own(clothes) -> None:
    canary = np.arange(PICTURES) % 8 == 0
    captions = captions_task(clothes.rows, clothes.semantic, clothes.others)
    for task in (clothes, captions):
        changed = with_canaries(task, canary)
        assert np.array_equal(changed.own[~canary], task.own[~canary])
        assert (changed.own[canary] != task.own[canary]).any(axis=1).all()
    labels = with_canaries(clothes, canary).labels
    assert np.array_equal(labels != clothes.labels, canary)
    assert np.array_equal(with_canaries(clothes, canary).own, clothes.others[labels])


def test_the_bound_for_one_epsilon_is_that_of_randomised_response(clothes, monkeypatch) -> None:
    """With delta 0 at every epsilon above 1 the area is 1 / (1 + e^-1)."""

    class Pure:
        def get_delta(self, epsilon: float) -> float:
            return 0.0 if epsilon >= 1 else (np.exp(1) - np.exp(epsilon)) / (np.exp(1) + 1)

    monkeypatch.setattr("bench.membership.composed", lambda plan: Pure())
    plan = plan_for(clothes, 1.0, steps=50)
    assert area_bound(plan) == pytest.approx(1 / (1 + np.exp(-1)), abs=2e-3)


def test_the_area_counts_pairs() -> None:
    score, truth = np.array([3.0, 1.0, 2.0, 2.0]), np.array([True, False, True, False])
    pairs = [(a > b) + (a == b) / 2 for a in (3, 2) for b in (1, 2)]
    assert area(score, truth) == np.mean(pairs)


def test_what_guesses_prove_is_below_what_is_true() -> None:
    random = np.random.default_rng(0)
    truth = random.random(4000) < 0.5
    told = np.where(random.random(4000) < np.exp(1) / (1 + np.exp(1)), truth, ~truth)  # randomised response, epsilon 1
    assert 0.7 < proven_epsilon([(told.astype(float), truth)], 0.0) <= 1.05
    assert proven_epsilon([(random.random(4000), truth)], 0.0) < 0.2


def test_certainty_is_the_log_of_the_odds(clothes) -> None:
    zero = np.zeros((len(clothes.up), 512), np.float32)
    for at in range(3):
        cosines = TEMPERATURE * clothes.semantic[at] @ clothes.others.T
        shares = np.exp(cosines.astype(np.float64))
        share = shares[clothes.labels[at]] / shares.sum()
        assert certainty(clothes, zero, TEMPERATURE)[at] == pytest.approx(np.log(share / (1 - share)), abs=1e-4)
