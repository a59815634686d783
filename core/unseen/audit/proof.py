"""Checking what a log proves: that a leaf is in it, and that it only grew. Needs no log, no key and no trust.

Devices and auditors use it; a proof shows hashes only. Source: RFC 9162, sections 2.1.3.2 and 2.1.4.2.
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence

from unseen.audit.tree import EMPTY_ROOT, HASH_BYTES, node_hash
from unseen.errors import ProofBroken

MOST_HASHES = 128
"""A tree of 2**63 leaves needs at most this many in one proof."""


def verify_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> None:
    """Pass when the leaf with this hash stands at ``index`` in the tree of ``size`` leaves; raises ProofBroken."""
    if not 0 <= index < size:
        raise ProofBroken(f"a proof for leaf {index} in a tree of {size} leaves cannot be")
    _require_hashes(leaf, root, *proof)
    place, last, current = index, size - 1, leaf
    for sibling in proof:
        if last == 0:
            raise ProofBroken("the proof of a leaf is longer than the way from it to the root")
        if place & 1 or place == last:
            current = node_hash(sibling, current)
            while not place & 1 and place:
                place, last = place >> 1, last >> 1
        else:
            current = node_hash(current, sibling)
        place, last = place >> 1, last >> 1
    _require_equal(last, current, root, "the leaf is not in the log at this place")


def verify_consistency(old_size: int, old_root: bytes, new_size: int, new_root: bytes, proof: Sequence[bytes]) -> None:
    """Pass when the old tree is the beginning of the new one; raises ProofBroken."""
    if not 0 <= old_size <= new_size:
        raise ProofBroken(f"a log of {new_size} leaves does not go on from one of {old_size}")
    _require_hashes(old_root, new_root, *proof)
    if old_size == 0:
        _require_equal(len(proof), old_root, EMPTY_ROOT, "an empty log has one root")
        return
    if old_size == new_size:
        _require_equal(len(proof), old_root, new_root, "two logs of the same size differ: the log was rewritten")
        return
    if not proof:
        raise ProofBroken("the proof that the log only grew is empty")
    _climb(old_size, old_root, new_size, new_root, list(proof))


def _climb(old_size: int, old_root: bytes, new_size: int, new_root: bytes, proof: list[bytes]) -> None:
    if old_size & (old_size - 1) == 0:
        proof.insert(0, old_root)
    place, last = old_size - 1, new_size - 1
    while place & 1:
        place, last = place >> 1, last >> 1
    old, new = proof[0], proof[0]
    for hash_ in proof[1:]:
        if last == 0:
            raise ProofBroken("the proof that the log only grew is longer than the way to the root")
        if place & 1 or place == last:
            old, new = node_hash(hash_, old), node_hash(hash_, new)
            while not place & 1 and place:
                place, last = place >> 1, last >> 1
        else:
            new = node_hash(new, hash_)
        place, last = place >> 1, last >> 1
    _require_equal(0, old, old_root, "the log was rewritten: it does not begin with what it was")
    _require_equal(last, new, new_root, "the log was rewritten: what it was does not lead to what it is")


def _require_hashes(*hashes: bytes) -> None:
    if len(hashes) > MOST_HASHES + 2 or any(len(hash_) != HASH_BYTES for hash_ in hashes):
        raise ProofBroken(f"a proof is at most {MOST_HASHES} hashes of {HASH_BYTES} bytes")


def _require_equal(left_over: int, got: bytes, expected: bytes, why: str) -> None:
    if left_over or not hmac.compare_digest(got, expected):
        raise ProofBroken(why)
