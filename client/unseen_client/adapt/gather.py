"""From labelled or captioned image files to what an adapter is taught with. Runs where the images are.

Every picture goes the way of an enrolment: decoded in a child, de-identified, embedded. A refused one is reported and
not learned from. The same file twice counts once: the unit of privacy is one image.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from unseen.dp.normal import uniforms
from unseen.embed.bundled import VISUAL_DIMENSION, public_texts
from unseen.errors import ImageRefused, IntegrityError, InvalidInput
from unseen_client.adapt.looked_at import LookedAt, Seen
from unseen_client.adapt.plan import HELD_OUT_PART
from unseen_client.adapt.run_folder import Arrays
from unseen_client.adapt.task import Float32Matrix, Lesson, Task, captions_task, labels_task
from unseen_client.prepare import Preparer
from unseen_client.progress import Watcher
from unseen_client.report import Refusal
from unseen_client.steps import Progress


@dataclass(frozen=True)
class Example:
    """One image and its label or caption."""

    path: Path
    text: str


@dataclass(frozen=True, eq=False)
class Material:
    """Everything a run needs of the images."""

    lesson: Lesson
    rows: Float32Matrix
    texts: Float32Matrix
    """(n, 384): each image's own text; for labels (k, 384): each label's."""
    labels: npt.NDArray[np.int64]
    """(n,): the place of each image's label; empty for captions."""
    names: tuple[str, ...]
    """The labels, in order; they stand on the card."""
    held_out: npt.NDArray[np.bool_]

    def task(self) -> Task:
        """All images as a task."""
        if self.lesson is Lesson.LABELS:
            return labels_task(self.rows, self.labels, self.texts)
        return captions_task(self.rows, self.texts, public_texts())

    @staticmethod
    def from_arrays(lesson: Lesson, names: tuple[str, ...], arrays: Arrays) -> Material:
        """The inverse of ``arrays``; raises IntegrityError when one is missing."""
        try:
            return Material(
                lesson,
                np.asarray(arrays["rows"], np.float32),
                np.asarray(arrays["texts"], np.float32),
                np.asarray(arrays["labels"], np.int64),
                names,
                np.asarray(arrays["held_out"], np.bool_),
            )
        except KeyError:
            raise IntegrityError("the images of this run are gone: remove its folder and begin anew") from None

    def arrays(self) -> dict[str, npt.NDArray[np.generic]]:
        """The parts that are arrays, for the run's folder."""
        return {"rows": self.rows, "texts": self.texts, "labels": self.labels, "held_out": self.held_out}


def gather(
    examples: Sequence[Example], lesson: Lesson, preparer: Preparer, looked_at: LookedAt, watcher: Watcher
) -> tuple[Material, tuple[Refusal, ...]]:
    """Prepare every image that was not looked at yet, and say which were refused.

    Raises InvalidInput for a text that says nothing.
    """
    texts = {example.text: _text_vector(preparer, example) for example in examples}
    by_path = {example.path: example.text for example in examples}
    refused = _look(list(by_path), preparer, looked_at, watcher)
    rows: list[npt.NDArray[np.float32]] = []
    learned: list[str] = []
    known: set[str] = set()
    for path, text in by_path.items():
        seen = looked_at.find(path)
        if seen is not None and seen.content_id not in known:
            known.add(seen.content_id)
            rows.append(seen.vector)
            learned.append(text)
    if not rows:
        raise InvalidInput(f"none of {len(by_path)} images can be learned from; the first: {refused[0].reason}")
    return _material(lesson, np.stack(rows), learned, texts), tuple(refused)


def _look(paths: Sequence[Path], preparer: Preparer, looked_at: LookedAt, watcher: Watcher) -> list[Refusal]:
    """Look at the images that are left; what was seen is kept also when this is interrupted."""
    refused = []
    left = [path for path in paths if looked_at.find(path) is None]
    try:
        for done, (path, image) in enumerate(preparer.images(left), len(paths) - len(left) + 1):
            if isinstance(image, ImageRefused):
                refused.append(Refusal(str(path), image.code, str(image)))
            else:
                looked_at.add(path, Seen(image.content_id, image.vector))
            watcher(Progress(done, len(paths), "images"))
    finally:
        looked_at.keep()
    return refused


def _text_vector(preparer: Preparer, example: Example) -> npt.NDArray[np.float32]:
    if not example.text.strip():
        raise InvalidInput(f"{example.path} has no label or caption; name one for every image, or leave it out")
    return preparer.text(example.text)[VISUAL_DIMENSION:]


def _material(
    lesson: Lesson, rows: Float32Matrix, texts: Sequence[str], vectors: dict[str, npt.NDArray[np.float32]]
) -> Material:
    # Each image by a coin of its own: whether another one is held out says nothing about this one.
    held_out = uniforms(len(rows)) < HELD_OUT_PART
    if lesson is Lesson.CAPTIONS:
        own = np.stack([vectors[text] for text in texts])
        return Material(lesson, rows, own, np.zeros(0, np.int64), (), held_out)
    names = tuple(sorted(set(vectors)))
    places = {name: at for at, name in enumerate(names)}
    labels = np.array([places[text] for text in texts], np.int64)
    return Material(lesson, rows, np.stack([vectors[name] for name in names]), labels, names, held_out)


def labelled_by_folder(paths: Iterable[Path]) -> list[Example]:
    """Images whose label is the name of the folder that they lie in: "garden_birds" is "garden birds"."""
    return [Example(path, path.resolve().parent.name.replace("_", " ").replace("-", " ")) for path in paths]
