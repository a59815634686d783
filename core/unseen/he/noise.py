"""How far a decrypted score lies from the exact one, and how sure it is never to wrap around. Public arithmetic.

Both sides may read this; it decides nothing at run time. Tests hold it against what is measured, and
``docs/parameters.md`` quotes it. Every term below is in units of Z_q, for one score coefficient:

    query       sum_g e_g * p_g: a chunk's encryption noise and its dropped bits, times the rows of the block
    mask        e * u + e1 + e2 * s: what the fresh encryption of zero adds
    flood       F
    switch      what is rounded off c0 and, through s, off c1

s is ternary, so on average 2/3 of its coefficients are not zero; centred binomial noise with c coins each way has
variance c/2 and never exceeds c.
"""

from __future__ import annotations

from math import e, log, log2, sqrt

from unseen.he.packing import Packing
from unseen.params import ParameterSet

SECRET_DENSITY = 2 / 3

QUERY_NORM_SLACK = 1.01
"""A query's integer norm is at most this times B; rounding a unit vector adds at most half of sqrt(4096) = 32."""

KEY_NOISE_EXCESS = 0.5


def noise_std(parameters: ParameterSet, packing: Packing) -> float:
    """Expected standard deviation of a decrypted score in cosine, quantisation of the row left out, full block."""
    variance = (
        _query_variance(parameters) * packing.rows_per_block * parameters.row_scale**2
        + _mask_variance(parameters)
        + parameters.flood_std**2
        + _step(parameters, parameters.reply_c0_bits) ** 2 / 12
        + _step(parameters, parameters.reply_c1_bits) ** 2 / 12 * SECRET_DENSITY * parameters.ring_degree
    )
    return sqrt(variance) / _cosine_one(parameters)


def score_error_std(parameters: ParameterSet, packing: Packing) -> float:
    """Expected standard deviation of a decrypted score in cosine from the exact one, everything included."""
    return sqrt(noise_std(parameters, packing) ** 2 + (1 / parameters.row_scale) ** 2 / 12)


def wrap_probability_log2(parameters: ParameterSet, packing: Packing) -> float:
    """log2 of a bound on the probability that one score wraps around t, for any rows and query within their caps.

    Sub-Gaussian tail: 2 exp(-h^2 / 2v), where h is the head-room above the largest score less what can only be
    bounded, and v sums the squares of what is independent. The public key's noise e is one draw for a whole reply:
    its squared norm passes 1.5 times its mean with probability exp(-N/2 (0.5 - ln 1.5)) at most (Chernoff; centred
    binomials are strictly sub-Gaussian), which is added. The secret is taken as full, and rounding errors of
    pseudo-random residues as uniform.
    """
    degree, coins = parameters.ring_degree, parameters.error_coins
    largest = parameters.query_range * QUERY_NORM_SLACK * parameters.row_norm_slack * parameters.modulus / 2
    certain = (
        sqrt(packing.dimension) / 2 * parameters.row_norm_cap
        + _step(parameters, parameters.reply_c0_bits) / 2
        + degree * coins / 2
    )
    proxy = (
        _query_variance(parameters) * packing.rows_per_block * parameters.row_norm_cap**2
        + parameters.mask_bound**2 / 3 * (1 + KEY_NOISE_EXCESS) * degree * coins / 2
        + coins / 2 * (1 + degree)
        + parameters.flood_std**2
        + _step(parameters, parameters.reply_c1_bits) ** 2 / 12 * degree
    )
    head_room = max(0.0, parameters.modulus / 2 - largest - certain)
    tail = 1 - head_room**2 / (2 * proxy) * log2(e)
    noisy_key = -degree / 2 * (KEY_NOISE_EXCESS - log(1 + KEY_NOISE_EXCESS)) * log2(e)
    return min(0.0, max(tail, noisy_key) + 1)


def _query_variance(parameters: ParameterSet) -> float:
    """Per coefficient of a chunk: its noise and the bits it does not carry."""
    return parameters.error_coins / 2 + (1 << parameters.query_drop_bits) ** 2 / 12


def _mask_variance(parameters: ParameterSet) -> float:
    noise = parameters.error_coins / 2
    through_u = noise * parameters.ring_degree * parameters.mask_bound**2 / 3
    return through_u + noise + noise * SECRET_DENSITY * parameters.ring_degree


def _step(parameters: ParameterSet, bits: int) -> float:
    """What one unit of a value switched to this many bits is worth in Z_q."""
    return parameters.modulus / (1 << bits)


def _cosine_one(parameters: ParameterSet) -> float:
    """Where cosine 1 lands in Z_q."""
    return parameters.query_range * parameters.modulus / 2
