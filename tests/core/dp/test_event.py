"""Events are facts: frozen, exact as text, and refused when not understood."""

from __future__ import annotations

import json
from dataclasses import FrozenInstanceError, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unseen.dp.event import Event
from unseen.dp.gaussian import Gaussian
from unseen.dp.loss import NormalLoss, StepLoss, loss_of, randomised_response
from unseen.dp.metric import MetricVonMisesFisher
from unseen.dp.privunit import PrivUnit
from unseen.errors import UnsupportedEvent

KNOWN = [PrivUnit(8.0).event(512), Gaussian(8.0).event(512), MetricVonMisesFisher(4.0).event(512)]
NUMBERS = st.floats(allow_nan=False, allow_infinity=False)


@given(st.text(), st.integers(0, 9), NUMBERS, NUMBERS, st.dictionaries(st.text(), NUMBERS))
def test_every_event_comes_back_from_its_text_bit_by_bit(name, version, epsilon, delta, parameters) -> None:
    event = Event(name, version, epsilon, delta, tuple(sorted(parameters.items())))
    again = Event.from_json(event.to_json())
    assert again == event
    assert again.to_json() == event.to_json()


def test_the_text_form_has_not_changed() -> None:
    event = Event("privunit", 1, 8.0, 0.0, (("dimension", 512.0), ("gamma", 0.125), ("log_odds", 2.5)))
    assert event.to_json() == (
        '{"delta":0.0,"epsilon":8.0,"mechanism":"privunit","neighbouring":"replace one",'
        '"parameters":{"dimension":512.0,"gamma":0.125,"log_odds":2.5},"unit":"one image embedding","version":1}'
    )


@pytest.mark.parametrize("text", ["", "{}", "[]", "null", "3", '{"mechanism":"x"}', KNOWN[0].to_json()[:-1], "{" * 9])
def test_a_text_that_is_no_event_is_refused(text: str) -> None:
    with pytest.raises(UnsupportedEvent):
        Event.from_json(text)


@pytest.mark.parametrize(
    "change",
    [{"more": 1}, {"epsilon": "8"}, {"epsilon": float("nan")}, {"parameters": {"a": float("inf")}}, {"version": 1.5}],
)
def test_an_event_with_something_not_understood_is_refused(change: dict[str, object]) -> None:
    fields = json.loads(KNOWN[0].to_json()) | change
    with pytest.raises(UnsupportedEvent):
        Event.from_json(json.dumps(fields, sort_keys=True, separators=(",", ":")))


def test_an_event_cannot_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        KNOWN[0].epsilon = 1.0  # type: ignore[misc]


def test_losses_are_read_from_what_was_done() -> None:
    privunit, gaussian, metric = map(loss_of, KNOWN)
    assert isinstance(privunit, StepLoss)
    assert privunit.epsilon == 8.0
    assert privunit.up == pytest.approx(PrivUnit(8.0).cap(512).probability, rel=1e-5)
    assert gaussian == NormalLoss(2.0 / Gaussian(8.0).deviation)
    assert metric == randomised_response(8.0)


@pytest.mark.parametrize("event", KNOWN, ids=lambda event: event.mechanism)
@pytest.mark.parametrize(
    "change",
    [
        {"mechanism": "laplace"},
        {"version": 2},
        {"unit": "one person"},
        {"neighbouring": "add or remove"},
        {"parameters": ()},
    ],
)
def test_what_is_not_known_is_never_free(event: Event, change: dict[str, Any]) -> None:
    with pytest.raises(UnsupportedEvent):
        loss_of(replace(event, **change))


@pytest.mark.parametrize("event", [KNOWN[0], KNOWN[2]], ids=lambda event: event.mechanism)
def test_a_claim_below_what_the_parameters_give_is_refused(event: Event) -> None:
    with pytest.raises(UnsupportedEvent, match="claims"):
        loss_of(replace(event, epsilon=event.epsilon * 0.99))


@pytest.mark.parametrize(
    ("event", "name", "value"),
    [
        (KNOWN[0], "gamma", 1.0),
        (KNOWN[0], "gamma", -0.1),
        (KNOWN[0], "dimension", 1.0),
        (KNOWN[0], "log_odds", float("nan")),
        (KNOWN[1], "deviation", 0.0),
        (KNOWN[1], "sensitivity", -2.0),
        (KNOWN[2], "kappa", 0.0),
    ],
)
def test_parameters_that_cannot_be_are_refused(event: Event, name: str, value: float) -> None:
    parameters = tuple(sorted((dict(event.parameters) | {name: value}).items()))
    with pytest.raises(UnsupportedEvent):
        loss_of(replace(event, parameters=parameters))
