"""The owner-encrypted scan beside the sealed one, for ``python -m bench.scan --protection owner``.

Subjects, in turn, on the same vectors and threads: the whole owner-encrypted scan; the whole sealed scan with every
mask made inside; numpy float32 ``matrix @ vector``. Before them the device encrypts the rows, timed once on one core,
and decrypts one reply. Each index has the packing factor that is best for it.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits

from bench.measure import interleave, medians
from bench.vectors import clustered_vectors
from unseen.he.mask import MaskSource
from unseen.he.owner.message import choose_factor, ciphertexts_bytes, reply_block_bytes
from unseen.he.owner.scan import OwnerScanIndex
from unseen.he.owner.secret import OwnerKey
from unseen.he.packing import Packing
from unseen.he.packing import choose_factor as choose_sealed_factor
from unseen.he.quantise import quantise_query, quantise_rows
from unseen.he.scan import ScanIndex
from unseen.he.scan_threads import ScanThreads
from unseen.he.secret import PreparedQuery
from unseen.params import DEFAULT, OWNER_DEFAULT

APART_S = 0.03
Float32Array = npt.NDArray[np.float32]


def owner_index(key: OwnerKey, vectors: Float32Array, threads: ScanThreads) -> tuple[OwnerScanIndex, float, float]:
    """-> the filled index, and the seconds that the device took to encrypt and the server to take in."""
    count, dimension = vectors.shape
    index = OwnerScanIndex(OWNER_DEFAULT, dimension, choose_factor(OWNER_DEFAULT, dimension, count), threads)
    per_block = index.packing.rows_per_block
    encrypting = taking_in = 0.0
    for block, first in enumerate(range(0, count, per_block)):
        started = time.perf_counter()
        with threadpool_limits(1):
            (data,) = key.encrypt_rows(index.packing, quantise_rows(OWNER_DEFAULT, vectors[first : first + per_block]))
        encrypted = time.perf_counter()
        index.put_block(block, data)
        encrypting += encrypted - started
        taking_in += time.perf_counter() - encrypted
    return index, encrypting, taking_in


def sealed_index(vectors: Float32Array, threads: ScanThreads) -> ScanIndex:
    count, dimension = vectors.shape
    factor = choose_sealed_factor(DEFAULT, dimension, count)
    index = ScanIndex(DEFAULT, dimension, factor, MaskSource(DEFAULT), threads)
    for first in range(0, count, 8192):
        part = vectors[first : first + 8192]
        index.put(np.arange(first, first + len(part)), quantise_rows(DEFAULT, part))
    return index


def subjects(
    vectors: Float32Array, owner: OwnerScanIndex, owner_query: bytes, sealed: ScanIndex, threads: int
) -> dict[str, Callable[[], object]]:
    sealed_query, _ = PreparedQuery.prepare(DEFAULT, sealed.packing).encrypt(quantise_query(DEFAULT, vectors[0]))

    def numpy_product() -> None:
        with threadpool_limits(threads):
            vectors @ vectors[0]

    return {
        "owner": lambda: owner.answer(owner_query, len(vectors), lambda reply: None),
        "sealed": lambda: sealed.answer(sealed_query, len(vectors), lambda reply: None),
        "numpy": numpy_product,
    }


def figures(rows: int, dimension: int, threads: int, repeats: int) -> dict[str, float]:
    """Run everything in turn; nanoseconds per row, ratios, bytes."""
    vectors = clustered_vectors(rows, dimension, seed=1)
    scanners = ScanThreads(threads)
    sealed = sealed_index(vectors, scanners)
    with OwnerKey.generate(OWNER_DEFAULT) as key:
        owner, encrypting_s, taking_in_s = owner_index(key, vectors, scanners)
        query = key.encrypt_query(owner.packing, quantise_query(OWNER_DEFAULT, vectors[0]))
        reply = bytearray()
        owner.answer(query, rows, reply.extend)
        started = time.perf_counter()
        key.decrypt(owner.packing, bytes(reply))
        decrypting_s = time.perf_counter() - started
    seconds = medians(interleave(subjects(vectors, owner, query, sealed, threads), repeats, APART_S))
    ten_thousand = Packing(OWNER_DEFAULT.ring_degree, dimension, choose_factor(OWNER_DEFAULT, dimension, 10_000))
    block_bytes = ciphertexts_bytes(OWNER_DEFAULT, owner.packing)
    return {
        "rows": rows,
        "dim": dimension,
        "threads": threads,
        "repeats": repeats,
        "packing_factor": owner.packing.factor,
        "sealed_packing_factor": sealed.packing.factor,
        **{f"{name}_ns_per_row": value * 1e9 / rows for name, value in seconds.items()},
        "ratio_to_sealed": seconds["owner"] / seconds["sealed"],
        "ratio_to_numpy": seconds["owner"] / seconds["numpy"],
        "memory_bytes_per_row": owner.memory_bytes / rows,
        "at_rest_bytes_per_row": owner.packing.blocks(rows) * block_bytes / rows,
        "encrypt_10000_rows_s": encrypting_s * 10_000 / rows,
        "take_in_10000_rows_s": taking_in_s * 10_000 / rows,
        "decrypt_ms": decrypting_s * 1e3,
        "query_bytes": len(query),
        "reply_bytes": len(reply),
        "query_bytes_at_10000_rows": ciphertexts_bytes(OWNER_DEFAULT, ten_thousand),
        "reply_bytes_at_10000_rows": ten_thousand.blocks(10_000) * reply_block_bytes(OWNER_DEFAULT, ten_thousand),
    }
