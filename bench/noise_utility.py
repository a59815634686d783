"""What is left of search when stored embeddings carry noise: recall@10 and near-duplicate hits against epsilon.

    python -m bench.noise_utility --rows 10000 --dim 512 --project 128 32 --json FILE
    python -m bench.noise_utility --pictures FOLDER --most 2000 --project 128 32 --json FILE
    python -m bench.noise_utility --vectors embeddings.npy --json FILE

Every row of an index is released once through a mechanism; queries are clean. recall@10 is the part of the ten nearest
rows, by the clean vectors, that stand among the ten nearest by the noised ones. The near-duplicate hit: how often the
row that a query nearly repeats (cosine 0.96) stands among the ten. With ``--noise queries`` it is the other way round.
``--project`` also turns vectors to fewer dimensions first, by a public random projection; truth stays the clean whole
vectors, so what the projection alone loses is in the figures, and in the row without noise.

Metric privacy stands at its worst-case epsilon, 2 kappa. ``--pictures`` embeds PNG and JPEG files under a folder with
the bundled model, faces not covered and without the protection of the decoder: use your own. Otherwise the vectors are
made up, in clusters.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from bench.measure import print_table, write_json
from bench.vectors import clustered_vectors
from unseen.dp.gaussian import Gaussian
from unseen.dp.mechanism import Mechanism
from unseen.dp.metric import MetricVonMisesFisher
from unseen.dp.privunit import PrivUnit
from unseen.embed.bundled import FOLDER, BundledEmbedder
from unseen.weights import read_manifest

Float32Array = npt.NDArray[np.float32]

EPSILONS = (1.0, 4.0, 8.0, 10.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0)
MECHANISMS: dict[str, Callable[[float], Mechanism]] = {
    "PrivUnit": PrivUnit,
    "Gaussian": Gaussian,
    "metric vMF": lambda epsilon: MetricVonMisesFisher(epsilon / 2),
}
NEAREST = 10
DUPLICATE_COSINE = 0.96
SEED = 20
LONGEST_SIDE_PX = 1280
MOST_PIXELS = 40_000_000
"""Larger pictures are left out: they take a minute each and are posters."""


def unit(vectors: npt.NDArray[np.floating]) -> Float32Array:
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def embeddings(folder: Path, most: int) -> Float32Array:
    """Unit vectors of pictures under a folder, transparent parts white; a fixed sample where there are more.

    Of pictures with equal vectors one stays: a hit on the other could not be told apart.
    """
    if not folder.is_dir():
        raise SystemExit(f"{folder} is not there; `make pictures` installs the pictures that the tables are made with")
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in {".png", ".jpg", ".jpeg"})
    sample = np.sort(np.random.default_rng(SEED).permutation(len(paths))[:most])
    warnings.simplefilter("ignore", Image.DecompressionBombWarning)
    embedder = BundledEmbedder(read_manifest(FOLDER))
    vectors = []
    for index in sample.tolist():
        try:
            opened = Image.open(paths[index])
        except Image.DecompressionBombError:
            continue
        if opened.width * opened.height > MOST_PIXELS:
            continue
        picture = opened.convert("RGBA")
        picture.thumbnail((LONGEST_SIDE_PX, LONGEST_SIDE_PX))
        white = Image.new("RGB", picture.size, "white")
        white.paste(picture, mask=picture.getchannel("A"))
        vectors.append(embedder.image(np.asarray(white)))
    return unit(np.unique(np.stack(vectors), axis=0))


def near_duplicates(rows: Float32Array, chosen: npt.NDArray[np.int64]) -> Float32Array:
    """A query beside each chosen row, at cosine 0.96 from it."""
    random = np.random.default_rng(SEED)
    across = random.standard_normal((len(chosen), rows.shape[1]))
    across -= np.sum(across * rows[chosen], axis=1, keepdims=True) * rows[chosen]
    return unit(DUPLICATE_COSINE * rows[chosen] + np.sqrt(1 - DUPLICATE_COSINE**2) * unit(across))


def projection(dimension: int, smaller: int) -> Float32Array:
    """A public random projection with orthonormal columns: (dimension, smaller). Nothing about it is secret."""
    random = np.random.default_rng(SEED)
    return np.linalg.qr(random.standard_normal((dimension, smaller)))[0].astype(np.float32)


def nearest(rows: Float32Array, queries: Float32Array) -> npt.NDArray[np.int64]:
    return np.argpartition(-(queries @ rows.T), NEAREST, axis=1)[:, :NEAREST]


def utility(
    rows: Float32Array, queries: Float32Array, truth: npt.NDArray[np.int64], chosen: npt.NDArray[np.int64]
) -> tuple[float, float]:
    """recall@10 and the near-duplicate hit of queries against rows, either of them noised."""
    found = nearest(unit(rows), unit(queries))
    recall = np.mean([len(set(a) & set(b)) / NEAREST for a, b in zip(found.tolist(), truth.tolist(), strict=True)])
    return float(recall), float(np.mean([row in ten for row, ten in zip(chosen.tolist(), found.tolist(), strict=True)]))


def figures(rows: Float32Array, queries_wanted: int, dimensions: list[int], noise: str) -> list[dict[str, object]]:
    """One entry for every dimension, mechanism and epsilon, and one without noise."""
    random = np.random.default_rng(SEED)
    chosen = random.choice(len(rows), min(queries_wanted, len(rows)), replace=False)
    queries = near_duplicates(rows, chosen)
    truth = nearest(rows, queries)
    entries: list[dict[str, object]] = []

    def note(dimension: int, name: str, epsilon: float | None, there: Float32Array, asked: Float32Array) -> None:
        recall, hit = utility(there, asked, truth, chosen)
        entries.append({"dim": dimension, "mechanism": name, "epsilon": epsilon, "recall_at_10": recall, "hit": hit})

    for dimension in dimensions:
        turn = projection(rows.shape[1], dimension) if dimension < rows.shape[1] else None
        there, asked = (rows, queries) if turn is None else (unit(rows @ turn), unit(queries @ turn))
        note(dimension, "none", None, there, asked)
        for name, mechanism in MECHANISMS.items():
            for epsilon in EPSILONS:
                noisy, _ = mechanism(epsilon).release_batch(there if noise == "rows" else asked)
                note(dimension, name, epsilon, *((noisy, asked) if noise == "rows" else (there, noisy)))
    return entries


def show(entries: list[dict[str, object]], title: str) -> None:
    """A table for every dimension: one line an epsilon, one column a mechanism, recall@10 / hit."""
    cells = {
        (entry["dim"], entry["mechanism"], entry["epsilon"]): f"{entry['recall_at_10']:.3f} / {entry['hit']:.2f}"
        for entry in entries
    }
    for dimension in dict.fromkeys(entry["dim"] for entry in entries):
        rows = [(f"{e:g}", *(cells[dimension, name, e] for name in MECHANISMS)) for e in EPSILONS]
        rows.append(("no noise", *(cells[dimension, "none", None] for _ in MECHANISMS)))
        print_table(f"{title}, {dimension} dimensions", rows, ("epsilon", *MECHANISMS))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.noise_utility", description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--dim", type=int, default=512)
    parser.add_argument("--vectors", type=Path, help="a .npy file of float32 (n, d) in place of made-up vectors")
    parser.add_argument("--pictures", type=Path, help="a folder of pictures to embed in place of made-up vectors")
    parser.add_argument("--most", type=int, default=2000, help="pictures at most")
    parser.add_argument("--queries", type=int, default=300)
    parser.add_argument("--project", type=int, nargs="*", default=[], help="also after projecting to these dimensions")
    parser.add_argument("--noise", choices=["rows", "queries"], default="rows")
    parser.add_argument("--json", type=Path)
    chosen = parser.parse_args()
    if chosen.pictures is not None:
        rows, what = embeddings(chosen.pictures, chosen.most), f"pictures of {chosen.pictures.name}"
    elif chosen.vectors is not None:
        rows, what = unit(np.load(chosen.vectors, allow_pickle=False)), chosen.vectors.name
    else:
        rows, what = clustered_vectors(chosen.rows, chosen.dim, seed=1), "made-up clusters"
    entries = figures(rows, chosen.queries, [rows.shape[1], *chosen.project], chosen.noise)
    show(entries, f"recall@10 / near-duplicate hit, {len(rows)} rows ({what}), noise on {chosen.noise}")
    write_json(chosen.json, {"rows": len(rows), "vectors": what, "noise": chosen.noise, "figures": entries})


if __name__ == "__main__":
    main()
