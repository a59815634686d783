"""Noise in words: what a person types, and what the policy of a collection may ask for. Public; holds nothing.

    privunit:EPSILON            privunit:64
    gaussian:EPSILON[:DELTA]    gaussian:64:1e-6
    metric:EPSILON              metric:64     von Mises-Fisher; epsilon is the worst case, twice that per distance
    any:EPSILON[:DELTA]         in a policy only

A policy's text says the weakest noise that it takes: this mechanism, with this epsilon and delta **at most**. Whether a
vector really carries noise nobody but its device can tell: a policy is kept by the devices that enrol, no server can
enforce it.
"""

from __future__ import annotations

from dataclasses import dataclass

from unseen.dp.event import Event
from unseen.dp.gaussian import DEFAULT_DELTA, Gaussian
from unseen.dp.mechanism import LARGEST_DIMENSION, Mechanism
from unseen.dp.metric import DIAMETER, MetricVonMisesFisher
from unseen.dp.privunit import PrivUnit
from unseen.errors import InvalidConfiguration, InvalidInput

ANY = "any"
NAMES = {"privunit": PrivUnit.name, "gaussian": Gaussian.name, "metric": MetricVonMisesFisher.name}
"""What people write, and the name that events carry."""
WITH_DELTA = frozenset({"gaussian", ANY})
FORMS = "privunit:EPSILON, gaussian:EPSILON[:DELTA] or metric:EPSILON"


@dataclass(frozen=True)
class _Written:
    """The parts of a text."""

    name: str
    epsilon: float
    delta: float


def mechanism_from_text(text: str) -> Mechanism:
    """The mechanism that a text names; raises InvalidConfiguration for anything else."""
    written = _read(text)
    match written.name:
        case "privunit":
            return PrivUnit(written.epsilon)
        case "gaussian":
            return Gaussian(written.epsilon, written.delta)
        case "metric":
            return MetricVonMisesFisher(written.epsilon / DIAMETER)
        case _:
            raise _refused(text)


def require_noise(policy: str, noise: Mechanism | None) -> None:
    """Refuse an enrolment whose noise is weaker than the collection's policy asks for; an empty policy asks for none.

    Raises InvalidInput, and InvalidConfiguration for a policy that cannot be read: it is never taken for "none".
    """
    if not policy:
        return
    least = _read(policy)
    if noise is None:
        raise InvalidInput(f"this collection takes rows with noise only, {policy}: give noise={policy!r} or stronger")
    # Epsilon and delta of an event do not depend on the dimension.
    event = noise.event(LARGEST_DIMENSION)
    if not _is_enough(event, least):
        raise InvalidInput(
            f"this collection asks for noise {policy} or stronger, got {event.mechanism} with epsilon "
            f"{event.epsilon:g} and delta {event.delta:g}; nothing was sent"
        )


def require_policy(policy: str) -> None:
    """Refuse a text that ``require_noise`` could not read; raises InvalidConfiguration."""
    if policy:
        _read(policy)


def _is_enough(event: Event, least: _Written) -> bool:
    named = least.name == ANY or event.mechanism == NAMES[least.name]
    return named and event.epsilon <= least.epsilon and event.delta <= least.delta


def _read(text: str) -> _Written:
    name, *numbers = text.split(":")
    if name not in (*NAMES, ANY) or not 1 <= len(numbers) <= 1 + (name in WITH_DELTA):
        raise _refused(text)
    try:
        epsilon, delta = float(numbers[0]), float(numbers[1]) if len(numbers) > 1 else DEFAULT_DELTA
    except ValueError:
        raise _refused(text) from None
    if not (0 < epsilon < float("inf") and 0 <= delta < 1):
        raise _refused(text)
    return _Written(name, epsilon, delta)


def _refused(text: str) -> InvalidConfiguration:
    return InvalidConfiguration(f"got noise {text!r}, expected {FORMS}, such as privunit:64")
