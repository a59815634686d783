"""How close is the encrypted scan to plaintext search? One query against many rows, in one process, no network.

    python -m bench.scan --rows 100000 --dim 512 --threads 1 --json FILE
    python -m bench.scan --protection owner

The first is about the sealed index; the second sets the owner-encrypted one beside it (``bench.scan_owner``).

Subjects, in turn: the bare kernel; the whole scan with every mask made inside (all that the server does for a query);
the whole scan with masks made ahead; numpy float32 ``matrix @ vector``; faiss IndexFlatIP; the TenSEAL tutorial on a
few rows. With ``--threads 2`` each also runs on one thread, and the gains stand beside each other.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import faiss
import numpy as np
import numpy.typing as npt
import tenseal
from threadpoolctl import threadpool_limits

from bench import scan_owner
from bench.measure import interleave, medians, print_table, write_json
from bench.vectors import clustered_vectors
from unseen.he.kernel import POLYNOMIALS, QUAD, multiply_accumulate
from unseen.he.lanes import LANES
from unseen.he.mask import BATCH_BLOCKS, MaskBatch, MaskSource
from unseen.he.packing import Packing, choose_factor
from unseen.he.quantise import quantise_query, quantise_rows
from unseen.he.scan import ScanIndex
from unseen.he.scan_threads import ScanThreads
from unseen.he.secret import PreparedQuery
from unseen.params import DEFAULT

TUTORIAL_ROWS = 5
APART_S = 0.03
Float32Array = npt.NDArray[np.float32]


class MasksAhead(MaskSource):
    """Hands out masks that ``refill`` made outside the measured time, each once."""

    def __init__(self) -> None:
        super().__init__(DEFAULT)
        self.ahead: list[MaskBatch] = []

    def refill(self, packing: Packing, batches: int) -> None:
        self.ahead = [one for _ in range(0, batches, 2) for one in self.make(packing.rows_per_block)]

    def take(self, packing: Packing) -> MaskBatch:
        return self.ahead.pop()


def new_index(vectors: Float32Array, masks: MaskSource, threads: int) -> ScanIndex:
    count, dimension = vectors.shape
    index = ScanIndex(DEFAULT, dimension, choose_factor(DEFAULT, dimension, count), masks, ScanThreads(threads))
    for first in range(0, count, 8192):
        part = vectors[first : first + 8192]
        index.put(np.arange(first, first + len(part)), quantise_rows(DEFAULT, part))
    return index


def bare_kernel(index: ScanIndex, threads: int) -> Callable[[], object]:
    """The kernel alone over every segment, on a random transformed query."""
    tiles, chunks, half = DEFAULT.ring_degree // LANES, index.packing.chunks, DEFAULT.modulus // 2
    random = np.random.default_rng(1)
    query = random.integers(-half, half + 1, (tiles, chunks, POLYNOMIALS, LANES)).astype(np.int32)
    addresses = np.array([segment.address for segment in index.segments], np.uint64)

    def one(address: np.uint64) -> None:
        sums = np.empty((tiles, QUAD, POLYNOMIALS, LANES), np.uint32)
        multiply_accumulate(query, address, np.int64(DEFAULT.modulus), sums)

    def run() -> None:
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(one, addresses))

    return run


def tutorial(vectors: Float32Array) -> Callable[[], object]:
    """What the TenSEAL tutorials do: a CKKS vector, one encrypted dot product a row."""
    context = tenseal.context(tenseal.SCHEME_TYPE.CKKS, 8192, coeff_mod_bit_sizes=[60, 40, 40, 60])
    context.global_scale = 2**40
    context.generate_galois_keys()
    query = tenseal.ckks_vector(context, vectors[0].tolist())
    rows = [row.tolist() for row in vectors[:TUTORIAL_ROWS]]
    return lambda: [query.dot(row) for row in rows]


def subjects(vectors: Float32Array, index: ScanIndex, threads: int) -> dict[str, Callable[[], object]]:
    """Everything that runs on this many threads; the index is shared."""
    ahead = MasksAhead()
    inside = index.masks
    query, _ = PreparedQuery.prepare(DEFAULT, index.packing).encrypt(quantise_query(DEFAULT, vectors[0]))
    batches = -(-index.packing.blocks(len(vectors)) // BATCH_BLOCKS)
    flat = faiss.IndexFlatIP(vectors.shape[1])
    flat.add(vectors)
    scanners = ScanThreads(threads)

    def scan(masks: MaskSource) -> None:
        index.masks, index.threads = masks, scanners
        index.answer(query, len(vectors), lambda reply: None)

    def numpy_product() -> None:
        with threadpool_limits(threads):
            vectors @ vectors[0]

    def faiss_search() -> None:
        faiss.omp_set_num_threads(threads)
        flat.search(vectors[:1], 10)

    return {
        "kernel": bare_kernel(index, threads),
        "scan": lambda: scan(inside),
        "refill": lambda: ahead.refill(index.packing, batches),
        "scan_masks_ahead": lambda: scan(ahead),
        "numpy": numpy_product,
        "faiss": faiss_search,
    }


def figures(rows: int, dimension: int, threads: int, repeats: int) -> dict[str, object]:
    """Run everything in turn; nanoseconds per row, and the ratios."""
    vectors = clustered_vectors(rows, dimension, seed=1)
    index = new_index(vectors, MaskSource(DEFAULT), threads)
    counts = sorted({1, threads})
    together = {f"{name}@{n}": run for n in counts for name, run in subjects(vectors, index, n).items()}
    seconds = medians(interleave(together, repeats, APART_S))
    tutorial_seconds = medians(interleave({"tenseal": tutorial(vectors)}, 2))["tenseal"]
    per_row = {name: value * 1e9 / rows for name, value in seconds.items() if not name.startswith("refill")}
    at = {name.partition("@")[0]: value for name, value in per_row.items() if name.endswith(f"@{threads}")}
    gains = {
        f"{name}_gain_of_{threads}_threads": per_row[f"{name}@1"] / per_row[f"{name}@{threads}"]
        for name in ("kernel", "scan", "scan_masks_ahead", "numpy")
        if threads > 1
    }
    tenseal_ns = tutorial_seconds * 1e9 / TUTORIAL_ROWS
    return {
        "rows": rows,
        "dim": dimension,
        "threads": threads,
        "repeats": repeats,
        "packing_factor": index.packing.factor,
        **{f"{name}_ns_per_row": value for name, value in at.items()},
        "tenseal_ns_per_row": tenseal_ns,
        "kernel_ratio_to_numpy": at["kernel"] / at["numpy"],
        "ratio_to_numpy": at["scan"] / at["numpy"],
        "ratio_to_faiss": at["scan"] / at["faiss"],
        "masks_ahead_ratio_to_numpy": at["scan_masks_ahead"] / at["numpy"],
        "speedup_over_tenseal": tenseal_ns / at["scan"],
        "memory_bytes_per_row": index.memory_bytes / rows,
        **gains,
    }


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.scan", description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--dim", type=int, default=512)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--protection", choices=("sealed", "owner"), default="sealed")
    parser.add_argument("--json", type=Path)
    chosen = parser.parse_args()
    measure = scan_owner.figures if chosen.protection == "owner" else figures
    result = measure(chosen.rows, chosen.dim, chosen.threads, chosen.repeats)
    title = f"{chosen.rows} rows x {chosen.dim}, {chosen.threads} thread(s), medians of {chosen.repeats}"
    table = [
        (name, f"{value:,.2f}" if isinstance(value, float) else str(value))
        for name, value in result.items()
        if name not in {"rows", "dim", "threads", "repeats"}
    ]
    print_table(title, table, ("figure", "value"))
    write_json(chosen.json, result)


if __name__ == "__main__":
    main()
