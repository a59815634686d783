"""What is said of how good an adapter is: the mean score of held-out images, with noise that was accounted for.

Runs on the device. The exact scores stay here; a released mean is the sum of scores in integers plus a rounded, exactly
normal deviate, over the (public) number of images. All releases of a plan together keep to its (epsilon, delta).
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from unseen.dp.gaussian import DEVIATION_BITS
from unseen.dp.normal import rounded_normals
from unseen_client.adapt.plan import Plan
from unseen_client.adapt.task import Float32Matrix, Task, scores


def released_mean(task: Task, down: Float32Matrix, plan: Plan) -> float:
    """The mean score of held-out pictures with noise; the caller has counted this release before.

    It may lie a little outside of [0, 1], and is cut to it.
    """
    steps_for_one = int(2**DEVIATION_BITS / Fraction(plan.evaluation_deviation))
    steps = int(np.floor(scores(task, down) * steps_for_one).sum())
    noised = (steps + int(rounded_normals((1,), DEVIATION_BITS)[0])) / steps_for_one
    return float(min(1.0, max(0.0, noised / plan.held_out)))
