"""Noise as text: what is typed is what is made, and a policy is never met by weaker noise."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unseen.dp.gaussian import Gaussian
from unseen.dp.mechanism import Mechanism
from unseen.dp.metric import MetricVonMisesFisher
from unseen.dp.privunit import PrivUnit
from unseen.dp.text import mechanism_from_text, require_noise, require_policy
from unseen.errors import InvalidConfiguration, InvalidInput


@pytest.mark.parametrize(
    ("text", "mechanism"),
    [
        ("privunit:64", PrivUnit(64.0)),
        ("privunit:0.5", PrivUnit(0.5)),
        ("gaussian:8", Gaussian(8.0)),
        ("gaussian:8:1e-9", Gaussian(8.0, 1e-9)),
        ("metric:64", MetricVonMisesFisher(32.0)),
    ],
)
def test_a_text_names_one_mechanism(text: str, mechanism: Mechanism) -> None:
    assert mechanism_from_text(text) == mechanism
    require_noise(text, mechanism)


WRONG = ["privunit", "privunit:", "privunit:x", "privunit:8:1e-6", "laplace:8", "any:8", "gaussian:8:1e-6:2", "8", ""]
WRONG += ["privunit:nan", "privunit:-8", "privunit:1e9", "gaussian:8:0.5", "PrivUnit:8", "privunit:inf"]


@pytest.mark.parametrize("text", WRONG)
def test_any_other_text_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(InvalidConfiguration, match=r"privunit:64|expected"):
        mechanism_from_text(text)


@pytest.mark.parametrize("policy", ["laplace:8", "privunit", "any:0", "any:inf", "any:8:2", "none"])
def test_a_policy_that_cannot_be_read_is_never_taken_for_none(policy: str) -> None:
    with pytest.raises(InvalidConfiguration):
        require_noise(policy, PrivUnit(1.0))
    with pytest.raises(InvalidConfiguration):
        require_policy(policy)


def test_without_a_policy_everything_may_enrol() -> None:
    require_policy("")
    require_noise("", None)
    require_noise("", PrivUnit(1.0))


@pytest.mark.parametrize(
    ("policy", "noise"),
    [
        ("privunit:64", None),
        ("privunit:64", PrivUnit(64.1)),
        ("privunit:64", Gaussian(8.0)),
        ("gaussian:8:1e-9", Gaussian(8.0, 1e-6)),
        ("any:64", MetricVonMisesFisher(33.0)),
        ("metric:64", PrivUnit(1.0)),
    ],
)
def test_weaker_noise_than_the_policy_asks_for_is_refused(policy: str, noise: Mechanism | None) -> None:
    require_policy(policy)
    with pytest.raises(InvalidInput, match=policy):
        require_noise(policy, noise)


@given(st.floats(0.01, 2048), st.floats(0.01, 2048))
def test_a_policy_is_met_exactly_by_at_most_its_epsilon(asked: float, given_epsilon: float) -> None:
    policy, noise = f"any:{asked!r}", PrivUnit(given_epsilon)
    if given_epsilon <= asked:
        require_noise(policy, noise)
    else:
        with pytest.raises(InvalidInput):
            require_noise(policy, noise)
