"""The course of a training: count, step, save, look how good it is, stop early; and go on after a crash.

Runs on the device. Every step and every release of a score is counted on disk before it is begun, so that whatever
happens no run ever takes more of them than its plan was accounted for.

Stopping early goes by the released scores of held-out images, which are paid for. The guarantee that is stated is that
of the whole plan, also when fewer steps were taken.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from unseen.errors import BudgetExceeded, IntegrityError
from unseen_client.adapt.held_out import released_mean
from unseen_client.adapt.plan import EVALUATIONS, Plan
from unseen_client.adapt.run_folder import EVALUATION, STEP, Limit, RunFolder
from unseen_client.adapt.task import Task
from unseen_client.progress import Watcher
from unseen_client.steps import Progress

if TYPE_CHECKING:
    from unseen_client.adapt.torch_training import Training

Float32Matrix = npt.NDArray[np.float32]

STEPS_PER_CHECKPOINT = 10
"""What a crash costs at most: steps that are paid and lost."""
PATIENCE = 3
"""Evaluations without a better score before a training ends."""


@dataclass(frozen=True, eq=False)
class Outcome:
    """Where a training ended."""

    down: Float32Matrix
    """(r, 512): the average weights with the best released score."""
    before: float
    """Released mean score of held-out images without the adapter."""
    after: float
    """The same with it."""
    steps_counted: int
    """Steps that were begun, those lost in crashes included."""
    stopped_early: bool


class Course:
    """One run over its folder, from wherever it stands."""

    def __init__(self, folder: RunFolder, plan: Plan, learned_from: Task, held_out: Task, watcher: Watcher) -> None:
        self._folder, self._plan, self._watcher = folder, plan, watcher
        self._learned_from, self._held_out = learned_from, held_out
        results = folder.results()
        self._released = [float(one) for one in _list(results.get("released"))]
        self._evaluated_at = [int(one) for one in _list(results.get("evaluated_at"))]

    def run(self) -> Outcome:
        """Train until the plan is spent or nothing gets better; raises StoreFailed when the disk refuses to count."""
        training = self._restored()
        if not self._released:
            self._evaluate(training)
        if not self._released:
            raise BudgetExceeded("every release of a score was begun and lost; remove the run's folder and begin anew")
        while self._folder.count(STEP) < self._plan.steps and not self._has_stalled:
            number = self._folder.begin_one(Limit(STEP, self._plan.steps))
            training.step()
            if number % STEPS_PER_CHECKPOINT == 0:
                self._save(training)
            if number % self._steps_per_evaluation == 0:
                self._evaluate(training)
            self._watcher(Progress(number, self._plan.steps, "steps"))
        if training.taken != self._evaluated_at[-1] and not self._has_stalled:
            self._evaluate(training)  # the last steps of a run that a crash cut short
        return self._outcome()

    @property
    def _steps_per_evaluation(self) -> int:
        return max(1, self._plan.steps // (EVALUATIONS - 1))

    @property
    def _has_stalled(self) -> bool:
        return len(self._released) - 1 - int(np.argmax(self._released)) >= PATIENCE

    def _restored(self) -> Training:
        from unseen_client.adapt.torch_training import Training

        training = Training(self._learned_from, self._plan)
        if (saved := self._folder.kept("checkpoint.npz")) is not None:
            weights, average = (np.asarray(saved[name], np.float32) for name in ("weights", "average"))
            training.restore(weights, average, int(saved["taken"]))
        return training

    def _save(self, training: Training) -> None:
        arrays = {"weights": training.weights, "average": training.average, "taken": np.array(training.taken)}
        self._folder.keep("checkpoint.npz", arrays)

    def _evaluate(self, training: Training) -> None:
        """Release one more score, with the weights it is of; nothing happens when all releases are spent."""
        try:
            self._folder.begin_one(Limit(EVALUATION, self._plan.evaluations))
        except BudgetExceeded:
            return
        score = released_mean(self._held_out, training.average, self._plan)
        self._folder.keep(f"evaluated-{len(self._released)}.npz", {"down": training.average})
        self._released.append(score)
        self._evaluated_at.append(training.taken)
        self._folder.keep_results({"released": self._released, "evaluated_at": self._evaluated_at})

    def _outcome(self) -> Outcome:
        best = self._folder.kept(f"evaluated-{int(np.argmax(self._released))}.npz")
        if best is None:
            raise IntegrityError("the best weights of this run are gone; remove its folder and begin anew")
        return Outcome(
            down=np.asarray(best["down"], np.float32),
            before=self._released[0],
            after=max(self._released),
            steps_counted=self._folder.count(STEP),
            stopped_early=self._folder.count(STEP) < self._plan.steps,
        )


def _list(value: object) -> list[float]:
    return value if isinstance(value, list) else []
