"""Released scores: the mean plus exactly the noise that was accounted for; one picture moves the sum by one at most."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from unseen.dp.gaussian import DEVIATION_BITS
from unseen_client.adapt import held_out
from unseen_client.adapt.held_out import released_mean
from unseen_client.adapt.task import scores


def without_noise(monkeypatch) -> None:
    monkeypatch.setattr(held_out, "rounded_normals", lambda shape, bits: np.zeros(shape, np.int64))


def weights(task) -> np.ndarray:
    return np.random.default_rng(3).standard_normal((len(task.up), 512)).astype(np.float32)


@pytest.mark.parametrize("captions", [False, True])
def test_without_noise_it_is_the_mean_score(task, plan, captions, monkeypatch) -> None:
    without_noise(monkeypatch)
    made = task(100, captions=captions)
    exact = scores(made, weights(made)).mean()
    assert released_mean(made, weights(made), plan()) == pytest.approx(exact, abs=1e-5)


def test_the_noise_has_the_deviation_of_the_plan(task, plan, begin_noise_anew) -> None:
    begin_noise_anew()
    made = task(100)
    numbers = replace(plan(), evaluation_deviation=3.0)
    found = [released_mean(made, weights(made), numbers) for _ in range(400)]
    assert np.std(found) == pytest.approx(numbers.mean_deviation, rel=0.15)
    assert np.mean(found) == pytest.approx(scores(made, weights(made)).mean(), abs=0.006)


def test_one_picture_moves_the_released_sum_by_its_share_at_most(task, plan, monkeypatch) -> None:
    drawn = []

    def keep(shape, bits):
        drawn.append(bits)
        return np.zeros(shape, np.int64)

    monkeypatch.setattr(held_out, "rounded_normals", keep)
    made = task(100)
    numbers = replace(plan(), evaluation_deviation=2.5)
    whole = released_mean(made, weights(made), numbers)
    fewer = released_mean(made.part(np.arange(100) > 0), weights(made), numbers)
    assert drawn == [DEVIATION_BITS] * 2
    # In steps of 2^-20 deviations a score of one is at most 2^20 / deviation of them.
    steps_for_one = int(2**DEVIATION_BITS / Fraction(2.5))
    assert abs(whole - fewer) * 100 <= 1 + 1 / steps_for_one


def test_a_release_stays_between_none_and_all(task, plan, monkeypatch) -> None:
    made = task(100)
    for sign in (-1, 1):
        monkeypatch.setattr(held_out, "rounded_normals", lambda shape, bits, s=sign: np.full(shape, s << 40, np.int64))
        assert released_mean(made, weights(made), plan()) == (sign + 1) / 2
