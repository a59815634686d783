"""DP-SGD on an adapter's weights: the one file that imports torch and Opacus. Runs on the device.

Holds the vectors of private pictures while a training runs. What leaves a step is the noised sum of cut gradients; the
weights follow from such sums alone.

Opacus gives the gradient of every single picture and counts the steps. Its own noise comes from torch's generator,
which is not made for secrets (its secure mode needs a package that no longer exists), and is added to a sum of floats.
Here both are replaced:

- Pictures are drawn by coins from AES-256 in counter mode under fresh keys of the operating system, the noise is drawn
  exactly from the same source (``unseen.dp.normal``).
- Each picture's gradient is cut and rounded to integers of which the exact length is at most 1; integers are summed,
  rounded exact normal deviates are added. So no picture can move the sum by more than is accounted for, whatever the
  order of additions (Casacuberta et al., 2022), and what comes out is the rounded output of the Gaussian mechanism.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from opacus import GradSampleModule
from opacus.accountants import PRVAccountant
from opacus.optimizers import DPOptimizer
from torch.nn.functional import cross_entropy, normalize

from unseen.dp.gaussian import DEVIATION_BITS, within_unit_ball
from unseen.dp.normal import rounded_normals, uniforms
from unseen_client.adapt.plan import Plan
from unseen_client.adapt.task import Task

Float32Matrix = npt.NDArray[np.float32]

GRADIENTS_AT_ONCE = 256
"""Pictures whose gradients are held side by side: 32 MiB at the largest rank."""
AVERAGING = 3.0
"""Weights are averaged over the steps, later ones counting more (Shamir and Zhang, 2013)."""


class Moved(torch.nn.Module):
    """The adapter as something that can be taught: semantic parts in, moved directions out."""

    def __init__(self, up: Float32Matrix, dimension: int) -> None:
        super().__init__()
        self.down = torch.nn.Linear(dimension, len(up), bias=False)
        torch.nn.init.zeros_(self.down.weight)
        self.register_buffer("up", torch.from_numpy(up))

    def forward(self, rows: torch.Tensor, semantic: torch.Tensor) -> torch.Tensor:
        return normalize(semantic + self.down(rows) @ self.up, dim=1)


class ExactOptimizer(DPOptimizer):
    """Opacus's optimizer with the sum of cut gradients and its noise in integers, from the operating system."""

    def __init__(self, optimizer: torch.optim.Optimizer, plan: Plan) -> None:
        super().__init__(
            optimizer,
            noise_multiplier=plan.noise_multiplier,
            max_grad_norm=plan.clip_norm,
            expected_batch_size=plan.expected_batch,
            loss_reduction="sum",
        )
        self._sum: npt.NDArray[np.int64] | int = 0

    def clip_and_accumulate(self) -> None:
        """Cut each picture's gradient to length 1, in units of the clip norm, and add it up in integers."""
        parts = [self._get_flat_grad_sample(one).flatten(start_dim=1) for one in self.params]
        gradients = torch.cat(parts, dim=1).detach().numpy().astype(np.float64) / self.max_grad_norm
        gradients[~np.isfinite(gradients).all(axis=1)] = 0
        gradients /= np.maximum(1, np.linalg.norm(gradients, axis=1, keepdims=True))
        self._sum = self._sum + within_unit_ball(gradients, self.noise_multiplier).sum(axis=0)

    def add_noise(self) -> None:
        """Turn the sum into what may be seen of it, over the expected number of pictures."""
        size = sum(one.numel() for one in self.params)
        step = self.noise_multiplier * self.max_grad_norm / 2**DEVIATION_BITS / self.expected_batch_size
        noised = (self._sum + rounded_normals((size,), DEVIATION_BITS)) * step
        self._sum = 0
        at = 0
        for one in self.params:
            one.grad = torch.from_numpy(noised[at : at + one.numel()].astype(np.float32)).view_as(one)
            at += one.numel()


class Training:
    """A training under way: weights, their average, and how many steps were taken here."""

    def __init__(self, task: Task, plan: Plan) -> None:
        self._plan = plan
        self._rows, self._semantic = torch.from_numpy(task.rows), torch.from_numpy(task.semantic)
        self._own, self._others = torch.from_numpy(task.own), torch.from_numpy(task.others)
        self._labels = None if task.labels is None else torch.from_numpy(task.labels)
        self._model = GradSampleModule(Moved(task.up, task.rows.shape[1]), loss_reduction="sum")
        inner = torch.optim.SGD(self._model.parameters(), lr=plan.learning_rate)
        self._optimizer = ExactOptimizer(inner, plan)
        self.accountant = PRVAccountant()
        self._optimizer.attach_step_hook(self.accountant.get_optimizer_hook_fn(plan.sample_rate))
        self.taken = 0
        self.average = np.zeros((len(task.up), task.rows.shape[1]), np.float32)

    @property
    def weights(self) -> Float32Matrix:
        """What the last step left: (r, 512)."""
        return np.array(self._parameter().detach().numpy(), np.float32)

    def restore(self, weights: Float32Matrix, average: Float32Matrix, taken: int) -> None:
        """Go on from what was saved."""
        with torch.no_grad():
            self._parameter().copy_(torch.from_numpy(weights))
        self.average, self.taken = average, taken

    def step(self) -> None:
        """Draw pictures, learn from them. The caller has counted this step before."""
        chosen = np.flatnonzero(uniforms(len(self._rows)) < self._plan.sample_rate)
        parts = [chosen[at : at + GRADIENTS_AT_ONCE] for at in range(0, max(1, len(chosen)), GRADIENTS_AT_ONCE)]
        for number, part in enumerate(parts, 1):
            self._optimizer.signal_skip_step(do_skip=number < len(parts))
            self._optimizer.zero_grad()
            self.losses(torch.from_numpy(part)).sum().backward()
            self._optimizer.step()
        self.taken += 1
        newest = (AVERAGING + 1) / (self.taken + AVERAGING)
        self.average = np.asarray((1 - newest) * self.average + newest * self.weights, np.float32)

    def losses(self, chosen: torch.Tensor) -> torch.Tensor:
        """The loss of each chosen picture; it depends on no other picture."""
        rows = self._rows[chosen].requires_grad_()  # else torch warns that Opacus's hooks have nothing to wait for
        moved = self._model(rows, self._semantic[chosen])
        others = self._plan.temperature * moved @ self._others.T
        if self._labels is not None:
            return cross_entropy(others, self._labels[chosen], reduction="none")
        own = self._plan.temperature * (moved * self._own[chosen]).sum(dim=1, keepdim=True)
        first = torch.zeros(len(chosen), dtype=torch.int64)
        return cross_entropy(torch.cat([own, others], dim=1), first, reduction="none")

    def _parameter(self) -> torch.Tensor:
        return next(iter(self._model.parameters()))
