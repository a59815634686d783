"""The auditor: true mechanisms are never refuted, half the noise always is; its bounds are those of the textbooks.

The number of releases is small here. UNSEEN_AUDIT_RELEASES sets another one: `python -m bench.noise_audit` is the large
audit, on fresh noise.
"""

from __future__ import annotations

import importlib
import os
import pkgutil

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

import unseen.dp
from bench import noise_audit
from unseen.dp.audit import audit, clopper_pearson_lower, clopper_pearson_upper
from unseen.dp.cosine_law import cosine_law
from unseen.dp.event import Event
from unseen.dp.gaussian import Gaussian
from unseen.dp.mechanism import Float32Array, Float64Array, Mechanism
from unseen.dp.metric import MetricVonMisesFisher
from unseen.dp.privunit import PrivUnit

RELEASES = int(os.environ.get("UNSEEN_AUDIT_RELEASES", "12000"))
DIMENSION = 16
AUDITED = [PrivUnit(1.0), PrivUnit(4.0), PrivUnit(32.0), Gaussian(1.0), Gaussian(8.0), Gaussian(64.0)]
AUDITED += [MetricVonMisesFisher(0.5), MetricVonMisesFisher(4.0), MetricVonMisesFisher(64.0)]


def test_every_mechanism_there_is_is_audited_here_and_in_the_bench() -> None:
    for module in pkgutil.iter_modules(unseen.dp.__path__, "unseen.dp."):
        importlib.import_module(module.name)
    every = {kind for kind in Mechanism.__subclasses__() if kind.__module__.startswith("unseen.dp.")}
    assert {type(one) for one in AUDITED} == every
    assert {type(claimed) for _, claimed, _ in noise_audit.pairs()} == every


@pytest.mark.usefixtures("fixed_noise")
@pytest.mark.parametrize("mechanism", AUDITED, ids=str)
def test_no_mechanism_betrays_more_than_it_claims(mechanism: Mechanism) -> None:
    found = audit(mechanism, DIMENSION, RELEASES)
    assert found.epsilon_lower <= found.event.epsilon
    assert found.distance is not None
    assert found.distance <= found.distance_allowed
    assert not found.refuted


@pytest.mark.usefixtures("fixed_noise")
@pytest.mark.parametrize("mechanism", AUDITED, ids=str)
def test_half_the_noise_is_found_out(mechanism: Mechanism, half_the_noise) -> None:
    assert audit(half_the_noise(mechanism), DIMENSION, RELEASES, claimed=mechanism).refuted


@pytest.mark.usefixtures("fixed_noise")
@pytest.mark.parametrize("mechanism", [PrivUnit(1.0), PrivUnit(4.0), Gaussian(1.0), Gaussian(8.0)], ids=str)
def test_half_the_noise_is_found_out_by_privacy_alone(mechanism: Mechanism, half_the_noise) -> None:
    assert audit(half_the_noise(mechanism), DIMENSION, RELEASES, claimed=mechanism).betrayed


@pytest.mark.usefixtures("fixed_noise")
def test_the_bound_comes_close_to_what_is_claimed() -> None:
    assert audit(PrivUnit(2.0), DIMENSION, 20_000).epsilon_lower > 1.8
    gaussian = audit(Gaussian(8.0), DIMENSION, 20_000)
    assert gaussian.epsilon_from_mu is not None
    assert 7.0 < gaussian.epsilon_from_mu < 8.0


@given(st.integers(0, 500), st.integers(1, 500), st.sampled_from([0.05, 0.025, 1e-6]))
def test_clopper_and_pearson_are_those_of_scipy(successes: int, more: int, alpha: float) -> None:
    trials = successes + more
    lower = stats.beta.ppf(alpha, successes, more + 1) if successes else 0.0
    upper = stats.beta.ppf(1 - alpha, successes + 1, more)
    assert clopper_pearson_lower(successes, trials, alpha) == pytest.approx(lower, rel=1e-8, abs=1e-12)
    assert clopper_pearson_upper(successes, trials, alpha) == pytest.approx(upper, rel=1e-8, abs=1e-12)


@pytest.mark.parametrize(
    "mechanism", [PrivUnit(1.0), PrivUnit(32.0), Gaussian(8.0), MetricVonMisesFisher(20.0)], ids=str
)
def test_the_law_of_cosines_has_the_expected_cosine_as_its_mean(mechanism: Mechanism) -> None:
    law = cosine_law(mechanism, 64)
    assert law is not None
    points = np.linspace(-8, 8, 400_001)
    steps = law(points)
    mean = float(((points[1:] + points[:-1]) / 2 * np.diff(steps)).sum())
    expected = 1.0 if isinstance(mechanism, Gaussian) else mechanism.expected_cosine(64)
    assert mean == pytest.approx(expected, abs=2e-4)
    assert (steps[0], steps[-1]) == (pytest.approx(0, abs=1e-6), pytest.approx(1, abs=1e-6))
    assert (np.diff(steps) >= 0).all()


class Unknown(Mechanism):
    """A mechanism of somebody else that passes PrivUnit's events off as its own."""

    def event(self, dimension: int) -> Event:
        return PrivUnit(1.0).event(dimension)

    def unbiasing_scale(self, dimension: int) -> float:
        return 1.0

    def expected_cosine(self, dimension: int) -> float:
        return 1.0

    def _noised(self, units: Float64Array) -> Float32Array:
        return units.astype(np.float32)


def test_a_mechanism_without_a_written_law_is_audited_by_what_it_betrays() -> None:
    assert cosine_law(Unknown(), 8) is None
    found = audit(Unknown(), 8, 2000)
    assert found.distance is None
    assert found.betrayed
