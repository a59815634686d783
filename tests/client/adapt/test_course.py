"""A course never takes more steps than its plan has, whatever kills it; it ends early when nothing gets better."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.client.adapt.crashing_course import STEPS
from tests.client.real_server import ENVIRONMENT, ROOT
from unseen.errors import BudgetExceeded, StoreFailed
from unseen_client.adapt import course as course_module
from unseen_client.adapt.course import PATIENCE, STEPS_PER_CHECKPOINT, Course
from unseen_client.adapt.run_folder import EVALUATION, STEP, Limit, RunFolder

SCRIPT = Path(__file__).with_name("crashing_course.py")


def test_a_run_that_is_killed_again_and_again_never_spends_more_than_its_plan(tmp_path) -> None:
    environment = ENVIRONMENT | {"PYTHONPATH": f"{ENVIRONMENT['PYTHONPATH']}:{ROOT}"}
    kills = ["7:counted", "15:taken", "20:saved", "25:evaluation", "0:never"]
    command = [sys.executable, str(SCRIPT), str(tmp_path), *kills]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=True)
    told = done.stdout
    assert re.findall(r"ended (\S+)", told) == [str(-signal.SIGKILL)] * 4 + ["0"]
    taken, released = told.count("step\n"), told.count("evaluation\n")
    assert f"counted {STEPS}" in told
    assert taken == STEPS - 1  # one died between its count and its beginning
    assert RunFolder(tmp_path).count(STEP) == STEPS
    assert released <= RunFolder(tmp_path).count(EVALUATION) <= 12


def course(tmp_path, task, plan) -> Course:
    whole, first = task(400), np.arange(400) < 300
    return Course(RunFolder(tmp_path / "run"), plan(steps=40), whole.part(first), whole.part(~first), lambda step: None)


def test_a_course_learns_and_gives_the_weights_of_its_best_score(tmp_path, task, plan, monkeypatch) -> None:
    given = iter([0.2, 0.4, 0.9, 0.5, 0.6, 0.8])
    seen = []

    def released(task, down, plan):
        seen.append(down)
        return next(given)

    monkeypatch.setattr(course_module, "released_mean", released)
    outcome = course(tmp_path, task, plan).run()
    assert (outcome.before, outcome.after) == (0.2, 0.9)
    assert np.array_equal(outcome.down, seen[2])
    assert not np.array_equal(seen[2], seen[3])
    # Three scores in a row that are no better end it before its plan is spent.
    assert outcome.stopped_early
    assert len(seen) == 3 + PATIENCE
    assert outcome.steps_counted == 5 * (40 // 8)


def test_a_course_that_gets_better_takes_all_its_steps(tmp_path, task, plan, monkeypatch) -> None:
    scores = iter(np.linspace(0, 1, 40).tolist())
    monkeypatch.setattr(course_module, "released_mean", lambda *_: next(scores))
    outcome = course(tmp_path, task, plan).run()
    assert (outcome.steps_counted, outcome.stopped_early) == (40, False)
    assert RunFolder(tmp_path / "run").count(EVALUATION) == 9


def test_real_scores_rise_on_what_can_be_learned(tmp_path, task, plan) -> None:
    outcome = course(tmp_path, task, plan).run()
    assert outcome.before < 0.6
    assert outcome.after > 0.9


def test_a_resumed_course_goes_on_from_its_last_checkpoint(tmp_path, task, plan, monkeypatch) -> None:
    calls = []
    from unseen_client.adapt.torch_training import Training

    true_step = Training.step

    def step(self):
        calls.append(self.taken)
        if len(calls) == 15:
            raise KeyboardInterrupt
        true_step(self)

    monkeypatch.setattr(Training, "step", step)
    with pytest.raises(KeyboardInterrupt):
        course(tmp_path, task, plan).run()
    assert RunFolder(tmp_path / "run").count(STEP) == 15
    course(tmp_path, task, plan).run()
    assert calls[15] == 15 // STEPS_PER_CHECKPOINT * STEPS_PER_CHECKPOINT
    assert RunFolder(tmp_path / "run").count(STEP) <= 40


def test_a_course_whose_first_scores_were_all_lost_says_so(tmp_path, task, plan) -> None:
    folder = RunFolder(tmp_path / "run")
    for _ in range(12):
        folder.begin_one(Limit(EVALUATION, 12))
    with pytest.raises(BudgetExceeded, match="begin anew"):
        course(tmp_path, task, plan).run()
    assert folder.count(STEP) == 0


def test_releases_of_scores_end_with_their_budget(tmp_path, task, plan) -> None:
    folder = RunFolder(tmp_path / "run")
    for _ in range(11):
        folder.begin_one(Limit(EVALUATION, 12))
    outcome = course(tmp_path, task, plan).run()
    assert folder.count(EVALUATION) == 12
    assert outcome.before == outcome.after


def test_when_the_disk_refuses_to_count_no_step_is_taken(tmp_path, task, plan, monkeypatch) -> None:
    taken = []
    monkeypatch.setattr("unseen_client.adapt.torch_training.Training.step", lambda self: taken.append(1))

    def refuse(self, limit):
        if limit.what == STEP:
            raise StoreFailed("the disk is full")
        return 1

    monkeypatch.setattr(RunFolder, "begin_one", refuse)
    with pytest.raises(StoreFailed):
        course(tmp_path, task, plan).run()
    assert taken == []
