"""What privacy costs on somebody's own pictures: the same questions, answered in ever more private ways. On the device.

    seen         float32, faces not covered: nothing leaves the device for this
    covered      float32, faces covered, as everything that is enrolled
    quantised    the same rows and queries in whole numbers, in the clear
    encrypted    a real server, which sees neither the questions nor the scores
    noise        float32, noise on the rows: nothing is released, so nothing is charged to the budget

The server gets the vectors of covered pictures, in a collection of its own that is deleted at the end.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from unseen.dp.mechanism import Mechanism
from unseen.entropy import random_uid
from unseen.errors import ImageRefused, InvalidInput
from unseen.he.quantise import quantise_query, quantise_rows, to_cosines
from unseen.params import ParameterSet
from unseen_client.evaluate.material import Item
from unseen_client.evaluate.measures import Measures, in_order, measured
from unseen_client.evaluate.questions import Embedded, Questions, questions_of
from unseen_client.evaluate.vectors import Maker
from unseen_client.progress import Watcher
from unseen_client.steps import Progress
from unseen_client.sync import Client

Float32Array = npt.NDArray[np.float32]
Answer = Callable[[Questions], Float32Array]
"""Questions -> scores (q, n)."""

LONGEST_CURVE = 50


@dataclass(frozen=True)
class Wanted:
    """What is measured."""

    parameters: ParameterSet
    ks: tuple[int, ...]
    noise: tuple[Mechanism, ...]
    most_questions: int


@dataclass(frozen=True)
class Line:
    """One way to answer one kind of question."""

    kind: str
    way: str
    questions: int
    measures: Measures


@dataclass(frozen=True)
class Evaluation:
    """Everything that was measured."""

    pictures: int
    refused: int
    with_faces: int
    """Pictures whose vector changed because something was covered in them."""
    lines: tuple[Line, ...]
    reasons: Mapping[str, int]
    """Why pictures were refused, and how many."""


def evaluate(items: Sequence[Item], maker: Maker, client: Client, wanted: Wanted, watch: Watcher) -> Evaluation:
    """Embed the pictures, ask every question in every way; raises InvalidInput when there is nothing to ask."""
    pictures, refused = embed(items, maker, watch)
    asked = questions_of(pictures, maker, wanted.most_questions)
    if not asked:
        raise InvalidInput("nothing can be asked of these pictures: no two have one label, and none has a caption")
    lines: list[Line] = []
    with closing(ways(pictures, client, wanted)) as every:
        for done, (way, answer) in enumerate(every, 1):
            lines += [_line(way, one, answer(one), wanted) for one in asked]
            watch(Progress(done, 4 + len(wanted.noise), "ways to answer"))
    changed = int((pictures.covered != pictures.seen).any(axis=1).sum())
    order = {one.kind: at for at, one in enumerate(asked)}
    in_kinds = sorted(lines, key=lambda line: order[line.kind])
    return Evaluation(len(pictures.items), refused.total(), changed, tuple(in_kinds), refused)


def embed(items: Sequence[Item], maker: Maker, watch: Watcher) -> tuple[Embedded, Counter[str]]:
    """Every picture that is not refused, twice, and why others are; InvalidInput when fewer than two are left."""
    kept, covered, seen = [], [], []
    refused: Counter[str] = Counter()
    outcomes = maker.both_ways(item.path for item in items)
    for done, (item, (_, made)) in enumerate(zip(items, outcomes, strict=True), 1):
        watch(Progress(done, len(items), "images"))
        if isinstance(made, ImageRefused):
            refused[str(made)] += 1
        else:
            kept.append(replace(item, study=made[2]) if len(made) > 2 else item)
            covered.append(made[0])
            seen.append(made[1])
    if len(kept) < 2:
        raise InvalidInput(f"{len(items) - len(kept)} of {len(items)} pictures were refused; `unseen deid` says why")
    return Embedded(kept, np.stack(covered), np.stack(seen)), refused


def ways(pictures: Embedded, client: Client, wanted: Wanted) -> Generator[tuple[str, Answer], None, None]:
    """Every way by its name; the encrypted one is open until the next is asked for."""
    yield "float32, faces seen", lambda asked: asked.seen @ pictures.seen.T
    yield "float32, faces covered", lambda asked: asked.covered @ pictures.covered.T
    yield "quantised", lambda asked: quantised(wanted.parameters, pictures.covered, asked.covered)
    name = f"unseen-eval-{random_uid().hex()}"
    client.create_collection(name, dimension=pictures.covered.shape[1], parameters=wanted.parameters)
    try:
        client.enrol_vectors(name, [str(at) for at in range(len(pictures.items))], pictures.covered)
        yield "encrypted", lambda asked: encrypted(client, name, asked.covered, len(pictures.items))
    finally:
        client.delete_collection(name)
    for mechanism in wanted.noise:
        noised, event = mechanism.release_batch(pictures.covered)
        yield (
            f"noise {event.mechanism}:{event.epsilon:g}",
            _answer(noised / np.linalg.norm(noised, axis=1, keepdims=True)),
        )


def _answer(rows: Float32Array) -> Answer:
    return lambda asked: asked.covered @ rows.T


def quantised(parameters: ParameterSet, rows: Float32Array, queries: Float32Array) -> Float32Array:
    """Rows (n, d), queries (q, d) -> scores (q, n) in the whole numbers that would be encrypted."""
    whole = quantise_rows(parameters, rows).astype(np.int64)
    return np.stack([to_cosines(parameters, whole @ quantise_query(parameters, query)) for query in queries])


def encrypted(client: Client, name: str, queries: Float32Array, rows: int) -> Float32Array:
    """Queries (q, d) -> scores (q, n) as this device decrypts them."""
    scores = np.full((len(queries), rows), np.nan, np.float32)
    for at, query in enumerate(queries):
        for hit in client.search_vector(name, query, top_k=rows):
            scores[at, int(hit.id)] = hit.score
    return scores


def _line(way: str, asked: Questions, scores: Float32Array, wanted: Wanted) -> Line:
    answers = np.where(asked.left_out, np.nan, scores)
    rankings = [in_order(one, right) for one, right in zip(answers, asked.right, strict=True)]
    curve = min(LONGEST_CURVE, scores.shape[1])
    return Line(asked.kind, way, len(rankings), measured(rankings, wanted.ks, curve))
