"""Parameter sets as named data. A set's id is the hash of its numbers: a message carries it, both sides compare it.

Anyone may hold this: it is public. See ``docs/parameters.md`` for the argument behind each number.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from dataclasses import asdict, dataclass

from unseen.errors import ParameterMismatch, UnsafeParameters

SEED_BYTES = 64
"""SEAL's generator seed: prng_seed_uint64_count = 8 words."""


@dataclass(frozen=True)
class ParameterSet:
    """The numbers of one encrypted scan. R_q = Z_q[X]/(X^N + 1), BFV with plaintext modulus t."""

    name: str
    ring_degree: int
    """N."""
    modulus: int
    """q: a prime, q = 1 mod 2N."""
    plain_modulus: int
    """t."""
    row_scale: int
    """S: a stored row is round(S * x) for a unit vector x."""
    query_range: float
    """Where cosine 1 lands, as a part of t/2; the rest is head-room for noise."""
    row_norm_slack: float
    """A stored row's integer norm is at most row_norm_slack * S, so that no row can wrap a score."""
    query_drop_bits: int
    """Low bits of c0 that a query does not carry."""
    reply_c0_bits: int
    reply_c1_bits: int
    mask_bound: int
    """The mask's u is uniform in [-mask_bound, mask_bound). Never ternary: design, section 4.4."""
    error_coins: int
    """e1 and e2 are centred binomial with this many coins each way (SEAL: 21, std 3.24)."""
    flood_std: float
    """Standard deviation of the Gaussian flood on c0, in units of Z_q."""

    @property
    def id(self) -> str:
        """First 16 hex digits of SHA-256 over the canonical JSON of every number (the name is not a number)."""
        numbers = {key: value for key, value in asdict(self).items() if key != "name"}
        canonical = json.dumps(numbers, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode("ascii")).hexdigest()[:16]

    @property
    def residue_bits(self) -> int:
        return self.modulus.bit_length()

    @property
    def query_scale(self) -> float:
        """B: a query is round(B * x), so that B * S = query_range * t / 2."""
        return self.query_range * self.plain_modulus / 2 / self.row_scale

    @property
    def row_norm_cap(self) -> float:
        return self.row_norm_slack * self.row_scale

    @property
    def bits_per_coefficient(self) -> float:
        """Most bits that a returned coefficient carries about the rows of its block, whatever the query was.

        log2(q / (flood_std sqrt(2 pi e))), the capacity of a channel with Gaussian noise: docs/parameters.md.
        """
        noise = max(1.0, self.flood_std * math.sqrt(2 * math.pi * math.e))
        return math.log2(self.modulus / noise)

    @property
    def is_safe(self) -> bool:
        """Whether the set may serve outside tests.

        128 bits in the quantum core-SVP model need log2 q <= 41 at N = 2048 and <= 83 at N = 4096; N = 1024 never.
        The mask's u must be a power of two wide, as it is drawn by masking bits, and wide enough that what the flood
        lets a crafted public key read of it leaves a deviation of at least one per coefficient.
        """
        most_bits = {2048: 41, 4096: 83}.get(self.ring_degree, 0)
        return (
            self.residue_bits <= most_bits
            and self.mask_bound >= 1 << 11
            and self.mask_bound.bit_count() == 1
            and 2 * self.mask_bound * self.flood_std >= self.modulus
            and self.error_coins >= 21
        )


N2048_Q29 = ParameterSet(
    name="n2048_q29",
    ring_degree=2048,
    modulus=536813569,
    plain_modulus=1 << 24,
    row_scale=255,
    query_range=0.9,
    row_norm_slack=1.02,
    query_drop_bits=4,
    reply_c0_bits=12,
    reply_c1_bits=17,
    mask_bound=1 << 11,
    error_coins=21,
    flood_std=2.0**18.2,
)

N2048_Q29_FINE = ParameterSet(
    name="n2048_q29_fine",
    ring_degree=2048,
    modulus=536813569,
    plain_modulus=1 << 24,
    row_scale=800,
    query_range=0.96,
    row_norm_slack=1.005,
    query_drop_bits=2,
    reply_c0_bits=13,
    reply_c1_bits=18,
    mask_bound=1 << 11,
    error_coins=21,
    flood_std=2.0**17,
)

DEFAULT = N2048_Q29
PUBLISHED = (N2048_Q29, N2048_Q29_FINE)


def by_id(parameter_id: str) -> ParameterSet:
    """The published set with this id; raises ParameterMismatch when there is none."""
    for parameters in PUBLISHED:
        if parameters.id == parameter_id:
            return parameters
    known = ", ".join(f"{p.name} ({p.id})" for p in PUBLISHED)
    raise ParameterMismatch(f"this parameter set is not known here; this build has {known}")


def by_name(name: str) -> ParameterSet:
    """The published set with this name; raises ParameterMismatch when there is none."""
    for parameters in PUBLISHED:
        if parameters.name == name:
            return parameters
    raise ParameterMismatch(
        f"no parameter set is named {name[:40]!r}; this build has {', '.join(p.name for p in PUBLISHED)}"
    )


def require_safe(parameters: ParameterSet) -> ParameterSet:
    """Pass a safe set through; refuse any other unless a test is running (pytest sets PYTEST_CURRENT_TEST)."""
    if parameters.is_safe or "PYTEST_CURRENT_TEST" in os.environ:
        return parameters
    raise UnsafeParameters(f"{parameters.name} does not reach 128-bit security with masking; it serves in tests only")
