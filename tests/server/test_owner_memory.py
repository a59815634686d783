"""What a server's memory, disk and log tell of an owner-encrypted row or query: nothing that spells one out.

Whether two collections can be told apart by them: ``python -m bench.owner_dump``.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.server.memory import OpenServer, owner_needles_of, places, residues_of
from unseen.he.owner.layout import Layout
from unseen.he.owner.message import Ciphertexts, write_ciphertexts
from unseen.he.owner.secret import rings
from unseen.he.owner.segment import Segment
from unseen.he.packing import Packing
from unseen.he.quantise import quantise_query, quantise_rows
from unseen.params import DEFAULT
from unseen.params import OWNER_DEFAULT as OWNER
from unseen_client import Client

pytestmark = pytest.mark.usefixtures("locked_keys")

DIMENSION = 64


@pytest.fixture
def open_server(tmp_path: Path) -> Iterator[OpenServer]:
    server = OpenServer(tmp_path, "--threads", "1")
    yield server
    server.end()


def unit_vectors(count: int) -> np.ndarray:
    drawn = np.random.default_rng(7).normal(size=(count, DIMENSION))
    return (drawn / np.linalg.norm(drawn, axis=1, keepdims=True)).astype(np.float32)


def owner_needles(layout: Layout, vectors: np.ndarray, query: np.ndarray) -> dict[str, list[bytes]]:
    return owner_needles_of(layout, quantise_rows(OWNER, vectors), quantise_query(OWNER, query), vectors[0])


def on_disk(folder: Path, needles: list[bytes]) -> int:
    everything = b"".join(path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file())
    return sum(everything.count(needle) for needle in needles)


def test_nothing_spells_an_owner_encrypted_row_or_query_out(open_server: OpenServer, tmp_path: Path) -> None:
    """The same rows in a sealed collection of the same server, before: those are found."""
    server = open_server.start()
    with Client(f"127.0.0.1:{server.port}", home=tmp_path / "home") as client:
        vectors = unit_vectors(OWNER.ring_degree // 2)
        query = vectors[:3].sum(axis=0)
        filled(client, "sealed", vectors, query)
        packing = Packing(DEFAULT.ring_degree, DIMENSION, client.collection("sealed").packing_factor)
        rows = quantise_rows(DEFAULT, vectors[: packing.rows_per_block])
        assert places(server.pid, residues_of(packing, rows)) >= 1
        layout = Layout.of(OWNER, DIMENSION, filled(client, "owner", vectors, query))
    needles = owner_needles(layout, vectors[: layout.whole.rows_per_block], query)
    every = [needle for some in needles.values() for needle in some]
    assert len(every) == 14
    assert places(server.pid, every) == 0
    assert on_disk(server.data, every) == 0
    assert not any(needle in server.log().encode() for needle in every)


def filled(client: Client, protection: str, vectors: np.ndarray, query: np.ndarray) -> int:
    """A collection of these rows that has been searched; its packing factor."""
    factor = client.create_collection(protection, dimension=DIMENSION, protection=protection).packing_factor
    client.enrol_vectors(protection, [str(at) for at in range(len(vectors))], vectors)
    assert client.search_vector(protection, query)
    return factor


def test_what_is_looked_for_is_what_would_stand_there(tmp_path: Path) -> None:
    """A block that is not encrypted has its residues where the search looks, as it comes and as segments lie."""
    layout = Layout.of(OWNER, DIMENSION, 4)
    vectors = unit_vectors(layout.whole.rows_per_block)
    polynomials = layout.whole.row_polynomials(quantise_rows(OWNER, vectors)).astype(np.int64)
    plain = np.stack([one.residues(one.forward(polynomials)) for one in rings(OWNER)], axis=1)
    block = Ciphertexts(bytes(32), plain)
    segment = Segment(OWNER, layout.whole)
    segment.write(0, block)
    (tmp_path / "block").write_bytes(write_ciphertexts(block))
    (tmp_path / "segment").write_bytes(segment._residues.tobytes())
    residues = owner_needles(layout, vectors, vectors[1])["residues"]
    assert len(residues) == 4
    for name, needles in (("block", residues[::2]), ("segment", residues[1::2])):
        assert all((tmp_path / name).read_bytes().count(needle) == 1 for needle in needles)
