"""Was this picture learned from? The strongest attack there is on trained weights, and the most that it may find.

The attack is the likelihood ratio of Carlini et al. (2022): many shadow adapters, each taught on a random half of the
same pictures, show how well a picture is told from the others when it was learned from and when not; the target's value
is compared with both, as normal distributions. The attacker knows every picture, every label and the training itself.

The bound holds for every attack: (epsilon, delta) for all delta together, as dp-accounting composes the steps, limits
the true positives at each rate of false ones (Kairouz, Oh and Viswanath, 2015), and so the area under the curve.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from dp_accounting import dp_event, pld
from scipy.stats import rankdata

from unseen.dp.audit import clopper_pearson_lower, clopper_pearson_upper
from unseen_client.adapt.plan import Plan
from unseen_client.adapt.task import Float32Matrix, Task

Float64Array = npt.NDArray[np.float64]
Teach = Callable[[Task], Float32Matrix]
Guesses = list[tuple[Float64Array, npt.NDArray[np.bool_]]]
"""For each target the score of every picture, and whether it was a member."""

CONFIDENCE = 0.95
POINTS = 4001


@dataclass(frozen=True)
class Found:
    """What an attack found out."""

    by_ratio: float
    """Area under the curve of the likelihood ratio, mean over targets."""
    by_loss: float
    """The same of the loss alone, without shadows."""
    of_canaries: float | None
    """Area under the curve of the likelihood ratio among canaries, mean over targets; None without canaries."""
    epsilon_lower: float
    """What the best threshold proves, on all pictures or on canaries, with 95 % confidence; 0 when nothing."""


@dataclass(frozen=True)
class Attack:
    """How an attack is made."""

    shadows: int
    """How many adapters are taught in all, an even number: a target's shadows are all others."""
    targets: int
    temperature: float
    seed: int
    canary_every: int = 0
    """One picture in so many has a wrong label; 0: none."""


