"""The tree has the published hashes, and agrees with a twin that follows the RFC's recursion word by word."""

from __future__ import annotations

import base64
import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.core.audit.vectors import CONSISTENCY_6_8, INCLUSION_2_3, LEAVES, NODES, ROOTS
from unseen.audit import tree
from unseen.audit.proof import verify_consistency, verify_inclusion
from unseen.errors import ProofBroken


class Twin:
    """RFC 9162, section 2.1, as it stands there: everything recursive, nothing kept."""

    def __init__(self, leaves: list[bytes]) -> None:
        self.leaves = leaves

    def mth(self, start: int, stop: int) -> bytes:
        n = stop - start
        if n == 0:
            return hashlib.sha256().digest()
        if n == 1:
            return hashlib.sha256(b"\x00" + self.leaves[start]).digest()
        k = self.k(n)
        return hashlib.sha256(b"\x01" + self.mth(start, start + k) + self.mth(start + k, stop)).digest()

    def path(self, m: int, start: int, stop: int) -> list[bytes]:
        n = stop - start
        if n == 1:
            return []
        k = self.k(n)
        if m < k:
            return [*self.path(m, start, start + k), self.mth(start + k, stop)]
        return [*self.path(m - k, start + k, stop), self.mth(start, start + k)]

    def subproof(self, m: int, start: int, stop: int, b: bool) -> list[bytes]:
        n = stop - start
        if m == n:
            return [] if b else [self.mth(start, stop)]
        k = self.k(n)
        if m <= k:
            return [*self.subproof(m, start, start + k, b), self.mth(start + k, stop)]
        return [*self.subproof(m - k, start + k, stop, False), self.mth(start, start + k)]

    @staticmethod
    def k(n: int) -> int:
        k = 1
        while 2 * k < n:
            k *= 2
        return k


class Kept:
    """A tree's nodes in the order in which they were completed, as the node file has them."""

    def __init__(self, leaves: list[bytes]) -> None:
        self.edge = tree.RightEdge()
        self.nodes: list[bytes] = []
        for leaf in leaves:
            self.nodes += self.edge.append(tree.leaf_hash(leaf))

    def node(self, level: int, index: int) -> bytes:
        return self.nodes[tree.node_place(level, index)]


def numbered(count: int) -> list[bytes]:
    return [str(at).encode() for at in range(count)]


def test_published_roots_come_out_for_every_size() -> None:
    assert [Kept(LEAVES[:size]).edge.root().hex() for size in range(9)] == ROOTS
    kept = Kept(LEAVES)
    assert [tree.root(size, kept.node).hex() for size in range(9)] == ROOTS


def test_published_nodes_stand_in_their_places() -> None:
    kept = Kept(LEAVES)
    assert [[kept.node(level, at).hex() for at in range(8 >> level)] for level in range(4)] == NODES


def test_published_proofs_come_out_and_are_accepted() -> None:
    kept = Kept(LEAVES)
    consistency = [base64.b64decode(text) for text in CONSISTENCY_6_8]
    assert tree.consistency_proof(6, 8, kept.node) == tuple(consistency)
    verify_consistency(6, bytes.fromhex(ROOTS[6]), 8, bytes.fromhex(ROOTS[8]), consistency)
    inclusion = [base64.b64decode(text) for text in INCLUSION_2_3]
    assert tree.inclusion_proof(2, 3, kept.node) == tuple(inclusion)
    verify_inclusion(bytes.fromhex(NODES[0][2]), 2, 3, inclusion, bytes.fromhex(ROOTS[3]))


def test_every_tree_up_to_forty_leaves_agrees_with_the_recursive_twin() -> None:
    leaves = numbered(40)
    twin, kept = Twin(leaves), Kept(leaves)
    for size in range(41):
        root = tree.root(size, kept.node)
        assert root == Kept(leaves[:size]).edge.root() == twin.mth(0, size)
        for index in range(size):
            inclusion = tree.inclusion_proof(index, size, kept.node)
            assert list(inclusion) == twin.path(index, 0, size)
            verify_inclusion(tree.leaf_hash(leaves[index]), index, size, inclusion, root)
        for old in range(1, size + 1):
            consistency = tree.consistency_proof(old, size, kept.node)
            assert list(consistency) == twin.subproof(old, 0, size, True)
            verify_consistency(old, tree.root(old, kept.node), size, root, consistency)


def test_nodes_are_completed_in_the_order_of_their_places() -> None:
    completed = []
    edge = tree.RightEdge()
    for leaf in range(300):
        places = [tree.node_place(level, leaf >> level) for level, _ in enumerate(edge.append(bytes(32)))]
        assert tree.node_count(leaf) == len(completed)
        completed += places
    assert completed == list(range(tree.node_count(300)))


@given(size=st.integers(2, 200), data=st.data())
def test_altered_proofs_are_refused(size: int, data: st.DataObject) -> None:
    leaves = numbered(size)
    kept = Kept(leaves)
    root = kept.edge.root()
    index = data.draw(st.integers(0, size - 1))
    old = data.draw(st.integers(1, size - 1))
    inclusion = list(tree.inclusion_proof(index, size, kept.node))
    consistency = list(tree.consistency_proof(old, size, kept.node))
    old_root = tree.root(old, kept.node)
    for proof in (inclusion, consistency):
        at = data.draw(st.integers(0, len(proof) - 1))
        how = data.draw(st.sampled_from(["bit", "drop", "double", "garbage", "short"]))
        if how == "bit":
            proof[at] = bytes([proof[at][0] ^ 1 << data.draw(st.integers(0, 7))]) + proof[at][1:]
        elif how == "drop":
            del proof[at]
        elif how == "double":
            proof.insert(at, proof[at])
        elif how == "garbage":
            proof.append(root)
        else:
            proof[at] = proof[at][:-1]
    with pytest.raises(ProofBroken):
        verify_inclusion(tree.leaf_hash(leaves[index]), index, size, inclusion, root)
    with pytest.raises(ProofBroken):
        verify_consistency(old, old_root, size, root, consistency)


@given(size=st.integers(2, 100), data=st.data())
def test_right_proofs_for_the_wrong_thing_are_refused(size: int, data: st.DataObject) -> None:
    kept = Kept(numbered(size))
    root = kept.edge.root()
    index, other = data.draw(st.lists(st.integers(0, size - 1), min_size=2, max_size=2, unique=True))
    inclusion = tree.inclusion_proof(index, size, kept.node)
    with pytest.raises(ProofBroken):
        verify_inclusion(tree.leaf_hash(str(index).encode()), other, size, inclusion, root)
    with pytest.raises(ProofBroken):
        verify_inclusion(tree.leaf_hash(str(other).encode()), index, size, inclusion, root)
    old = data.draw(st.integers(1, size - 1))
    consistency = tree.consistency_proof(old, size, kept.node)
    with pytest.raises(ProofBroken):
        verify_consistency(old, root, size, root, consistency)
    with pytest.raises(ProofBroken):
        verify_consistency(size, root, old, tree.root(old, kept.node), consistency)


def test_a_proof_that_grows_without_end_is_refused_before_it_is_computed() -> None:
    with pytest.raises(ProofBroken, match="at most"):
        verify_inclusion(bytes(32), 0, 1 << 62, [bytes(32)] * 1000, bytes(32))
