"""Run as a script in a process of its own: train in one child after the other, each killed at a chosen step.

    python crashing_course.py FOLDER KILL_AT:POINT...     POINT: counted, taken, saved, evaluation; or never

Prints a line for every step that was really taken, every score that was really released, and how each child ended.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import numpy as np

from tests.client.adapt.conftest import made_up_plan, made_up_task
from unseen_client.adapt import course as course_module
from unseen_client.adapt.course import Course
from unseen_client.adapt.held_out import released_mean
from unseen_client.adapt.run_folder import STEP, RunFolder

STEPS = 40


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def watch(folder: RunFolder, kill_at: int, point: str) -> None:
    """Tell of every step and release, and die where asked."""
    from unseen_client.adapt.torch_training import Training

    true_step, true_keep, true_mean = Training.step, RunFolder.keep, released_mean

    def here(now: str) -> bool:
        return point == now and folder.count(STEP) >= kill_at

    def step(self):
        if here("counted"):
            die()
        true_step(self)
        say("step")
        if here("taken"):
            die()

    def keep(self, name, arrays):
        true_keep(self, name, arrays)
        if name == "checkpoint.npz" and here("saved"):
            die()

    def released(*arguments):
        score = true_mean(*arguments)
        say("evaluation")
        if here("evaluation"):
            die()
        return score

    Training.step, RunFolder.keep = step, keep  # type: ignore[method-assign]
    course_module.PATIENCE = STEPS  # it is to take all its steps
    course_module.released_mean = released  # type: ignore[attr-defined]


def train(path: Path, kill_at: int, point: str) -> None:
    folder = RunFolder(path)
    watch(folder, kill_at, point)
    whole = made_up_task(400)
    first = np.arange(400) < 300
    course = Course(folder, made_up_plan(steps=STEPS), whole.part(first), whole.part(~first), lambda step: None)
    say(f"counted {course.run().steps_counted}")


def main() -> None:
    for asked in sys.argv[2:]:
        kill_at, _, point = asked.partition(":")
        if not (child := os.fork()):
            train(Path(sys.argv[1]), int(kill_at), point)
            os._exit(0)
        say(f"ended {os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])}")


if __name__ == "__main__":
    main()