def attack(task: Task, teach: Teach, how: Attack, delta: float) -> Found:
    """Teach adapters in pairs, one on a random half and one on the other; tell members from others for each target."""
    canary = np.arange(len(task.rows)) % (how.canary_every or len(task.rows) + 1) == 0
    canary &= how.canary_every > 0
    task = with_canaries(task, canary)
    halves = np.random.default_rng(how.seed).random((how.shadows // 2, len(task.rows))) < 0.5
    member = np.stack([part for half in halves for part in (half, ~half)])
    sure = np.stack([certainty(task, teach(task.part(chosen)), how.temperature) for chosen in member])
    ratios = [_ratio(np.delete(member, at, 0), np.delete(sure, at, 0), sure[at]) for at in range(how.targets)]
    guesses = [(np.asarray(ratios[at]), member[at]) for at in range(how.targets)]
    of_canaries = [(score[canary], truth[canary]) for score, truth in guesses] if canary.any() else []
    proofs = [one for one in (guesses, of_canaries) if one]
    return Found(
        by_ratio=mean_area(guesses),
        by_loss=mean_area([(sure[at], member[at]) for at in range(how.targets)]),
        of_canaries=mean_area(of_canaries) if of_canaries else None,
        epsilon_lower=max(proven_epsilon(one, delta, (1 - CONFIDENCE) / len(proofs)) for one in proofs),
    )


def mean_area(guesses: Guesses) -> float:
    return float(np.mean([area(score, truth) for score, truth in guesses]))


def with_canaries(task: Task, canary: npt.NDArray[np.bool_]) -> Task:
    """The same task in which the chosen pictures have the label, or the caption, of others."""
    if task.labels is None:
        own = task.own.copy()
        own[canary] = np.roll(task.own[canary], 1, axis=0)
        return replace(task, own=own)
    labels = np.where(canary, (task.labels + 1) % len(task.others), task.labels)
    return replace(task, labels=labels, own=task.others[labels])


def certainty(task: Task, down: Float32Matrix, temperature: float) -> Float64Array:
    """log of the odds of each picture's own text among those that it is told from: (n,)."""
    moved = task.semantic + (task.rows @ down.T) @ task.up
    moved /= np.linalg.norm(moved, axis=1, keepdims=True)
    others = temperature * (moved @ task.others.T).astype(np.float64)
    own = temperature * np.einsum("nd,nd->n", moved, task.own).astype(np.float64)
    if task.labels is not None:
        others[np.arange(len(others)), task.labels] = -np.inf
    return np.asarray(own - np.logaddexp.reduce(others, axis=1), np.float64)


def _ratio(member: npt.NDArray[np.bool_], sure: Float64Array, target: Float64Array) -> Float64Array:
    """Log-likelihood ratio of each picture's being a member; means are its own, deviations shared by all."""
    inside, outside = np.where(member, sure, np.nan), np.where(member, np.nan, sure)
    value = np.zeros_like(target)
    for part, sign in ((inside, 1), (outside, -1)):
        mean = np.nanmean(part, axis=0)
        deviation = np.sqrt(np.nanmean((part - mean) ** 2))
        value += sign * (-((target - mean) ** 2) / (2 * deviation**2) - np.log(deviation))
    return value


def area(score: Float64Array, truth: npt.NDArray[np.bool_]) -> float:
    """Area under the curve: how often a member scores above another picture."""
    ranks, members = rankdata(score), int(truth.sum())
    return float((ranks[truth].sum() - members * (members + 1) / 2) / (members * (len(truth) - members)))


def proven_epsilon(guesses: Guesses, delta: float, doubt: float = 1 - CONFIDENCE) -> float:
    """The epsilon that guesses prove: a threshold chosen on every second picture, counted on the others."""
    score = np.concatenate([one for one, _ in guesses])
    truth = np.concatenate([one for _, one in guesses])
    tried = np.quantile(score[::2], np.linspace(0.01, 0.99, 99))
    best = max(tried.tolist(), key=lambda at: _epsilon(score[::2] >= at, truth[::2], delta, doubt))
    return _epsilon(score[1::2] >= best, truth[1::2], delta, doubt)


def _epsilon(called: npt.NDArray[np.bool_], truth: npt.NDArray[np.bool_], delta: float, doubt: float) -> float:
    """From either kind of error, by two bounds each: every one of the four at a quarter of the allowed doubt."""
    doubt /= 4
    members, others = int(truth.sum()), int((~truth).sum())
    hits, alarms = int((called & truth).sum()), int((called & ~truth).sum())
    found = [0.0]
    for good, of_good, bad, of_bad in (
        (hits, members, alarms, others),
        (others - alarms, others, members - hits, members),
    ):
        least = clopper_pearson_lower(good, of_good, doubt) - delta
        if least > 0:
            found.append(float(np.log(least / clopper_pearson_upper(bad, of_bad, doubt))))
    return max(found)


def composed(plan: Plan) -> pld.PLDAccountant:
    """The plan's steps in dp-accounting's accountant, for adding or removing one image."""
    accountant = pld.PLDAccountant()
    step = dp_event.PoissonSampledDpEvent(plan.sample_rate, dp_event.GaussianDpEvent(plan.noise_multiplier))
    accountant.compose(step, plan.steps)
    return accountant


def area_bound(plan: Plan) -> float:
    """The largest area under the curve that any attack on the plan's adapter can have."""
    accountant = composed(plan)
    epsilons = np.concatenate([np.linspace(0, 2, 41), np.linspace(2.1, max(3.0, 2 * plan.epsilon), 60)])
    deltas = np.array([accountant.get_delta(float(one)) for one in epsilons])
    alarms = np.linspace(0, 1, POINTS)[:, None]
    hits = np.minimum(np.exp(epsilons) * alarms + deltas, 1 - np.exp(-epsilons) * (1 - alarms - deltas))
    curve = np.clip(hits.min(axis=1), 0, 1)
    return float(np.trapezoid(curve, alarms[:, 0]))
