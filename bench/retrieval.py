"""Does encrypted search find what plaintext finds, for every metric and for fused queries, before and after re-ranking?

    python -m bench.retrieval [--pictures FOLDER] [--most 2000] [--repeats 3] [--json FILE]

A real client and a real server. Rows are parts of the demo's photographs, as ``bench.accuracy`` cuts them, queries the
whole photographs, the demo's query pictures and words; faces covered as the client covers them. With ``--pictures``
rows are the PNG and JPEG files under a folder (faces not covered: use your own), one of eight of them queries.

cosine compares the bundled model's rows, and rows of the shape that pulled models have, 384, 768 and 1024 numbers.
Their weights are not to be had here, so the classifier's features stand in: turned to so many numbers and moved into a
cone, as pictures of a CLIP lie, a mean cosine of 0.6 between two of them. dot, l2 and l1 compare the features at the
length that they have, turned to 128 numbers. A fused query is a picture, half of another one, and less of a third.
Recall@10 is the part of the ten best rows in float32 arithmetic that are among the ten best hits. Re-ranking scores 200
candidates again, l1 always.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.accuracy import DEMO, WORDS, parts
from bench.labelled_pictures import on_white
from bench.measure import print_table, write_json
from unseen.embed.bundled import FOLDER, BundledEmbedder
from unseen.embed.preprocess import network_input
from unseen.params import PUBLISHED
from unseen.pixels import Pixels
from unseen.types import CatalogueEntry
from unseen.weights import open_session, read_manifest
from unseen_client import Client, Query, Record
from unseen_client.demo.stage import LOOPBACK, Stage
from unseen_client.mirror import Mirror
from unseen_client.prepare import Preparer
from unseen_client.records import open_record, row_id, seal_record
from unseen_client.retrieval.choice import choice
from unseen_client.retrieval.rank import Ranking, hits

Float32Matrix = npt.NDArray[np.float32]
Figures = dict[str, dict[str, float]]

BEST = 10
SEED = 20
FUSED_WEIGHTS = (1.0, 0.5, -0.4)
ONE_QUERY_OF = 8
PULLED_DIMENSIONS = (384, 768, 1024)
"""MiniLM; SigLIP 2 B; the large CLIPs. 512, as CLIP B/32, MobileCLIP and Chinese-CLIP have, is the bundled model's."""
CONE_COSINE = 0.6
MIRRORED = 10_000
THUMBNAIL_BYTES = 3000
WISHES: dict[str, dict[str, Any]] = {
    "the ten best": {},
    "200 of them scored again": {"rerank": True},
    "a condition that every row fulfils": {"where": "nothing != here"},
    "a condition that no row fulfils": {"where": "nothing = here"},
}


@dataclass(frozen=True, eq=False)
class Vectors:
    """One kind of vectors: rows (n, d) and queries (m, d)."""

    name: str
    metrics: tuple[str, ...]
    rows: Float32Matrix
    queries: Float32Matrix


class Eye:
    """The bundled model's rows, and the features that they are made from."""

    def __init__(self) -> None:
        manifest = read_manifest(FOLDER)
        self._model = BundledEmbedder(manifest)
        self._classifier = open_session(manifest.read("efficientnet-lite0.onnx"), 1)
        self._side = int(manifest.recipe["input_side_px"])
        self._stretch = float(manifest.recipe["largest_stretch"])
        self._turn = np.load(BytesIO(manifest.read("visual_projection.npy")), allow_pickle=False).astype(np.float32)

    def row(self, pixels: Pixels) -> Float32Matrix:
        return self._model.image(pixels)

    def all_features(self, pixels: Pixels) -> Float32Matrix:
        """(1280,), of whatever length."""
        return self._outputs("features", pixels)

    def features(self, pixels: Pixels) -> Float32Matrix:
        """(128,), of whatever length."""
        return np.asarray(self._outputs("middle_features", pixels) @ self._turn[:-1] + self._turn[-1], np.float32)

    def _outputs(self, name: str, pixels: Pixels) -> Float32Matrix:
        given = network_input(pixels, self._side, self._stretch)
        return np.asarray(self._classifier.run([name], {"pixels": given})[0][0], np.float32)

    def words(self, texts: Sequence[str]) -> Float32Matrix:
        return np.stack([self._model.text(text) for text in texts])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=Path, metavar="FOLDER", help="instead of the demo's photographs")
    parser.add_argument("--most", type=int, default=2000, help="of these pictures")
    parser.add_argument("--repeats", type=int, default=3, help="encryptions of every query")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    kinds = list(from_folder(given.pictures, given.most) if given.pictures else from_demo())
    figures: Figures = {}
    with Stage() as stage:
        stage.start()
        with Client(f"{LOOPBACK}:{stage.port}", home=stage.home) as client:
            for kind in kinds:
                for metric in kind.metrics:
                    figures |= compare(client, kind, metric, given.repeats)
    figures["on the device, ms"] = device_ms()
    write_json(given.json, figures)
    show(figures)


