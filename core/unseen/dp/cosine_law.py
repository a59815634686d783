"""The claimed distribution of <released, true> of each mechanism, for the auditor to hold releases against.

Public arithmetic, by numerical integration: a second, plainer way to the numbers that the samplers stand on.
"""

from __future__ import annotations

from collections.abc import Callable
from math import exp, sqrt

import numpy as np
import numpy.typing as npt

from unseen.dp.gaussian import Gaussian
from unseen.dp.mechanism import Mechanism
from unseen.dp.metric import MetricVonMisesFisher
from unseen.dp.privunit import PrivUnit
from unseen.dp.special_functions import log_normal_cdf
from unseen.dp.sphere import Heights

Float64Array = npt.NDArray[np.float64]
Law = Callable[[Float64Array], Float64Array]

POINTS = 40_001
NEGLIGIBLE = -60.0
"""The density counts as nothing where it is exp(-60) of its highest value."""


def cosine_law(mechanism: Mechanism, dimension: int) -> Law | None:
    """The distribution function of <released, true>; None for a mechanism whose law is not written down here."""
    power = (dimension - 3) / 2
    match mechanism:
        case PrivUnit():
            return _privunit_law(mechanism, dimension, power)
        case MetricVonMisesFisher():
            return integrated(Heights(power, mechanism.kappa, -1.0))
        case Gaussian():
            deviation = mechanism.deviation
            return lambda scores: np.array([exp(log_normal_cdf((score - 1) / deviation)) for score in scores.tolist()])
        case _:
            return None


def _privunit_law(mechanism: PrivUnit, dimension: int, power: float) -> Law:
    cap = mechanism.cap(dimension)
    inside, anywhere = integrated(Heights(power, 0.0, cap.gamma)), integrated(Heights(power, 0.0, -1.0))
    rest = float(anywhere(np.array([cap.gamma]))[0])

    def law(scores: Float64Array) -> Float64Array:
        below = np.minimum(anywhere(scores), rest) / rest
        return cap.probability * inside(scores) + (1 - cap.probability) * below

    return law


def integrated(heights: Heights) -> Law:
    """The distribution function of a density of heights, by the trapezium rule where the density is not negligible."""
    coarse = np.linspace(heights.low, 1, POINTS)
    width = 1 / sqrt(1 + heights.power + abs(heights.tilt))
    near = np.clip(np.linspace(heights.mode - 12 * width, heights.mode + 12 * width, POINTS), heights.low, 1)
    points = np.unique(np.concatenate([coarse, near]))
    log_density = heights.log_density(points)
    points = points[log_density > NEGLIGIBLE]
    density = np.exp(heights.log_density(points))
    areas = np.concatenate([[0.0], np.cumsum(np.diff(points) * (density[1:] + density[:-1]) / 2)])
    return lambda scores: np.interp(scores, points, areas / areas[-1], left=0.0, right=1.0)
