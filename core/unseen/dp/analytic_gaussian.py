"""The exact privacy of Gaussian noise (Balle and Wang, 2018), and its three inverse functions. Public arithmetic.

Everything depends on one number, mu = sensitivity / standard deviation: n releases with mu_1 ... mu_n together are
exactly one release with mu = sqrt(mu_1^2 + ... + mu_n^2) (Dong, Roth and Su, 2019, corollary 3.3).
"""

from __future__ import annotations

from math import exp, expm1, log

from unseen.dp.special_functions import log1mexp, log_normal_cdf, smallest_true

LARGEST_MU = 1e6
SMALLEST_MU = 1e-9


def gaussian_delta(epsilon: float, mu: float) -> float:
    """The smallest delta at an epsilon, also a negative one (arXiv 1805.06530, theorem 8):

    Phi(mu/2 - epsilon/mu) - e^epsilon Phi(-mu/2 - epsilon/mu).
    """
    if mu == 0:
        return max(0.0, -expm1(epsilon))
    first = log_normal_cdf(mu / 2 - epsilon / mu)
    second = epsilon + log_normal_cdf(-mu / 2 - epsilon / mu)
    return exp(first + log1mexp(second - first)) if second < first else 0.0


def gaussian_epsilon(delta: float, mu: float) -> float:
    """The smallest epsilon >= 0 at a delta > 0."""
    if gaussian_delta(0.0, mu) <= delta:
        return 0.0
    high = 1.0
    while gaussian_delta(high, mu) > delta:
        high *= 2
    return smallest_true(lambda epsilon: gaussian_delta(epsilon, mu) <= delta, 0.0, high)


def gaussian_mu(epsilon: float, delta: float) -> float:
    """The largest mu, that is the least noise, that is (epsilon, delta)-private."""

    def too_little_noise(log_mu: float) -> bool:
        return gaussian_delta(epsilon, exp(log_mu)) > delta

    low, high = log(SMALLEST_MU), log(LARGEST_MU)
    edge = smallest_true(too_little_noise, low, high)
    return exp(edge - 1e-12)


def gaussian_deviation(epsilon: float, delta: float, sensitivity: float) -> float:
    """The least standard deviation per coordinate that is (epsilon, delta)-private for this L2 sensitivity."""
    return sensitivity / gaussian_mu(epsilon, delta)
