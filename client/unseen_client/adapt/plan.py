"""The plan of a training: how many steps, with how much noise, so that all of them together keep to (epsilon, delta).

Made before anything is learned, from public numbers: how many images there are, the budget, and constants that were
fixed beforehand on other data. Nothing here is tuned on the images themselves.

DP-SGD (Abadi et al., 2016): every step draws each image by its own coin (Poisson sampling), cuts its gradient to length
1, adds Gaussian noise to the sum. The steps are composed by privacy loss random variables (Gopi, Lee and Wutschitz,
2021), as Opacus computes it; dp-accounting's figures are held against them in tests.

Images that are held out are never learned from. Their scores are released a few times, with Gaussian noise for which
all those releases together keep to the same (epsilon, delta). Every image is in one of the two parts, by a coin of its
own, so (epsilon, delta) holds for each.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from math import sqrt

from unseen.dp.analytic_gaussian import gaussian_deviation
from unseen.errors import IntegrityError, InvalidConfiguration, InvalidInput
from unseen.json_text import read_json

SAMPLE_RATE = 0.25
"""Large batches: the noise of a step is shared by many images."""
STEPS = 200
CLIP_NORM = 1.0
TEMPERATURE = 20.0
"""Cosines are multiplied by it before they compete."""
LARGEST_LEARNING_RATE = 10.0
EVALUATIONS = 9
"""One before the first step, then one after every eighth part of the steps."""
SPARE_EVALUATIONS = 3
"""For evaluations that a crash cut short: they count, and may be made again this often."""
HELD_OUT_PART = 0.2
FEWEST_IMAGES = 100
"""To learn from; with fewer the noise is all there is."""
SMALLEST_EPSILON = 0.1
LARGEST_EPSILON = 16.0
DEFAULT_DELTA = 1e-5


@dataclass(frozen=True)
class Plan:
    """Public numbers that decide what a training does and what it tells."""

    epsilon: float
    delta: float
    learned_from: int
    held_out: int
    sample_rate: float
    steps: int
    noise_multiplier: float
    """Standard deviation of the noise on the sum of gradients, each of length ``clip_norm`` at most."""
    clip_norm: float
    learning_rate: float
    temperature: float
    evaluations: int
    """How often the scores of held-out images may be released."""
    evaluation_deviation: float
    """Standard deviation of the noise on their sum, of which each image adds 1 at most."""

    @property
    def expected_batch(self) -> float:
        """Images that a step is expected to draw."""
        return self.sample_rate * self.learned_from

    @property
    def mean_deviation(self) -> float:
        """How far a released mean score is off: its standard deviation."""
        return self.evaluation_deviation / self.held_out

    def to_json(self) -> str:
        """The plan as it lies in the run's folder."""
        return json.dumps(asdict(self), sort_keys=True)

    @staticmethod
    def from_json(text: str) -> Plan:
        """The inverse of ``to_json``; raises IntegrityError."""
        try:
            return Plan(**read_json(text))
        except (ValueError, TypeError):
            raise IntegrityError("the plan of this run is damaged: remove its folder and begin anew") from None


def make_plan(epsilon: float, delta: float, learned_from: int, held_out: int, weights: int, steps: int = STEPS) -> Plan:
    """A plan for ``weights`` numbers to be learned.

    Raises InvalidConfiguration for an (epsilon, delta) that this is not made for, InvalidInput for too few images.
    """
    if not SMALLEST_EPSILON <= epsilon <= LARGEST_EPSILON:
        raise InvalidConfiguration(f"got epsilon {epsilon}, expected {SMALLEST_EPSILON} to {LARGEST_EPSILON:g}")
    if learned_from < FEWEST_IMAGES or not held_out:
        raise InvalidInput(
            f"got {learned_from} images to learn from and {held_out} to try it on, expected at least {FEWEST_IMAGES} "
            f"and some: about {FEWEST_IMAGES / (1 - HELD_OUT_PART):.0f} in all; give more images"
        )
    if not 0 < delta < 1 / learned_from:
        raise InvalidConfiguration(
            f"got delta {delta}, expected more than 0 and less than one in {learned_from} images: a guarantee that "
            "may fail for one of them is none"
        )
    noise = noise_multiplier(epsilon, delta, SAMPLE_RATE, steps)
    evaluations = EVALUATIONS + SPARE_EVALUATIONS
    return Plan(
        epsilon=epsilon,
        delta=delta,
        learned_from=learned_from,
        held_out=held_out,
        sample_rate=SAMPLE_RATE,
        steps=steps,
        noise_multiplier=noise,
        clip_norm=CLIP_NORM,
        # A step moves all weights by about as much as an image's cut gradient may be long, whatever the noise.
        learning_rate=min(LARGEST_LEARNING_RATE, SAMPLE_RATE * learned_from / (noise * sqrt(weights))),
        temperature=TEMPERATURE,
        evaluations=evaluations,
        evaluation_deviation=gaussian_deviation(epsilon, delta, sqrt(evaluations)),
    )


def noise_multiplier(epsilon: float, delta: float, sample_rate: float, steps: int) -> float:
    """The least noise with which ``steps`` keep to (epsilon, delta), from above; Opacus, PRV accountant."""
    from opacus.accountants.utils import get_noise_multiplier

    with _without_rough_bounds():
        return float(
            get_noise_multiplier(
                target_epsilon=epsilon,
                target_delta=delta,
                sample_rate=sample_rate,
                steps=steps,
                accountant="prv",
                epsilon_tolerance=epsilon / 200,
                eps_error=epsilon / 200,
            )
        )


def spent(plan: Plan, steps: int) -> float:
    """The epsilon of so many steps at the plan's delta; Opacus, PRV accountant. At most the plan's for its steps."""
    from opacus.accountants import PRVAccountant

    if not steps:
        return 0.0
    accountant = PRVAccountant()
    accountant.history = [(plan.noise_multiplier, plan.sample_rate, steps)]
    with _without_rough_bounds():
        return float(accountant.get_epsilon(plan.delta, eps_error=plan.epsilon / 200))


@contextmanager
def _without_rough_bounds() -> Iterator[None]:
    """Opacus sizes its grid by a rough bound first, and warns that it is rough: nothing else follows from it."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Optimal order is the", UserWarning)
        yield
