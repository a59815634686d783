"""Parameter sets as named data. A set's id is the hash of its numbers: a message carries it, both sides compare it.

Anyone may hold this: it is public. See ``docs/parameters.md`` for the argument behind each number.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TypeVar

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
        return _hash_of_numbers(asdict(self))

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

        The mask's u must be a power of two wide, as it is drawn by masking bits, and wide enough that what the flood
        lets a crafted public key read of it leaves a deviation of at least one per coefficient.
        """
        return (
            within_security_bound(self.ring_degree, self.residue_bits)
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


@dataclass(frozen=True)
class OwnerParameterSet:
    """The numbers of one owner-encrypted scan: rows and queries are encrypted under one key, q = moduli[0] * moduli[1].

    A ciphertext carries an integer m as c0 + c1 s = m + e mod q: an approximate scheme, with no plaintext modulus.
    """

    name: str
    ring_degree: int
    """N."""
    moduli: tuple[int, int]
    """Two primes, both 1 mod 2N and below 2^16, so that a centred residue fits a signed 16-bit integer."""
    roots: tuple[int, int]
    """psi for each prime, of order 2N: fixes what transformed residues mean on the wire and at rest."""
    row_scale: int
    """A: a stored row is round(A * x) for a unit vector x."""
    query_range: float
    """Where cosine 1 lands, as a part of q/2; the rest is head-room for noise."""
    row_norm_slack: float
    """A row's integer norm is at most row_norm_slack * A, so that no row can wrap a score."""
    reply_c0_bits: int
    reply_c1_bits: int
    reply_c2_bits: int
    error_coins: int
    """Every encryption error is centred binomial with this many coins each way (21: std 3.24)."""

    @property
    def id(self) -> str:
        """First 16 hex digits of SHA-256 over the canonical JSON of every number, as for ``ParameterSet``."""
        return _hash_of_numbers(asdict(self))

    @property
    def modulus(self) -> int:
        """q."""
        return self.moduli[0] * self.moduli[1]

    @property
    def residue_bits(self) -> int:
        return self.modulus.bit_length()

    @property
    def query_scale(self) -> float:
        """B: a query is round(B * x), so that B * A = query_range * q / 2."""
        return self.query_range * self.modulus / 2 / self.row_scale

    @property
    def row_norm_cap(self) -> float:
        return self.row_norm_slack * self.row_scale

    @property
    def bits_per_coefficient(self) -> float:
        """Most bits that a returned coefficient carries: c0 is switched to so many. See ``ParameterSet``."""
        return float(self.reply_c0_bits)

    @property
    def is_safe(self) -> bool:
        """Whether the set may serve outside tests: the bound on q of ``ParameterSet``, errors as wide as SEAL's.

        An error is drawn from 64 bits, so it has at most 32 coins each way: more would be counted twice.
        """
        return within_security_bound(self.ring_degree, self.residue_bits) and 21 <= self.error_coins <= 32


N2048_Q31_OWNER = OwnerParameterSet(
    name="n2048_q31_owner",
    ring_degree=2048,
    moduli=(40961, 61441),
    roots=(18088, 34889),
    row_scale=6144,
    query_range=0.97,
    row_norm_slack=1.006,
    reply_c0_bits=12,
    reply_c1_bits=17,
    reply_c2_bits=22,
    error_coins=21,
)

DEFAULT = N2048_Q29
PUBLISHED = (N2048_Q29, N2048_Q29_FINE)
OWNER_DEFAULT = N2048_Q31_OWNER
OWNER_PUBLISHED = (N2048_Q31_OWNER,)

AnySet = TypeVar("AnySet", ParameterSet, OwnerParameterSet)


def by_id(parameter_id: str) -> ParameterSet:
    """The published set with this id; raises ParameterMismatch when there is none."""
    return _with_id(parameter_id, PUBLISHED, "parameter set")


def is_owner(parameter_id: str) -> bool:
    """Whether collections with this set's id are owner-encrypted: the id is what tells the two protections apart."""
    return any(parameters.id == parameter_id for parameters in OWNER_PUBLISHED)


def owner_by_id(parameter_id: str) -> OwnerParameterSet:
    """The published owner-encrypted set with this id; raises ParameterMismatch when there is none."""
    return _with_id(parameter_id, OWNER_PUBLISHED, "owner-encrypted parameter set")


def by_name(name: str) -> ParameterSet:
    """The published set with this name; raises ParameterMismatch when there is none."""
    for parameters in PUBLISHED:
        if parameters.name == name:
            return parameters
    raise ParameterMismatch(
        f"no parameter set is named {name[:40]!r}; this build has {', '.join(p.name for p in PUBLISHED)}"
    )


def require_safe(parameters: AnySet) -> AnySet:
    """Pass a safe set through; refuse any other unless a test is running (pytest sets PYTEST_CURRENT_TEST)."""
    if parameters.is_safe or "PYTEST_CURRENT_TEST" in os.environ:
        return parameters
    raise UnsafeParameters(
        f"{parameters.name} does not reach the security that this build asks for; it serves in tests only"
    )


def within_security_bound(ring_degree: int, modulus_bits: int) -> bool:
    """128 bits in the quantum core-SVP model: log2 q at most 41 at N = 2048 and 83 at N = 4096; N = 1024 never."""
    return modulus_bits <= {2048: 41, 4096: 83}.get(ring_degree, 0)


def _with_id(parameter_id: str, published: tuple[AnySet, ...], kind: str) -> AnySet:
    for parameters in published:
        if parameters.id == parameter_id:
            return parameters
    known = ", ".join(f"{p.name} ({p.id})" for p in published)
    raise ParameterMismatch(f"this {kind} is not known here; this build has {known}")


def _hash_of_numbers(fields: Mapping[str, object]) -> str:
    numbers = {key: value for key, value in fields.items() if key != "name"}
    canonical = json.dumps(numbers, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode("ascii")).hexdigest()[:16]
