"""How much one event tells: its privacy loss in the worst case, read from what the mechanism did, not from its claim.

Public arithmetic. An event that nothing here understands is refused: it is never counted as free.

The privacy loss of an output is log P[output | v] / P[output | w]. For each mechanism there is one worst pair of
vectors, opposite ones, whose loss stands for every pair's (a dominating pair: Zhu, Dong and Wang, 2022):

    PrivUnit    +epsilon with probability p, -epsilon with p e^-epsilon (the cap of w), 0 else
    pure        +epsilon with probability 1/(1 + e^-epsilon), else -epsilon: randomised response is the worst of all
                epsilon-private mechanisms (Kairouz, Oh and Viswanath, 2015)
    Gaussian    normal, mean mu^2/2, variance mu^2, mu = sensitivity / deviation
"""

from __future__ import annotations

from dataclasses import dataclass
from math import exp

from unseen.dp.event import ONE_EMBEDDING, REPLACE_ONE, Event
from unseen.dp.gaussian import Gaussian
from unseen.dp.metric import DIAMETER, MetricVonMisesFisher
from unseen.dp.privunit import ARITHMETIC_EPSILON, Cap, PrivUnit
from unseen.errors import UnsupportedEvent

TOLERANCE = 1e-9
"""How far a claim may lie below what its parameters give, relatively: the rounding of a platform's logarithm."""


@dataclass(frozen=True)
class StepLoss:
    """+epsilon with probability ``up``, -epsilon with ``up`` e^-epsilon, else nothing."""

    epsilon: float
    up: float

    @property
    def down(self) -> float:
        return self.up * exp(-self.epsilon)


@dataclass(frozen=True)
class NormalLoss:
    """Gaussian noise with this much signal: mu = sensitivity / standard deviation."""

    mu: float


Loss = StepLoss | NormalLoss


def randomised_response(epsilon: float) -> StepLoss:
    """The worst that an epsilon-private mechanism can be."""
    return StepLoss(epsilon, 1 / (1 + exp(-epsilon)))


def loss_of(event: Event) -> Loss:
    """The loss of one release; raises UnsupportedEvent for an event that is not understood or claims too little."""
    if (event.unit, event.neighbouring) != (ONE_EMBEDDING, REPLACE_ONE) or not event.is_finite:
        raise UnsupportedEvent(f"an event of {event.mechanism!r} has another unit or relation than {ONE_EMBEDDING!r}")
    match event.mechanism, event.version:
        case PrivUnit.name, PrivUnit.version:
            return _privunit(event)
        case Gaussian.name, Gaussian.version:
            return NormalLoss(_positive(event, "sensitivity") / _positive(event, "deviation"))
        case MetricVonMisesFisher.name, MetricVonMisesFisher.version:
            _require_claim(event, DIAMETER * _positive(event, "kappa"))
            return randomised_response(event.epsilon)
        case _:
            raise UnsupportedEvent(
                f"no accountant here knows {event.mechanism!r} version {event.version}: use the release that wrote it"
            )


def _privunit(event: Event) -> StepLoss:
    dimension, gamma = int(event.parameter("dimension")), event.parameter("gamma")
    if dimension < 2 or not 0 <= gamma < 1:
        raise UnsupportedEvent(f"an event of {event.mechanism!r} has a cap that is none")
    cap = Cap(dimension, gamma, event.parameter("log_odds"))
    _require_claim(event, cap.epsilon)
    # What floating point may add (ARITHMETIC_EPSILON) is in the claim, and may raise p by as much.
    up = cap.probability * (1 + ARITHMETIC_EPSILON)
    return StepLoss(event.epsilon, min(up, randomised_response(event.epsilon).up))


def _positive(event: Event, name: str) -> float:
    value = event.parameter(name)
    if value <= 0:
        raise UnsupportedEvent(f"an event of {event.mechanism!r} has {name} {value}, expected more than 0")
    return value


def _require_claim(event: Event, least: float) -> None:
    """A claim below what the parameters give was altered or miscalculated."""
    if not 0 < least <= event.epsilon * (1 + TOLERANCE):
        raise UnsupportedEvent(
            f"an event of {event.mechanism!r} claims epsilon {event.epsilon}, its parameters give {least}"
        )
