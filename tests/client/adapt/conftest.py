"""Made-up tasks: pictures of a few kinds, as vectors; and plans that need no accountant."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

import numpy as np
import pytest

from unseen_client.adapt.plan import Plan
from unseen_client.adapt.task import Task, captions_task, labels_task


def unit(vectors: np.ndarray) -> np.ndarray:
    return (vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)).astype(np.float32)


def made_up_task(count: int = 300, kinds: int = 3, seed: int = 0, captions: bool = False) -> Task:
    """Pictures of ``kinds`` clusters, each with its label's text or a caption close to it."""
    random = np.random.default_rng(seed)
    texts = unit(random.standard_normal((kinds, 384)))
    labels = random.integers(0, kinds, count)
    centres = random.standard_normal((kinds, 512))
    rows = centres[labels] + random.standard_normal((count, 512))
    for part in (slice(0, 128), slice(128, 512)):
        rows[:, part] *= np.sqrt(0.5) / np.linalg.norm(rows[:, part], axis=1, keepdims=True)
    if captions:
        own = unit(texts[labels] + 0.3 * unit(random.standard_normal((count, 384))))
        return captions_task(rows.astype(np.float32), own, random.standard_normal((40, 384)).astype(np.float32))
    return labels_task(rows.astype(np.float32), labels.astype(np.int64), texts)


def made_up_plan(learned_from: int = 300, steps: int = 16, noise: float = 1.5) -> Plan:
    """Numbers as a plan has them; what they guarantee is of no interest here."""
    return Plan(
        epsilon=8.0,
        delta=1e-5,
        learned_from=learned_from,
        held_out=100,
        sample_rate=0.25,
        steps=steps,
        noise_multiplier=noise,
        clip_norm=1.0,
        learning_rate=2.0,
        temperature=20.0,
        evaluations=12,
        evaluation_deviation=2.0,
    )


@pytest.fixture
def task() -> Callable[..., Task]:
    return made_up_task


@pytest.fixture
def plan() -> Callable[..., Plan]:
    return made_up_plan


@pytest.fixture
def torch_training() -> ModuleType:
    """The one file that trains; loaded here, for with it comes torch, which a list of the tests does not need."""
    from unseen_client.adapt import torch_training as loaded

    return loaded
