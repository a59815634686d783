"""Does a privately taught adapter find more, and does it keep its pictures to itself? On real pictures.

    python -m bench.adapt --json FILE
    python -m bench.adapt --sets --attacked fashion --photographs 1000 --shadows 8 --canaries 8 --json FILE

For every set of pictures and every epsilon: precision among the ten nearest for the label's words and for a picture,
before and after, on pictures that were not learned from; for captions how often the own picture is among the ten. Then
a membership attack (bench/membership.py) on the same adapter taught with and without privacy, on all pictures and, if
asked for, on canaries alone, beside the most that any attack may find, and the epsilon by two accountants. Fails when
an adapter at an epsilon of 8 finds no more than before, when an attack passes its bound, or when the attack is too weak
to say anything (area below 0.7 without privacy).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from bench import labelled_pictures
from bench.labelled_pictures import Pictures
from bench.measure import print_table, write_json
from bench.membership import Attack, Found, area_bound, attack, composed
from unseen.embed.adapter import Adapter, adapt_rows
from unseen.embed.bundled import VISUAL_DIMENSION, public_texts
from unseen_client.adapt.plan import STEPS, TEMPERATURE, Plan, make_plan, spent
from unseen_client.adapt.task import Float32Matrix, Task, captions_task, labels_task

EPSILONS = (8.0, 4.0, 2.0, 1.0)
DELTA = 1e-5
NEAREST = 10
TEST_PART = 1 / 3
STEPS_WITHOUT_PRIVACY = 600
WEIGHT = float(np.sqrt(0.5))
SEED = 20
PHOTOGRAPHS = 6000
FOUND = f"precision at {NEAREST} on pictures not learned from (captions: own picture among the ten)"
USED_KEYS = ("set", "images", "epsilon", "words", "pictures", "noise", "epsilon_prv", "epsilon_pld")
ATTACK_KEYS = ("set", "epsilon", "area_by_ratio", "area_of_canaries", "area_by_loss", "area_bound", "epsilon_proven")
SETS: dict[str, Callable[[], Pictures]] = {
    "fashion": lambda: labelled_pictures.fashion(PHOTOGRAPHS),
    "clipart": labelled_pictures.clip_art,
    "clipart-names": labelled_pictures.clip_art_names,
    "stamps": labelled_pictures.stamps,
}


def task_of(pictures: Pictures) -> Task:
    if pictures.labels is not None:
        return labels_task(pictures.rows, pictures.labels, pictures.texts)
    return captions_task(pictures.rows, pictures.texts, public_texts())


def plan_for(task: Task, epsilon: float, steps: int = STEPS) -> Plan:
    """A plan for all pictures of a task; what it would hold out of them is not used here."""
    return make_plan(epsilon, DELTA, len(task.rows), len(task.rows), task.up.shape[0] * task.rows.shape[1], steps)


def teach_privately(task: Task, plan: Plan) -> Float32Matrix:
    """All steps of the plan, as `unseen adapt` takes them."""
    from unseen_client.adapt.torch_training import Training

    training = Training(task, plan)
    for _ in range(plan.steps):
        training.step()
    return training.average


def teach_without_privacy(task: Task, steps: int = STEPS_WITHOUT_PRIVACY) -> Float32Matrix:
    """The same adapter, loss and pictures; no cutting, no noise, until it knows them by heart."""
    import torch

    from unseen_client.adapt.torch_training import Moved

    torch.manual_seed(SEED)
    model = Moved(task.up, task.rows.shape[1])
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
    rows, semantic = torch.from_numpy(task.rows), torch.from_numpy(task.semantic)
    own, others = torch.from_numpy(task.own), torch.from_numpy(task.others)
    right = torch.zeros(len(rows), dtype=torch.int64) if task.labels is None else torch.from_numpy(task.labels)
    for _ in range(steps):
        optimizer.zero_grad()
        moved = model(rows, semantic)
        scores = moved @ others.T
        if task.labels is None:
            scores = torch.cat([(moved * own).sum(dim=1, keepdim=True), scores], dim=1)
        torch.nn.functional.cross_entropy(TEMPERATURE * scores, right).backward()
        optimizer.step()
    return np.array(model.down.weight.detach().numpy(), np.float32)


def precision(task: Task, down: Float32Matrix) -> dict[str, float]:
    """What is found among the task's pictures with these weights: for words, and for one of the pictures."""
    rows = adapt_rows(Adapter("", down, task.up, ""), task.rows, WEIGHT)
    if task.labels is None:
        ranks = (task.own @ rows[:, VISUAL_DIMENSION:].T).argsort(axis=1)[:, ::-1][:, :NEAREST]
        return {"words": float(np.mean([at in ten for at, ten in enumerate(ranks.tolist())]))}
    by_words = nearest(task.others @ rows[:, VISUAL_DIMENSION:].T)
    likeness = rows @ rows.T
    np.fill_diagonal(likeness, -np.inf)
    return {
        "words": float(np.mean(task.labels[by_words] == np.arange(len(task.others))[:, None])),
        "pictures": float(np.mean(task.labels[nearest(likeness)] == task.labels[:, None])),
    }


def nearest(scores: npt.NDArray[np.floating]) -> npt.NDArray[np.int64]:
    return np.argpartition(-scores, NEAREST, axis=1)[:, :NEAREST].astype(np.int64)