def from_demo() -> Iterator[Vectors]:
    """Parts of the demo's photographs; whole ones, query pictures and words against them."""
    eye = Eye()
    asked = json.loads((DEMO / "queries.json").read_text())
    photos = sorted((DEMO / "photos").glob("*.jpg"))
    with Preparer() as preparer:
        stored = [preparer.image(part).covered for photo in photos for part in parts(photo)]
        whole = [
            preparer.image(one).covered for one in [*photos, *(DEMO / one["picture"] for one in asked["pictures"])]
        ]
    rows = np.stack([eye.row(one) for one in stored])
    yield Vectors("pictures", ("cosine",), rows, np.stack([eye.row(one) for one in whole]))
    yield Vectors("words", ("cosine",), rows, eye.words([*WORDS, *(one["text"] for one in asked["words"])]))
    yield from of_pulled_shapes(*(np.stack([eye.all_features(one) for one in some]) for some in (stored, whole)))
    features, wanted = (np.stack([eye.features(one) for one in some]) for some in (stored, whole))
    yield Vectors("features", ("dot", "l2", "l1"), features, wanted)


def of_pulled_shapes(rows: Float32Matrix, queries: Float32Matrix) -> Iterator[Vectors]:
    """Features (n, 1280) as vectors of the lengths that pulled models have, in a cone as theirs are."""
    centre = rows.mean(axis=0)
    for dimension in PULLED_DIMENSIONS:
        random = np.random.default_rng(SEED)
        turn = np.linalg.qr(random.standard_normal((rows.shape[1], dimension)))[0]
        axis = np.linalg.qr(random.standard_normal((dimension, 1)))[0][:, 0]
        apart = [unit((some - centre) @ turn) for some in (rows, queries)]
        moved = [unit(np.sqrt(1 - CONE_COSINE) * some + np.sqrt(CONE_COSINE) * axis) for some in apart]
        yield Vectors(f"pictures, {dimension} numbers in a cone", ("cosine",), moved[0], moved[1])


def unit(vectors: Float32Matrix) -> Float32Matrix:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)


def from_folder(folder: Path, most: int) -> Iterator[Vectors]:
    """Pictures under a folder, a fixed sample where there are more; those that are not apart stay once."""
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in {".png", ".jpg", ".jpeg"})
    chosen = np.sort(np.random.default_rng(SEED).permutation(len(paths))[:most])
    eye, seen = Eye(), dict[bytes, tuple[Float32Matrix, Float32Matrix]]()
    for picture in on_white(paths[at] for at in chosen.tolist()):
        row = eye.row(picture)
        seen.setdefault(row.round(4).tobytes(), (row, eye.features(picture)))
    rows, features = (np.stack(some) for some in zip(*seen.values(), strict=True))
    asked = np.arange(len(rows)) % ONE_QUERY_OF == 0
    yield Vectors("pictures", ("cosine",), rows[~asked], rows[asked])
    yield Vectors("features", ("dot", "l2", "l1"), features[~asked], features[asked])


EXACT: dict[str, Callable[[Float32Matrix, Float32Matrix], Float32Matrix]] = {
    "cosine": lambda rows, query: rows @ query / np.linalg.norm(rows, axis=1) / np.linalg.norm(query),
    "dot": lambda rows, query: rows @ query,
    "l2": lambda rows, query: -np.square(rows - query).sum(axis=1),
    "l1": lambda rows, query: -np.abs(rows - query).sum(axis=1),
}


