"""What many releases together tell: three valid bounds on (epsilon, delta), of which the tightest counts.

Opinions, computed from losses; nothing here is stored. The bounds hold for releases chosen one after the other in view
of earlier outputs, as long as mechanisms and epsilons are not themselves chosen in view of them.

    sum     epsilons add up; Gaussian releases count with their exact (epsilon, delta) together
    zcdp    zero-concentrated: rho = mu^2/2, for a pure epsilon epsilon^2/2 (Bun and Steinke, 2016, proposition 1.4),
            turned into (epsilon, delta) by Canonne, Kamath and Steinke (2020), proposition 12
    exact   the distribution of the summed loss of the worst pairs: lattice steps for pure releases (for randomised
            response the composition of Kairouz, Oh and Viswanath, 2015, theorem 3.3), one normal for all Gaussian ones.
            Where it is rounded, losses go up and what is cut off is added to delta, so that it stays a bound.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from math import exp, inf, log, log1p, sqrt

import numpy as np
import numpy.typing as npt

from unseen.dp.analytic_gaussian import gaussian_delta, gaussian_epsilon
from unseen.dp.event import Event
from unseen.dp.loss import Loss, NormalLoss, StepLoss, loss_of
from unseen.dp.special_functions import smallest_true

Float64Array = npt.NDArray[np.float64]

CUT = 1e-18
"""Loss values less likely than this are dropped and added to delta."""
MOST_VALUES = 1 << 14
"""Distinct losses are merged, upwards, to at most this many."""
TOLERANCE = 1e-10
"""An exact epsilon is found up to this part of it, from above."""
MOST_ORDER = 1e6
"""Renyi orders tried for zCDP end here."""


@dataclass(frozen=True)
class Guarantee:
    """What a set of releases guarantees together."""

    epsilon: float
    delta: float
    bound: str
    """Which bound gave it: none, sum, zcdp or exact."""
    releases: int


@dataclass(frozen=True)
class LossDistribution:
    """Losses of the worst pair and their probabilities; ``dropped`` is the probability that is not listed."""

    values: Float64Array
    probabilities: Float64Array
    dropped: float


def compose(events: Iterable[Event] | Mapping[Event, int], delta: float) -> Guarantee:
    """The smallest epsilon that events guarantee together at a delta in (0, 1).

    A mapping gives the number of each event. Raises UnsupportedEvent for an event that is not understood.
    """
    losses = _losses(events)
    releases = sum(count for _, count in losses)
    if not releases:
        return Guarantee(0.0, delta, "none", 0)
    bounds = {
        "exact": _exact_epsilon(losses, delta),
        "zcdp": zcdp_epsilon(_rho(losses), delta),
        "sum": _sum_epsilon(losses, delta),
    }
    bound = min(bounds, key=lambda name: bounds[name])
    return Guarantee(bounds[bound], delta, bound, releases)


def within(events: Iterable[Event] | Mapping[Event, int], epsilon: float, delta: float) -> bool:
    """Whether events together keep to a budget by one of the bounds; cheaper than ``compose``. Same errors."""
    losses = _losses(events)
    if not losses or _sum_epsilon(losses, delta) <= epsilon or zcdp_epsilon(_rho(losses), delta) <= epsilon:
        return True
    return _exact_delta(losses, epsilon) <= delta


Losses = frozenset[tuple[Loss, int]]


def _losses(events: Iterable[Event] | Mapping[Event, int]) -> Losses:
    counts: Counter[Loss] = Counter()
    for event, count in Counter(events).items():
        counts[loss_of(event)] += count
    return frozenset(counts.items())


def _split(losses: Losses) -> tuple[list[tuple[StepLoss, int]], float]:
    """Pure releases, in order of epsilon, and the one mu that all Gaussian ones amount to."""
    steps = [(loss, count) for loss, count in losses if isinstance(loss, StepLoss)]
    squares = sum(count * loss.mu**2 for loss, count in losses if isinstance(loss, NormalLoss))
    return sorted(steps, key=lambda item: (item[0].epsilon, item[0].up)), sqrt(squares)


# Sum


def _sum_epsilon(losses: Losses, delta: float) -> float:
    steps, mu = _split(losses)
    pure = sum(count * loss.epsilon for loss, count in steps)
    return pure + (gaussian_epsilon(delta, mu) if mu else 0.0)


# Zero-concentrated


def _rho(losses: Losses) -> float:
    steps, mu = _split(losses)
    return sum(count * loss.epsilon**2 / 2 for loss, count in steps) + mu**2 / 2


def zcdp_epsilon(rho: float, delta: float) -> float:
    """The epsilon of rho-zCDP: least over orders a > 1 of a rho + (log(1/delta) + (a-1) log(1-1/a) - log a)/(a-1)."""

    def at(log_excess: float) -> float:
        excess = exp(log_excess)
        order = 1 + excess
        return order * rho + (-log(delta) + excess * log1p(-1 / order) - log(order)) / excess

    low, high = log(1e-6), log(MOST_ORDER)
    while high - low > 1e-9:
        first, second = low + (high - low) / 3, high - (high - low) / 3
        low, high = (low, second) if at(first) < at(second) else (first, high)
    return max(0.0, at((low + high) / 2))


# Exact


def _exact_epsilon(losses: Losses, delta: float) -> float:
    most = _sum_epsilon(losses, delta)
    if _exact_delta(losses, most) > delta:
        return inf
    return smallest_true(lambda epsilon: _exact_delta(losses, epsilon) <= delta, 0.0, most, TOLERANCE)


def _exact_delta(losses: Losses, epsilon: float) -> float:
    """E[(1 - exp(epsilon - loss))_+] over the summed loss."""
    steps, mu = _split(losses)
    pure = distribution(tuple(steps))
    if mu:
        share = np.array([gaussian_delta(epsilon - value, mu) for value in pure.values])
    else:
        share = -np.expm1(np.minimum(0.0, epsilon - pure.values))
    return float(share @ pure.probabilities) + pure.dropped


@lru_cache(maxsize=256)
def distribution(steps: tuple[tuple[StepLoss, int], ...]) -> LossDistribution:
    """The summed loss of pure releases."""
    total = LossDistribution(np.zeros(1), np.ones(1), 0.0)
    for loss, count in steps:
        part = _power(loss, count)
        values = np.add.outer(total.values, part.values).ravel()
        probabilities = np.multiply.outer(total.probabilities, part.probabilities).ravel()
        total = _merged(values, probabilities, total.dropped + part.dropped)
    return total


def _power(loss: StepLoss, count: int) -> LossDistribution:
    """The loss of ``count`` releases: a lattice of multiples of epsilon, by repeated squaring."""
    one: Float64Array = np.array([loss.down, max(0.0, 1 - loss.up - loss.down), loss.up])
    result: Float64Array = np.ones(1)
    low, dropped = 0, 0.0
    for bit in f"{count:b}":
        result, low, dropped = np.convolve(result, result), 2 * low, 2 * dropped
        if bit == "1":
            result, low = np.convolve(result, one), low - 1
        kept = np.flatnonzero(result > CUT / len(result))
        cut = result[kept[0] : kept[-1] + 1]
        dropped += max(0.0, float(result.sum() - cut.sum()))
        result, low = cut, low + int(kept[0])
    values = loss.epsilon * (low + np.arange(len(result), dtype=np.float64))
    return LossDistribution(values, result, dropped + CUT)


def _merged(values: Float64Array, probabilities: Float64Array, dropped: float) -> LossDistribution:
    """Drop what is too unlikely; when many values remain, round them up to a grid."""
    kept = probabilities > CUT / len(probabilities)
    dropped += float(probabilities[~kept].sum())
    values, probabilities = values[kept], probabilities[kept]
    if len(values) > MOST_VALUES:
        low = values.min()
        step = (values.max() - low) / (MOST_VALUES - 1)
        cells = np.ceil((values - low) / step).astype(np.int64)
        probabilities = np.asarray(np.bincount(cells, probabilities), np.float64)
        values = np.asarray(low + step * np.arange(len(probabilities)), np.float64)
    return LossDistribution(values, probabilities, dropped)
