"""Encrypted search in one process under either protection, for ``bench.accuracy``: rows in, cosines out.

Everything between is what client and server do: quantise, encrypt, scan, decrypt.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from unseen.he import noise as sealed_noise
from unseen.he.mask import MaskSource
from unseen.he.owner import noise as owner_noise
from unseen.he.owner.message import choose_factor as choose_owner_factor
from unseen.he.owner.scan import OwnerScanIndex
from unseen.he.owner.secret import OwnerKey
from unseen.he.packing import Packing, choose_factor
from unseen.he.quantise import quantise_query, quantise_rows, to_cosines
from unseen.he.scan import ScanIndex
from unseen.he.secret import PreparedQuery
from unseen.params import OwnerParameterSet, ParameterSet

Float32Array = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Search:
    """An index that is filled, and what its scores are expected to be like."""

    packing: Packing
    scores: Callable[[Float32Array], Float32Array]
    """A query (d,) -> cosines (rows,), encrypted anew at every call."""
    noise_std: float
    error_std: float
    wrap_probability_log2: float


def search_of(parameters: ParameterSet | OwnerParameterSet, rows: Float32Array, factor: int | None = None) -> Search:
    """Fill an index with rows (n, d) under the set's protection; ``factor`` None takes the best for so many rows."""
    if isinstance(parameters, OwnerParameterSet):
        return _owner_search(parameters, rows, factor)
    return _sealed_search(parameters, rows, factor)


def _sealed_search(parameters: ParameterSet, rows: Float32Array, factor: int | None) -> Search:
    count, dimension = rows.shape
    chosen = factor or choose_factor(parameters, dimension, count)
    packing = Packing(parameters.ring_degree, dimension, chosen)
    index = ScanIndex(parameters, dimension, chosen, MaskSource(parameters))
    index.put(np.arange(count), quantise_rows(parameters, rows))

    def scores(query: Float32Array) -> Float32Array:
        message, key = PreparedQuery.prepare(parameters, packing).encrypt(quantise_query(parameters, query))
        reply = bytearray()
        index.answer(message, count, reply.extend)
        return to_cosines(parameters, key.decrypt(bytes(reply))[:count])

    return Search(
        packing,
        scores,
        sealed_noise.noise_std(parameters, packing),
        sealed_noise.score_error_std(parameters, packing),
        sealed_noise.wrap_probability_log2(parameters, packing),
    )


def _owner_search(parameters: OwnerParameterSet, rows: Float32Array, factor: int | None) -> Search:
    count, dimension = rows.shape
    chosen = factor or choose_owner_factor(parameters, dimension, count)
    packing = Packing(parameters.ring_degree, dimension, chosen)
    key = OwnerKey.generate(parameters)
    index = OwnerScanIndex(parameters, dimension, chosen)
    per_block = packing.rows_per_block
    for block in range(packing.blocks(count)):
        part = rows[block * per_block : (block + 1) * per_block]
        index.put_block(block, key.encrypt_rows(packing, quantise_rows(parameters, part))[0])

    def scores(query: Float32Array) -> Float32Array:
        reply = bytearray()
        index.answer(key.encrypt_query(packing, quantise_query(parameters, query)), count, reply.extend)
        return to_cosines(parameters, key.decrypt(packing, bytes(reply))[:count])

    return Search(
        packing,
        scores,
        owner_noise.noise_std(parameters, packing),
        owner_noise.score_error_std(parameters, packing),
        owner_noise.wrap_probability_log2(parameters, packing),
    )
