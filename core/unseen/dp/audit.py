"""An auditor of noise mechanisms: what epsilon do released vectors betray, whatever the mechanism claims?

It releases the worst pair, a vector and its opposite, many times and bets on which one it was. Holds only made-up
vectors; leaks nothing. Three findings, each wrong with probability 5 % at most (or what ``confidence`` says):

    epsilon_lower   a lower bound on epsilon at the claimed delta, from counts alone: no assumption about the mechanism.
                    The best event {score >= threshold} is chosen on one half of the releases and counted on the other
                    (Jagielski, Ullman and Oprea, 2020); Clopper and Pearson (1934) bound both probabilities.
    mu_lower        the same for the signal of a Gaussian mechanism, whose whole trade-off curve is claimed, not one
                    point of it (Nasr et al., 2023): sees half the noise where delta is too small to be counted.
    distance        how far the released cosines lie from the claimed law of cosines, where one is written down, beyond
                    what rounding to the grid explains (Dvoretzky, Kiefer and Wolfowitz, with Massart's constant,
                    1990): sees half the noise at any epsilon.

n releases cannot show more than epsilon = log(n/8) or so: a large epsilon is not confirmed by epsilon_lower, only not
refuted. distance is what a large epsilon is held to.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, log, log1p, sqrt
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from unseen.dp.analytic_gaussian import gaussian_epsilon
from unseen.dp.cosine_law import Law, cosine_law
from unseen.dp.event import Event
from unseen.dp.loss import NormalLoss, loss_of
from unseen.dp.mechanism import Mechanism
from unseen.dp.special_functions import log_incomplete_beta, smallest_true
from unseen.dp.sphere import grid_step

Float64Array = npt.NDArray[np.float64]

CONFIDENCE = 0.95
"""Of each finding. Who audits many mechanisms at once and wants none refuted by chance asks for more."""
ROUNDING_DEVIATIONS = 4.0
"""Rounding moves a score by at most this many of its standard deviations: the distance test is blind below."""
THRESHOLDS = 64
"""Events that are tried on the first half."""
RELEASES_AT_ONCE = 4096


@dataclass(frozen=True)
class Audit:
    """What the releases of one mechanism showed."""

    event: Event
    dimension: int
    releases: int
    """Of each of the two vectors."""
    epsilon_lower: float
    mu_lower: float | None
    """Gaussian mechanisms only."""
    distance: float | None
    distance_allowed: float
    """A true mechanism's distance stays below this, except by chance."""

    @property
    def epsilon_from_mu(self) -> float | None:
        """mu_lower as an epsilon at the claimed delta."""
        return None if self.mu_lower is None else gaussian_epsilon(self.event.delta, max(self.mu_lower, 1e-9))

    @property
    def betrayed(self) -> bool:
        """Whether the releases tell more than is claimed."""
        loss = loss_of(self.event)
        too_much_signal = self.mu_lower is not None and isinstance(loss, NormalLoss) and self.mu_lower > loss.mu
        return self.epsilon_lower > self.event.epsilon or too_much_signal

    @property
    def refuted(self) -> bool:
        """Whether the claim is false by any of the findings."""
        return self.betrayed or (self.distance is not None and self.distance > self.distance_allowed)


def audit(
    mechanism: Mechanism,
    dimension: int,
    releases: int,
    claimed: Mechanism | None = None,
    confidence: float = CONFIDENCE,
) -> Audit:
    """Release a vector and its opposite ``releases`` times each, and report.

    The releases are held against what ``claimed`` would promise, if another mechanism is given.
    """
    claimed = claimed or mechanism
    event, law = claimed.event(dimension), cosine_law(claimed, dimension)
    near = released_scores(mechanism, dimension, 1, releases)
    far = released_scores(mechanism, dimension, -1, releases)
    alpha = 1 - confidence
    bounds = _best_bounds(near, far, event.delta, alpha)
    is_gaussian = isinstance(loss_of(event), NormalLoss)
    return Audit(
        event=event,
        dimension=dimension,
        releases=releases,
        epsilon_lower=_epsilon_at(*bounds[0], event.delta),
        mu_lower=_mu_at(*bounds[1]) if is_gaussian else None,
        distance=None if law is None else _distance(near, law, ROUNDING_DEVIATIONS * grid_step(dimension) / sqrt(12)),
        distance_allowed=sqrt(log(2 / alpha) / (2 * releases)),
    )


