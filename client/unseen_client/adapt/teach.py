"""Teach the bundled model on private images, and write the adapter with its card: `unseen adapt` as a function.

Runs where the images are. Until the adapter is written everything stays in the run's folder beside it, which is for the
owner alone; a run that was killed goes on from there when it is started again with the same arguments.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from unseen.embed.adapter import Adapter, adapter_entry, write_adapter
from unseen.embed.bundled import bundled_entry
from unseen.errors import InvalidConfiguration, InvalidInput, NothingGained
from unseen_client.adapt.card import card_fields, card_json, card_page
from unseen_client.adapt.course import Course, Outcome
from unseen_client.adapt.gather import Example, Material, gather
from unseen_client.adapt.looked_at import LookedAt
from unseen_client.adapt.plan import DEFAULT_DELTA, Plan, make_plan
from unseen_client.adapt.run_folder import RunFolder
from unseen_client.adapt.task import Lesson
from unseen_client.home import write_private
from unseen_client.prepare import Preparer
from unseen_client.progress import Watcher, watching
from unseen_client.report import Refusal

RUN_SUFFIX = ".run"
CARD_SUFFIX = ".md"
DEVIATIONS_OF_GAIN = 4.0
"""A score is better when it is by more than noise would make the best of several appear."""


@dataclass(frozen=True)
class Wish:
    """What somebody asks for."""

    about: str
    """Whose images and of what, in words: stands on the card."""
    epsilon: float
    delta: float = DEFAULT_DELTA
    lesson: Lesson = Lesson.LABELS


@dataclass(frozen=True)
class AdaptReport:
    """What became of a run."""

    path: Path
    model: str
    """The name by which collections ask for it."""
    plan: Plan
    outcome: Outcome
    refused: tuple[Refusal, ...]
    """Images that were not learned from; empty for a run that was taken up again."""


def teach(
    out: Path, examples: Sequence[Example], wish: Wish, *, preparer: Preparer, progress: bool | Watcher = False
) -> AdaptReport:
    """Teach on the images of ``examples`` and write ``out`` and its card, or take up a run that was cut short.

    Raises InvalidInput for too few images or when ``out`` exists, InvalidConfiguration for a budget that is none or
    without torch and Opacus, NothingGained when held-out images are found no better with the adapter than without.
    """
    require_trainable()
    if out.exists():
        raise InvalidInput(f"{out} exists; a second adapter from the same images adds to what the first one tells")
    if not wish.about.strip():
        raise InvalidInput("say in a few words what the images are: it stands on the adapter's card")
    folder = RunFolder(out.with_name(out.name + RUN_SUFFIX))
    with folder.alone(), watching(progress) as watcher:
        refused = () if folder.has_begun else _begin(folder, examples, wish, preparer, watcher)
        plan, material = _taken_up(folder, wish)
        task = material.task()
        held_out = task.part(material.held_out)
        outcome = Course(folder, plan, task.part(~material.held_out), held_out, watcher).run()
        _require_gain(outcome, plan, folder)
        card = card_json(card_fields(wish.lesson, wish.about, material.names, plan, outcome))
        model = _write(out, Adapter(bundled_entry().model_id, outcome.down, task.up, card))
        folder.remove()
    return AdaptReport(out, model, plan, outcome, refused)


def require_trainable() -> None:
    """Raise InvalidConfiguration where training is not installed, before any image is looked at."""
    for package in ("torch", "opacus", "numba"):
        if find_spec(package) is None:
            raise InvalidConfiguration(
                f'got no {package}, expected it for private training: install torch, then pip install "unseen[train]" '
                "(docs/dependencies.md says which torch)"
            )


def _begin(
    folder: RunFolder, examples: Sequence[Example], wish: Wish, preparer: Preparer, watcher: Watcher
) -> tuple[Refusal, ...]:
    """Prepare the images and make the plan; both are on disk when this returns. Gives the images that were refused."""
    looked_at = LookedAt(folder, _what_decides_a_vector(preparer))
    material, refused = gather(examples, wish.lesson, preparer, looked_at, watcher)
    held_out = int(material.held_out.sum())
    weights = len(material.task().up) * material.rows.shape[1]
    plan = make_plan(wish.epsilon, wish.delta, len(material.rows) - held_out, held_out, weights)
    fields = {
        "plan": plan.to_json(),
        "about": wish.about,
        "lesson": str(wish.lesson),
        "names": list(material.names),
        "model": bundled_entry().model_id,
    }
    folder.begin(fields, material.arrays())
    return refused


def _what_decides_a_vector(preparer: Preparer) -> str:
    """Beside the file: another release may find other faces under the same settings."""
    decisive = {"model": preparer.model_id, "release": version("unseen"), "settings": preparer.settings.as_dict()}
    return json.dumps(decisive, sort_keys=True)


def _taken_up(folder: RunFolder, wish: Wish) -> tuple[Plan, Material]:
    """What the run began with; refuses another wish."""
    fields = folder.plan()
    plan = Plan.from_json(str(fields["plan"]))
    began = (plan.epsilon, plan.delta, fields["about"], fields["lesson"], fields["model"])
    if began != (wish.epsilon, wish.delta, wish.about, str(wish.lesson), bundled_entry().model_id):
        raise InvalidInput(
            f"this run began with epsilon {plan.epsilon:g}, delta {plan.delta:g}, {fields['lesson']}, model "
            f"{fields['model']}, about {fields['about']!r}: go on with the same, or remove its folder and begin anew"
        )
    names = fields["names"] if isinstance(fields["names"], list) else []
    return plan, Material.from_arrays(wish.lesson, tuple(map(str, names)), folder.kept("material.npz") or {})


def _require_gain(outcome: Outcome, plan: Plan, folder: RunFolder) -> None:
    """Raise NothingGained, and remove what is left of the run, when the adapter would be no use."""
    if outcome.after - outcome.before < DEVIATIONS_OF_GAIN * plan.mean_deviation:
        folder.remove()
        raise NothingGained(
            f"held-out images score {outcome.after:.3f} with the adapter, {outcome.before:.3f} without; noise alone "
            f"moves either by {plan.mean_deviation:.3f}. Nothing was written: more images help most, then more epsilon"
        )


def _write(out: Path, adapter: Adapter) -> str:
    """The card's page first, so that an adapter is never without one; gives the model's name."""
    data = write_adapter(adapter)
    model = adapter_entry(data).name
    write_private(out.with_name(out.name + CARD_SUFFIX), card_page(model, adapter.card).encode())
    write_private(out, data)
    return model