def split(task: Task) -> tuple[Task, Task]:
    """Pictures to learn from, and pictures to measure with."""
    measured = np.random.default_rng(SEED).random(len(task.rows)) < TEST_PART
    return task.part(~measured), task.part(measured)


def utility(name: str, task: Task, epsilons: tuple[float, ...]) -> list[dict[str, object]]:
    """Before, after without privacy, and after with each epsilon."""
    learned, measured = split(task)
    before = precision(measured, np.zeros((len(task.up), task.rows.shape[1]), np.float32))
    entries: list[dict[str, object]] = [{"set": name, "images": len(learned.rows), "epsilon": "before", **before}]
    for epsilon in epsilons:
        plan = plan_for(learned, epsilon)
        found = precision(measured, teach_privately(learned, plan))
        accounted = composed(plan).get_epsilon(DELTA)
        told = {"noise": plan.noise_multiplier, "epsilon_prv": spent(plan, plan.steps), "epsilon_pld": accounted}
        entries.append({"set": name, "images": len(learned.rows), "epsilon": epsilon, **found, **told})
    plain = precision(measured, teach_without_privacy(learned, STEPS))
    return [*entries, {"set": name, "images": len(learned.rows), "epsilon": "no privacy", **plain}]


def membership(name: str, task: Task, epsilons: tuple[float, ...], how: Attack) -> list[dict[str, object]]:
    """The attack on the adapter without privacy, then with each epsilon, beside its bound."""
    entries = [attacked(name, "no privacy", attack(task, teach_without_privacy, how, 0.0), 1.0)]
    for epsilon in epsilons:
        plan = plan_for(task.part(np.arange(len(task.rows)) % 2 == 0), epsilon)
        found = attack(task, partial(teach_privately, plan=plan), how, DELTA)
        entries.append(attacked(name, epsilon, found, area_bound(plan)))
    return entries


def attacked(name: str, epsilon: float | str, found: Found, bound: float) -> dict[str, object]:
    return {
        "set": name,
        "epsilon": epsilon,
        "area_by_ratio": found.by_ratio,
        "area_by_loss": found.by_loss,
        "area_of_canaries": found.of_canaries,
        "area_bound": bound,
        "epsilon_proven": found.epsilon_lower,
    }


def complaints(used: list[dict[str, object]], attacks: list[dict[str, object]]) -> list[str]:
    """What a run must not show."""
    before = {entry["set"]: float(str(entry["words"])) for entry in used if entry["epsilon"] == "before"}
    told = [
        f"{entry['set']}: no more is found at epsilon 8"
        for entry in used
        if entry["epsilon"] == 8.0 and entry["set"] in LARGE and float(str(entry["words"])) <= before[entry["set"]]
    ]
    for entry in attacks:
        area, bound = float(str(entry["area_by_ratio"])), float(str(entry["area_bound"]))
        canaries = float(str(entry["area_of_canaries"] or 0.0))
        if entry["epsilon"] == "no privacy":
            told += [f"{entry['set']}: the attack is too weak"] if area < 0.7 else []
        elif max(area, canaries) > bound or float(str(entry["epsilon_proven"])) > float(str(entry["epsilon"])):
            told.append(f"{entry['set']}: the attack passes its bound at epsilon {entry['epsilon']}")
    return told


LARGE = {"Fashion-MNIST", "Open Clip Art", "Open Clip Art, file names"}
"""Sets that are large enough to be learned from privately; the stamps are there to show one that is not."""


def cell(value: object) -> str:
    return f"{value:.3f}" if isinstance(value, float) else "–" if value is None else str(value)


def show(title: str, entries: list[dict[str, object]], keys: tuple[str, ...]) -> None:
    print_table(title, [tuple(cell(entry.get(key)) for key in keys) for entry in entries], keys)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.adapt", description=__doc__.splitlines()[0])
    parser.add_argument("--sets", nargs="*", choices=SETS, default=list(SETS))
    parser.add_argument("--attacked", nargs="*", choices=SETS, default=["clipart"])
    parser.add_argument("--photographs", type=int, default=PHOTOGRAPHS, help="of clothes, at most")
    parser.add_argument("--shadows", type=int, default=16)
    parser.add_argument("--canaries", type=int, default=0, metavar="N", help="one picture in N has a wrong label")
    parser.add_argument("--targets", type=int, default=4)
    parser.add_argument("--json", type=Path)
    chosen = parser.parse_args()
    how = Attack(chosen.shadows, chosen.targets, TEMPERATURE, SEED, chosen.canaries)
    used: list[dict[str, object]] = []
    attacks: list[dict[str, object]] = []
    for name in dict.fromkeys([*chosen.sets, *chosen.attacked]):
        pictures = labelled_pictures.fashion(chosen.photographs) if name == "fashion" else SETS[name]()
        task = task_of(pictures)
        if name in chosen.sets:
            used += utility(pictures.name, task, EPSILONS)
            show(FOUND, [entry for entry in used if entry["set"] == pictures.name], USED_KEYS)
        if name in chosen.attacked:
            attacks += membership(pictures.name, task, (8.0, 1.0), how)
            show("membership attack", [entry for entry in attacks if entry["set"] == pictures.name], ATTACK_KEYS)
        write_json(chosen.json, {"utility": used, "membership": attacks})
    if told := complaints(used, attacks):
        sys.exit("; ".join(told))


if __name__ == "__main__":
    main()