def compare(client: Client, kind: Vectors, metric: str, repeats: int) -> Figures:
    """Recall of every query with both parameter sets, each encrypted ``repeats`` times, before and after re-ranking."""
    longest = float(np.linalg.norm(kind.rows, axis=1).max())
    title, count = f"{kind.name}, {metric}", len(kind.queries)
    alone = {title: [[(1.0, at)] for at in range(count)]}
    asked = alone | {f"{title}, fused": [weighed(at, count) for at in range(count)]}
    figures: Figures = {one: {"rows": len(kind.rows), "queries": count} for one in asked}
    for parameters in PUBLISHED:
        name = f"{kind.name}-{metric}-{parameters.name}".replace(", ", "-").replace(" ", "-")
        dimension = kind.rows.shape[1]
        client.create_collection(name, dimension=dimension, parameters=parameters, metric=metric, longest=longest)
        client.enrol_vectors(name, [str(at) for at in range(len(kind.rows))], kind.rows)
        for one, queries in asked.items():
            for rerank, column in ((False, parameters.name), (True, f"{parameters.name}, re-ranked")):
                found = [recall(client, name, kind, metric, query, rerank) for query in queries for _ in range(repeats)]
                figures[one][column] = float(np.mean(found))
        client.delete_collection(name)
    return figures


def weighed(at: int, count: int) -> list[tuple[float, int]]:
    """Which queries with which weights make the fused one."""
    return [(weight, (at + step) % count) for step, weight in enumerate(FUSED_WEIGHTS)]


def recall(
    client: Client, name: str, kind: Vectors, metric: str, asked: Sequence[tuple[float, int]], rerank: bool
) -> float:
    exact = sum((weight * EXACT[metric](kind.rows, kind.queries[at]) for weight, at in asked), np.float32(0))
    best = set(np.argsort(-np.asarray(exact), kind="stable")[:BEST].tolist())
    query = sum((weight * Query.vector(kind.queries[at]) for weight, at in asked), Query())
    found = client.search(name, query, top_k=BEST, rerank=rerank)
    return len(best & {int(hit.id) for hit in found}) / BEST


def device_ms() -> dict[str, float]:
    """Milliseconds of processor time for what a device does with the scores of 10,000 rows of 512."""
    random = np.random.default_rng(SEED)
    vectors, scores = random.standard_normal((MIRRORED, 512), np.float32), random.random(MIRRORED, np.float32)
    key, uid = bytes(32), bytes(16)
    with tempfile.TemporaryDirectory() as folder:
        mirror = Mirror(Path(folder) / "mirror" / "rows.sqlite")
        mirror.apply(0, 1, [], (_entry(key, uid, at, vector) for at, vector in enumerate(vectors)))
        found = {}
        for name, wishes in WISHES.items():
            ranking = Ranking(choice(BEST, **wishes), partial(open_record, key, uid), lambda rows: rows[:, 0], False)
            began = time.process_time()
            hits(mirror, scores, 1, ranking)
            found[name] = 1000 * (time.process_time() - began)
        mirror.close()
    return found


def _entry(key: bytes, uid: bytes, at: int, vector: Float32Matrix) -> CatalogueEntry:
    record = Record(id=str(at), vector=vector / np.linalg.norm(vector), thumbnail=bytes(THUMBNAIL_BYTES))
    return CatalogueEntry(row_id(key, record.id), at, 1, seal_record(key, uid, record))


def show(figures: Figures) -> None:
    on_device = figures.pop("on the device, ms")
    print_table(
        f"on the device, {MIRRORED:,} rows", [(name, f"{ms:.1f} ms") for name, ms in on_device.items()], ("", "")
    )
    sets = [parameters.name + again for parameters in PUBLISHED for again in ("", ", re-ranked")]
    lines = [
        (name, f"{found['queries']:.0f} / {found['rows']:.0f}", *(f"{found[one]:.4f}" for one in sets))
        for name, found in figures.items()
    ]
    header = ("", "queries / rows", "default", "re-ranked", "fine", "re-ranked")
    print_table("recall@10 of encrypted search against float32", lines, header)


if __name__ == "__main__":
    main()
