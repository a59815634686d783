"""The special functions behind every guarantee, in logarithms, so that probabilities of exp(-1000) keep their digits.

Public arithmetic on a few numbers; it holds nothing and leaks nothing. Tests hold each function against mpmath.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from math import erfc, exp, expm1, inf, lgamma, log, log1p, pi, sqrt

CONTINUED_FRACTION_TOLERANCE = 1e-16
FAR_TAIL = -20.0
"""Below this erfc nears the end of a float's range and the continued fraction needs few terms."""
BISECTIONS = 200
"""More than enough to reach neighbouring floats from any finite interval."""
SMALLEST = 1e-300
"""Stands for zero where a continued fraction would divide by it (Lentz)."""


def log1mexp(x: float) -> float:
    """log(1 - e^x) for x <= 0, without losing digits at either end."""
    if x == 0:
        return -inf
    return log(-expm1(x)) if x > -log(2) else log1p(-exp(x))


def softplus(x: float) -> float:
    """log(1 + e^x): minus the log-probability of the unlikely side of a coin with these log-odds."""
    return max(x, 0.0) + log1p(exp(-abs(x)))


def log_normal_cdf(x: float) -> float:
    """log of the standard normal distribution function."""
    if x > 5:
        return log1p(-erfc(x / sqrt(2)) / 2)
    if x > FAR_TAIL:
        return log(erfc(-x / sqrt(2)) / 2)
    # Mills ratio Q(z)/phi(z) = 1/(z + 1/(z + 2/(z + 3/(z + ...)))), DLMF 7.9.3.
    z = -x
    ratio = z
    for n in range(60, 0, -1):
        ratio = z + n / ratio
    return -z * z / 2 - log(2 * pi) / 2 - log(ratio)


def log_beta(a: float, b: float) -> float:
    """log of the beta function B(a, b)."""
    return lgamma(a) + lgamma(b) - lgamma(a + b)


def log_incomplete_beta(log_x: float, log_y: float, a: float, b: float) -> float:
    """log of the regularised incomplete beta function I_x(a, b); log_y is log(1 - x), which the caller knows better.

    DLMF 8.17.22, evaluated by Lentz's method where it converges fast, else through I_x(a,b) = 1 - I_{1-x}(b,a).
    """
    if log_x == -inf or log_y == -inf:
        return 0.0 if log_y == -inf else -inf
    if exp(log_x) > (a + 1) / (a + b + 2):
        return log1mexp(min(0.0, _log_beta_fraction(log_y, log_x, b, a)))
    return _log_beta_fraction(log_x, log_y, a, b)


def _log_beta_fraction(log_x: float, log_y: float, a: float, b: float) -> float:
    x = exp(log_x)
    previous_c, previous_d = 1.0, 1.0 / _not_zero(1.0 - (a + b) * x / (a + 1))
    value = previous_d
    for m in count(1):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        change = 1.0
        for term in (even, odd):
            previous_d = 1.0 / _not_zero(1.0 + term * previous_d)
            previous_c = _not_zero(1.0 + term / previous_c)
            change = previous_c * previous_d
            value *= change
        if abs(change - 1.0) < CONTINUED_FRACTION_TOLERANCE or m > 100_000:
            break
    return a * log_x + b * log_y - log(a) - log_beta(a, b) + log(value)


def _not_zero(x: float) -> float:
    return x if abs(x) > SMALLEST else SMALLEST


def smallest_true(condition: Callable[[float], bool], low: float, high: float, tolerance: float = 0.0) -> float:
    """Where a condition that is false below and true above turns, found from [low, high]; the true side is returned.

    A relative ``tolerance`` ends the search early.
    """
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        if not low < middle < high or high - low <= tolerance * abs(high):
            break
        low, high = (low, middle) if condition(middle) else (middle, high)
    return high