def released_scores(mechanism: Mechanism, dimension: int, sign: int, releases: int) -> Float64Array:
    """<released, pole> for many releases of the pole, or of its opposite."""
    # Every coordinate counts, so that rounding them to the grid averages out in the score.
    pole = np.cos(2.4 * np.arange(dimension))
    pole /= np.linalg.norm(pole)
    vector = (sign * pole).astype(np.float32)
    scores = np.empty(releases)
    for start in range(0, releases, RELEASES_AT_ONCE):
        count = min(RELEASES_AT_ONCE, releases - start)
        released, _ = mechanism.release_batch(np.repeat(vector[None], count, axis=0))
        scores[start : start + count] = released.astype(np.float64) @ pole
    return scores


def _best_bounds(
    near: Float64Array, far: Float64Array, delta: float, alpha: float
) -> tuple[tuple[float, float], tuple[float, float]]:
    """Bounds (true positives at least, false positives at most) of the best event for epsilon, and of that for mu."""
    half = len(near) // 2
    tried = np.quantile(np.concatenate([near[:half], far[:half]]), np.linspace(0, 1, THRESHOLDS, endpoint=False))
    guesses = {t: _bounds(near[:half], far[:half], t, alpha) for t in tried.tolist()}
    best_epsilon = max(guesses, key=lambda t: _epsilon_at(*guesses[t], delta))
    best_mu = max(guesses, key=lambda t: _mu_at(*guesses[t]))
    return _bounds(near[half:], far[half:], best_epsilon, alpha), _bounds(near[half:], far[half:], best_mu, alpha)


def _bounds(near: Float64Array, far: Float64Array, threshold: float, alpha: float) -> tuple[float, float]:
    """Both hold together with probability 1 - alpha."""
    hits, alarms = int((near >= threshold).sum()), int((far >= threshold).sum())
    return clopper_pearson_lower(hits, len(near), alpha / 2), clopper_pearson_upper(alarms, len(far), alpha / 2)


def _epsilon_at(hit_rate: float, alarm_rate: float, delta: float) -> float:
    """log of how much likelier the event is under the vector than under its opposite, after delta."""
    return log((hit_rate - delta) / alarm_rate) if hit_rate > delta and hit_rate > alarm_rate else 0.0


def _mu_at(hit_rate: float, alarm_rate: float) -> float:
    """The signal of the Gaussian test with these rates."""
    if not (0 < hit_rate < 1 and 0 < alarm_rate < 1):
        return -inf
    return NormalDist().inv_cdf(hit_rate) - NormalDist().inv_cdf(alarm_rate)


def _distance(scores: Float64Array, law: Law, rounding: float) -> float:
    """Kolmogorov and Smirnov's distance between the scores and the claimed law, each score free to move a little."""
    ordered = np.sort(scores)
    count = len(ordered)
    above = np.arange(1, count + 1) / count - law(ordered + rounding)
    below = law(ordered - rounding) - np.arange(count) / count
    return float(max(above.max(), below.max()))


def clopper_pearson_lower(successes: int, trials: int, alpha: float) -> float:
    """A probability that is below the true one except in ``alpha`` of all experiments."""
    if successes == 0:
        return 0.0
    return smallest_true(lambda p: _log_at_least(successes, trials, p) >= log(alpha), 0.0, 1.0)


def clopper_pearson_upper(successes: int, trials: int, alpha: float) -> float:
    """A probability that is above the true one except in ``alpha`` of all experiments."""
    return 1 - clopper_pearson_lower(trials - successes, trials, alpha) if successes < trials else 1.0


def _log_at_least(successes: int, trials: int, p: float) -> float:
    """log P[Binomial(trials, p) >= successes] = log I_p(successes, trials - successes + 1), DLMF 8.17.5."""
    if p <= 0 or p >= 1:
        return -inf if p <= 0 else 0.0
    return log_incomplete_beta(log(p), log1p(-p), successes, trials - successes + 1)
