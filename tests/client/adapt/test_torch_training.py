"""A private step is what the formula says, as the plain twin computes it; a picture moves the sum by one at most."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unseen.dp.gaussian import DEVIATION_BITS
from unseen.dp.normal import rounded_normals, uniforms


def gradient_by_hand(task, plan, at: int, down: np.ndarray) -> np.ndarray:
    """d loss / d down of one picture, from the chain rule, in float64: (r, 512)."""
    row, semantic = task.rows[at].astype(np.float64), task.semantic[at].astype(np.float64)
    up = task.up.astype(np.float64)
    moved = semantic + (down @ row) @ up
    length = np.linalg.norm(moved)
    direction = moved / length
    texts = task.others.astype(np.float64)
    right = None if task.labels is None else int(task.labels[at])
    if right is None:
        texts, right = np.vstack([task.own[at].astype(np.float64), texts]), 0
    scores = plan.temperature * texts @ direction
    shares = np.exp(scores - scores.max())
    shares /= shares.sum()
    shares[right] -= 1
    pull = plan.temperature * shares @ texts
    pull = (pull - (pull @ direction) * direction) / length
    return np.outer(up @ pull, row)


def step_by_hand(task, plan, down: np.ndarray) -> np.ndarray:
    """One step of DP-SGD, picture after picture: coins, gradients, cutting, rounding, noise. Reads the keystream."""
    chosen = np.flatnonzero(uniforms(len(task.rows)) < plan.sample_rate)
    one = 2**DEVIATION_BITS / plan.noise_multiplier
    total = np.zeros(down.shape)
    for at in chosen.tolist():
        gradient = gradient_by_hand(task, plan, at, down) / plan.clip_norm
        gradient /= max(1.0, float(np.linalg.norm(gradient)))
        total += np.rint(gradient * one)
    noise = rounded_normals((down.size,), DEVIATION_BITS).reshape(down.shape)
    update = (total + noise) / one * plan.clip_norm / plan.expected_batch
    return np.asarray(down - plan.learning_rate * update)


@pytest.mark.parametrize("captions", [False, True])
def test_steps_are_those_of_the_plain_twin_on_the_same_noise(
    task, plan, captions, begin_noise_anew, torch_training
) -> None:
    made, numbers = task(60, captions=captions), plan(60)
    begin_noise_anew()
    expected = np.zeros((len(made.up), 512))
    for _ in range(2):
        expected = step_by_hand(made, numbers, expected)
    begin_noise_anew()
    training = torch_training.Training(made, numbers)
    for _ in range(2):
        training.step()
    assert np.abs(expected).max() > 0.01
    assert np.allclose(training.weights, expected, atol=1e-4)  # torch works in float32


def test_pictures_worked_on_in_parts_are_the_same_pictures(
    task, plan, begin_noise_anew, monkeypatch, torch_training
) -> None:
    found = []
    for at_once in (7, 1000):
        monkeypatch.setattr(torch_training, "GRADIENTS_AT_ONCE", at_once)
        begin_noise_anew()
        training = torch_training.Training(task(60), plan(60))
        training.step()
        found.append(training.weights)
        assert training.accountant.history == [(1.5, 0.25, 1)]
    assert np.allclose(found[0], found[1], atol=1e-7)


def test_a_step_that_draws_nobody_is_noise_and_counts(task, plan, monkeypatch, torch_training) -> None:
    training = torch_training.Training(task(60), plan(60))
    monkeypatch.setattr(torch_training, "uniforms", lambda count: np.ones(count))
    training.step()
    deviation = 2.0 * 1.5 / 15
    assert np.std(training.weights) == pytest.approx(deviation, rel=0.1)
    assert training.accountant.history == [(1.5, 0.25, 1)]


def test_the_noise_has_the_deviation_that_is_accounted_for(task, plan, monkeypatch, torch_training) -> None:
    monkeypatch.setattr(torch_training, "uniforms", lambda count: np.ones(count))
    drawn = []
    for _ in range(4):
        training = torch_training.Training(task(60), plan(60, noise=3.0))
        training.step()
        drawn.append(training.weights / 2.0 * 15)
    assert np.std(drawn) == pytest.approx(3.0, rel=0.05)
    assert abs(np.mean(drawn)) < 0.3


class Holding:
    """Gradients of single pictures as Opacus hands them over."""

    def __init__(self, plan, gradients: np.ndarray) -> None:
        import torch

        from unseen_client.adapt.torch_training import ExactOptimizer

        self.weight = torch.nn.Parameter(torch.zeros(gradients.shape[1:]))
        self.weight.grad_sample = torch.from_numpy(gradients)
        self.optimizer = ExactOptimizer(torch.optim.SGD([self.weight], lr=1.0), plan)

    def sum(self) -> np.ndarray:
        self.optimizer.clip_and_accumulate()
        return np.asarray(self.optimizer._sum)


LENGTHS = st.sampled_from([0.0, 1e-30, 1e-3, 0.999999, 1.0, 1.000001, 5.0, 1e6, 1e30])


@settings(deadline=None, max_examples=60)
@given(st.lists(LENGTHS, min_size=1, max_size=6), st.integers(0, 2**32 - 1), st.sampled_from([0.5, 1.0, 2.29, 14.7]))
def test_no_picture_moves_the_sum_by_more_than_is_accounted_for(lengths, seed, noise) -> None:
    """Exactly, in integers: adding one picture to others changes the sum by a vector no longer than the clip norm."""
    from tests.client.adapt.conftest import made_up_plan

    random = np.random.default_rng(seed)
    gradients = random.standard_normal((len(lengths), 3, 40))
    gradients *= np.array(lengths)[:, None, None] / np.linalg.norm(gradients, axis=(1, 2), keepdims=True)
    gradients = gradients.astype(np.float32)
    plan = made_up_plan(noise=noise)
    change = Holding(plan, gradients).sum()
    if len(gradients) > 1:
        change = change - Holding(plan, gradients[:-1]).sum()
    assert change.dtype == np.int64
    square = sum(int(one) ** 2 for one in change.tolist())
    assert square <= (2**DEVIATION_BITS / noise) ** 2


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_gradient_that_is_none_counts_as_nothing(plan, bad) -> None:
    gradients = np.ones((2, 3, 4), np.float32)
    gradients[1, 0, 0] = bad
    assert np.array_equal(Holding(plan(), gradients).sum(), Holding(plan(), gradients[:1]).sum())


def test_the_average_forgets_where_the_training_began(task, plan, torch_training) -> None:
    training = torch_training.Training(task(60), plan(60))
    kept = []
    for _ in range(5):
        training.step()
        kept.append(training.weights)
    expected = kept[0]
    for at, weights in enumerate(kept[1:], 2):
        share = 4 / (at + 3)
        expected = (1 - share) * expected + share * weights
    assert np.allclose(training.average, expected, atol=1e-6)


def test_a_training_goes_on_from_what_was_saved(task, plan, begin_noise_anew, torch_training) -> None:
    one = torch_training.Training(task(60), plan(60))
    one.step()
    two = torch_training.Training(task(60), plan(60))
    two.restore(one.weights, one.average, one.taken)
    begin_noise_anew()
    one.step()
    begin_noise_anew()
    two.step()
    assert np.allclose(one.weights, two.weights, atol=1e-7)
    assert np.allclose(one.average, two.average, atol=1e-7)


def test_numpy_applies_what_torch_has_taught(task, plan, torch_training) -> None:
    import torch

    from unseen.embed.adapter import Adapter, adapt_rows

    made = task(60)
    training = torch_training.Training(made, plan(60))
    for _ in range(3):
        training.step()
    taught = training._model(torch.from_numpy(made.rows), torch.from_numpy(made.semantic)).detach().numpy()
    applied = adapt_rows(Adapter("", training.weights, made.up, ""), made.rows, float(np.sqrt(0.5)))
    assert np.allclose(applied[:, 128:], taught * np.sqrt(0.5), atol=1e-5)
