"""How far a decrypted score of the owner-encrypted scan lies from the exact one, and how sure it never wraps around.

Public arithmetic: it decides nothing at run time but how long a secret's square may be. Tests hold it against what is
measured, and ``docs/parameters.md`` quotes it. Every term is in units of Z_q, for a score coefficient of a full block:

    rows        sum_g  m_q e_r      the rows' errors times the query, whose integer norm is B
    query       sum_g  e_q m_r      the query's errors times the N/k rows of a block, each of integer norm A
    both        sum_g  e_q e_r      errors times errors
    switch      what is rounded off c0 and, through s and s^2, off c1 and c2

Errors have variance coins/2. s is uniform ternary: 2/3 of it is not zero. A coefficient of s^2 is a sum of N/2 pairs
that each count twice, so the squared length of s^2 is about 2 (2N/3)^2.
"""

from __future__ import annotations

from math import e, log2, sqrt

from unseen.he.packing import Packing
from unseen.params import OwnerParameterSet

SECRET_DENSITY = 2 / 3

QUERY_NORM_SLACK = 1.001
"""A query's integer norm is at most this times B: rounding adds at most sqrt(4096)/2 = 32 to some 200,000."""

MOST_SQUARE_NORM_EXCESS = 2
"""A key is drawn again when the squared length of s^2 passes this times what is expected."""


def expected_square_norm(parameters: OwnerParameterSet) -> float:
    """The expected squared length of s^2, leading term."""
    return 2 * (SECRET_DENSITY * parameters.ring_degree) ** 2


def noise_std(parameters: OwnerParameterSet, packing: Packing, additions: int = 1, query_chunks: int = 1) -> float:
    """Expected standard deviation of a decrypted score in cosine, quantisation left out, full block.

    ``additions``: how many encryptions were added up to make the block; 1 for one that was never added to.
    ``query_chunks``: how many chunks of a packed query were added up to make this one's (side blocks); else 1.
    """
    error = parameters.error_coins / 2
    variance = (
        additions * error * parameters.query_scale**2
        + query_chunks * error * packing.rows_per_block * parameters.row_scale**2
        + query_chunks * additions * error**2 * parameters.ring_degree * packing.chunks
        + _step(parameters, parameters.reply_c0_bits) ** 2 / 12
        + _step(parameters, parameters.reply_c1_bits) ** 2 / 12 * SECRET_DENSITY * parameters.ring_degree
        + _step(parameters, parameters.reply_c2_bits) ** 2 / 12 * expected_square_norm(parameters)
    )
    return sqrt(variance) / _cosine_one(parameters)


def score_error_std(
    parameters: OwnerParameterSet, packing: Packing, additions: int = 1, query_chunks: int = 1
) -> float:
    """Expected standard deviation of a decrypted score in cosine from the exact one, everything included."""
    rounding = 1 / parameters.row_scale**2 / 12 + 1 / parameters.query_scale**2 / 12
    return sqrt(noise_std(parameters, packing, additions, query_chunks) ** 2 + rounding)


def wrap_probability_log2(
    parameters: OwnerParameterSet, packing: Packing, additions: int = 1, query_chunks: int = 1
) -> float:
    """log2 of a bound on the probability that one score wraps around q, for any rows and query within their caps.

    Sub-Gaussian tail 2 exp(-h^2 / 2v): h is the head-room above the largest score less what can only be bounded, v sums
    the squares of what is independent. A centred binomial is sub-Gaussian with its own variance. The rows' errors are
    taken at their largest beside the query's, s as full, s^2 as long as a key's may be, and the rounding errors of
    pseudo-random residues as uniform.
    """
    degree, coins = parameters.ring_degree, parameters.error_coins
    error, largest_error = coins / 2, additions * coins
    largest = parameters.query_range * QUERY_NORM_SLACK * parameters.row_norm_slack * parameters.modulus / 2
    proxy = (
        additions * error * (QUERY_NORM_SLACK * parameters.query_scale) ** 2
        + query_chunks * error * packing.rows_per_block * parameters.row_norm_cap**2
        + query_chunks * error * largest_error**2 * degree * packing.chunks
        + _step(parameters, parameters.reply_c1_bits) ** 2 / 12 * degree
        + _step(parameters, parameters.reply_c2_bits) ** 2
        / 12
        * MOST_SQUARE_NORM_EXCESS
        * expected_square_norm(parameters)
    )
    certain = _step(parameters, parameters.reply_c0_bits) / 2
    head_room = max(0.0, parameters.modulus / 2 - largest - certain)
    return min(0.0, 1 - head_room**2 / (2 * proxy) * log2(e))


def _step(parameters: OwnerParameterSet, bits: int) -> float:
    """What one unit of a value switched to this many bits is worth in Z_q."""
    return parameters.modulus / (1 << bits)


def _cosine_one(parameters: OwnerParameterSet) -> float:
    """Where cosine 1 lands in Z_q."""
    return parameters.query_range * parameters.modulus / 2
