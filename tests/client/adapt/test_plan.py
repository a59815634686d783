"""Plans: two accountants agree, the stated epsilon is never below either, and bad wishes are refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from dp_accounting import dp_event, pld, rdp

from unseen.dp.analytic_gaussian import gaussian_delta
from unseen.errors import IntegrityError, InvalidConfiguration, InvalidInput
from unseen_client.adapt.plan import (
    FEWEST_IMAGES,
    LARGEST_LEARNING_RATE,
    SAMPLE_RATE,
    Plan,
    make_plan,
    spent,
)


def by_dp_accounting(accountant, plan: Plan) -> float:
    """Google's accountants, for adding or removing one image."""
    step = dp_event.PoissonSampledDpEvent(plan.sample_rate, dp_event.GaussianDpEvent(plan.noise_multiplier))
    return float(accountant.compose(step, plan.steps).get_epsilon(plan.delta))


@pytest.mark.parametrize(
    ("epsilon", "delta", "steps"), [(8.0, 1e-5, 200), (2.0, 1e-5, 200), (1.0, 1e-6, 50), (0.5, 1e-7, 10)]
)
def test_the_stated_epsilon_is_no_less_than_two_other_accountants_find(epsilon, delta, steps) -> None:
    plan = make_plan(epsilon, delta, 1000, 200, 5120, steps)
    stated = spent(plan, steps)
    loss_distribution = by_dp_accounting(pld.PLDAccountant(), plan)
    assert loss_distribution <= stated <= epsilon
    assert stated == pytest.approx(loss_distribution, rel=0.02)
    assert stated < by_dp_accounting(rdp.RdpAccountant(), plan)  # valid as well, and looser


def test_fewer_steps_spend_less_and_none_spend_nothing() -> None:
    plan = make_plan(2.0, 1e-5, 1000, 200, 5120)
    assert spent(plan, 0) == 0
    assert 0 < spent(plan, 10) < spent(plan, 200) <= 2.0


def test_all_releases_of_held_out_scores_together_keep_to_the_same_guarantee() -> None:
    plan = make_plan(1.0, 1e-6, 1000, 200, 5120, 50)
    together = np.sqrt(plan.evaluations) / plan.evaluation_deviation  # mu of the composition
    assert gaussian_delta(plan.epsilon, together) <= plan.delta
    assert gaussian_delta(plan.epsilon, together * 1.01) > plan.delta


def test_the_plan_follows_from_public_numbers_alone() -> None:
    plan = make_plan(1.0, 1e-6, 1000, 200, 5120, 50)
    assert (plan.expected_batch, plan.sample_rate, plan.clip_norm) == (250, SAMPLE_RATE, 1)
    assert plan.learning_rate == pytest.approx(min(LARGEST_LEARNING_RATE, 250 / (plan.noise_multiplier * 5120**0.5)))
    assert plan.mean_deviation == plan.evaluation_deviation / 200
    assert make_plan(1.0, 1e-6, 1000, 200, 5120, 50) == plan


@pytest.mark.parametrize(
    ("epsilon", "delta", "images", "held_out", "error"),
    [
        (0.01, 1e-5, 1000, 200, InvalidConfiguration),
        (100.0, 1e-5, 1000, 200, InvalidConfiguration),
        (float("nan"), 1e-5, 1000, 200, InvalidConfiguration),
        (8.0, 0.0, 1000, 200, InvalidConfiguration),
        (8.0, 1e-3, 1000, 200, InvalidConfiguration),
        (8.0, 1e-5, FEWEST_IMAGES - 1, 20, InvalidInput),
        (8.0, 1e-5, 1000, 0, InvalidInput),
    ],
)
def test_a_wish_that_cannot_be_kept_is_refused(epsilon, delta, images, held_out, error) -> None:
    with pytest.raises(error):
        make_plan(epsilon, delta, images, held_out, 5120)


def test_a_plan_comes_back_from_its_text(plan) -> None:
    made = plan()
    assert Plan.from_json(made.to_json()) == made
    for damaged in ("", "[]", "{}", made.to_json().replace("steps", "stops")):
        with pytest.raises(IntegrityError):
            Plan.from_json(damaged)
    assert Plan.from_json(replace(made, steps=3).to_json()).steps == 3
