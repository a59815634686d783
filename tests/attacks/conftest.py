"""What an attacker has: a real server in this process behind the real wire, bytes of his own making, arithmetic.

The server's masks are the one thing a test puts in its place; everything else is what ``unseen serve`` runs.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import grpc
import numba as nb
import numpy as np
import numpy.typing as npt
import pytest

from unseen import params, wire
from unseen.entropy import random_uid
from unseen.he import packing
from unseen.he.mask import MaskSource
from unseen.he.message import read_reply_blocks
from unseen.he.packing import Packing
from unseen.he.quantise import quantise_rows
from unseen.params import ParameterSet
from unseen.types import CollectionInfo, RowBatch
from unseen.v1 import collections_pb2, collections_pb2_grpc, index_pb2, index_pb2_grpc, search_pb2, search_pb2_grpc
from unseen_server.app import start
from unseen_server.config import Config
from unseen_server.keys.choice import MasterKeyChoice

Int64Array = npt.NDArray[np.int64]
MakeMasks = Callable[[ParameterSet], MaskSource]

LATTICE_EQUATIONS = 80
"""Residues that one lattice uses: with 64 unknowns its dimension is 144, and reducing it takes seconds.

With 64 of them the shortest vector of a reduced basis is some four deviations of the errors: one row in two thousand
would not be found.
"""


class ServerThread:
    """A server in an event loop of its own."""

    def __init__(self, folder: Path, make_masks: MakeMasks) -> None:
        self.port = 0
        self._ready, self._ended = threading.Event(), asyncio.Event()
        self._loop = asyncio.new_event_loop()
        config = Config(
            folder / "data", "127.0.0.1", 0, MasterKeyChoice.of_file(folder / "master.key"), None, threads=1
        )
        self._thread = threading.Thread(target=self._run, args=(config, make_masks))
        self._thread.start()
        self._ready.wait()
        assert self.port, "the server did not start"

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._ended.set)
        self._thread.join()

    def _run(self, config: Config, make_masks: MakeMasks) -> None:
        try:
            self._loop.run_until_complete(self._serve(config, make_masks))
        finally:
            self._loop.close()
            self._ready.set()

    async def _serve(self, config: Config, make_masks: MakeMasks) -> None:
        running = await start(config, make_masks)
        self.port = running.port
        self._ready.set()
        await self._ended.wait()
        await running.stop()


@dataclass
class Target:
    """A collection under attack, as a client with the right to query sees it, and its rows, to compare with."""

    channel: grpc.Channel
    parameters: ParameterSet
    collection: CollectionInfo
    rows: Int64Array

    @property
    def packing(self) -> Packing:
        return Packing(self.parameters.ring_degree, self.collection.dimension, self.collection.packing_factor)

    def ask(self, query: bytes) -> tuple[Int64Array, Int64Array]:
        """Send any bytes as a query: c1 (blocks, N) and c0 (blocks, rows_per_block), switched back to residues."""
        header = search_pb2.SearchHeader(
            collection_uid=self.collection.uid,
            parameter_id=self.parameters.id,
            packing_factor=self.collection.packing_factor,
        )
        chunks = [query[first : first + wire.MAX_CHUNK_BYTES] for first in range(0, len(query), wire.MAX_CHUNK_BYTES)]
        requests = [
            search_pb2.SearchRequest(header=header),
            *(search_pb2.SearchRequest(query=chunk) for chunk in chunks),
        ]
        replies = search_pb2_grpc.SearchServiceStub(self.channel).Search(iter(requests), timeout=300)
        blocks = b"".join(reply.blocks for reply in replies)
        c1, c0 = read_reply_blocks(self.parameters, self.packing, blocks)
        return self._residues(c1, self.parameters.reply_c1_bits), self._residues(c0, self.parameters.reply_c0_bits)

    def _residues(self, values: npt.NDArray[np.uint32], bits: int) -> Int64Array:
        return np.rint(values * (self.parameters.modulus / (1 << bits))).astype(np.int64) % self.parameters.modulus


@pytest.fixture
def attack_target(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Target]]:
    """Starts a server with masks of the test's choice and enrols vectors over the wire."""
    servers: list[ServerThread] = []
    channels: list[grpc.Channel] = []

    def make(make_masks: MakeMasks, parameters: ParameterSet, vectors: npt.NDArray[np.float32], factor: int) -> Target:
        if parameters not in params.PUBLISHED:
            monkeypatch.setattr(params, "PUBLISHED", (*params.PUBLISHED, parameters))
        monkeypatch.setattr(packing, "choose_factor", lambda *_: factor)
        folder = tmp_path / str(len(servers))
        folder.mkdir()
        servers.append(ServerThread(folder, make_masks))
        channels.append(grpc.insecure_channel(f"127.0.0.1:{servers[-1].port}"))
        rows = quantise_rows(parameters, vectors)
        uid = create(channels[-1], parameters, vectors.shape[1])
        enrol(channels[-1], parameters, uid, rows)
        request = collections_pb2.GetCollectionRequest(name="attacked")
        stub = collections_pb2_grpc.CollectionServiceStub(channels[-1])
        collection = wire.collection_from_message(stub.GetCollection(request, timeout=300).collection)
        assert collection.packing_factor == factor
        return Target(channels[-1], parameters, collection, rows.astype(np.int64))

    yield make
    for channel in channels:
        channel.close()
    for server in servers:
        server.stop()


def create(channel: grpc.Channel, parameters: ParameterSet, dimension: int) -> bytes:
    request = collections_pb2.CreateCollectionRequest(
        request_id=random_uid(), name="attacked", dimension=dimension, parameter_id=parameters.id, model_id="none"
    )
    answer = collections_pb2_grpc.CollectionServiceStub(channel).CreateCollection(request, timeout=300)
    return bytes(answer.collection.uid)


def enrol(channel: grpc.Channel, parameters: ParameterSet, uid: bytes, rows: npt.NDArray[np.int16]) -> None:
    stub = index_pb2_grpc.IndexServiceStub(channel)
    for first in range(0, len(rows), 1000):
        some = rows[first : first + 1000]
        header = index_pb2.EnrolHeader(
            request_id=random_uid(),
            collection_uid=uid,
            parameter_id=parameters.id,
            model_id="none",
            row_count=len(some),
        )
        batch = RowBatch(tuple(random_uid() for _ in some), some, tuple(b"sealed" for _ in some))
        requests = [
            index_pb2.EnrolRowsRequest(header=header),
            index_pb2.EnrolRowsRequest(batch=wire.batch_to_message(batch)),
        ]
        stub.EnrolRows(iter(requests), timeout=300)


# ---------------------------------------------------------------------------------------------------- lattice attack


@pytest.fixture(scope="session")
def solve_for_lone_row() -> Callable[[ParameterSet, Packing, Int64Array, Int64Array], Int64Array | None]:
    """Finds the only row of a block from c1 = sum_g a_g * p_g, even when c1 is known to its upper 17 bits only."""
    return lone_row


def lone_row(parameters: ParameterSet, layout: Packing, a: Int64Array, c1: Int64Array) -> Int64Array | None:
    """a (chunks, N) uniform, c1 (N,) with errors of half a switching step -> the row in slot 0, or None.

    The row has d small unknowns and c1 gives N noisy equations for them modulo q: a closest-vector problem in
    dimension d + 80, which lattice reduction (Lenstra, Lenstra, Lovasz 1982) and rounding off along the reduced basis
    (Babai 1986) solve for d = 64. The equations not used say whether the answer is right.
    """
    q, unknowns = parameters.modulus, layout.chunks * layout.factor
    equations = row_equations(layout, a, q)
    used, weight = LATTICE_EQUATIONS, 32
    basis = np.zeros((used + unknowns, used + unknowns), np.int64)
    basis[:used, :used] = q * np.eye(used, dtype=np.int64)
    basis[used:, :used] = equations[:used].T
    basis[used:, used:] = weight * np.eye(unknowns, dtype=np.int64)
    reduce_basis(basis, 0.99)
    row = closest_vector(basis, np.concatenate([c1[:used], np.zeros(unknowns, np.int64)]))[used:] // weight
    residual = (c1 - equations @ row) % q
    largest = int(np.minimum(residual, q - residual).max())
    return row[: layout.dimension] if largest <= q >> parameters.reply_c1_bits else None


def row_equations(layout: Packing, a: Int64Array, q: int) -> Int64Array:
    """What each coordinate of the row in slot 0 adds to c1: (N, chunks * k). X^j * a turns a by j places."""
    columns = []
    for chunk in range(layout.chunks):
        for i in range(layout.factor):
            shift = layout.factor - 1 - i
            turned = np.roll(a[chunk], shift)
            turned[:shift] = -turned[:shift] % q
            columns.append(turned)
    return np.stack(columns, axis=1)


def closest_vector(basis: Int64Array, target: Int64Array) -> Int64Array:
    """A lattice vector near the target, rounding one coefficient after the other."""
    orthogonal, triangle = np.linalg.qr(basis.T.astype(np.float64))
    seen = orthogonal.T @ target.astype(np.float64)
    coefficients = np.zeros(len(basis), np.int64)
    for i in reversed(range(len(basis))):
        coefficients[i] = np.rint((seen[i] - triangle[i, i + 1 :] @ coefficients[i + 1 :]) / triangle[i, i])
    return coefficients @ basis


@nb.njit(cache=True)
def reduce_basis(basis, delta):
    """Reduce the rows of an integer basis in place (LLL with floating-point orthogonalisation)."""
    count, width = basis.shape
    projected, share = np.zeros((count, count)), np.zeros((count, count))
    k = 0
    while k < count:
        unsettled = True
        while unsettled:
            unsettled = False
            for j in range(k + 1):
                dot = 0.0
                for t in range(width):
                    dot += np.float64(basis[k, t]) * np.float64(basis[j, t])
                for i in range(j):
                    dot -= share[j, i] * projected[k, i]
                projected[k, j] = dot
                share[k, j] = dot / projected[j, j] if j < k else 1.0
            for j in range(k - 1, -1, -1):
                times = np.rint(share[k, j])
                if times != 0.0:
                    unsettled = True
                    for t in range(width):
                        basis[k, t] -= np.int64(times) * basis[j, t]
                    for i in range(j + 1):
                        share[k, i] -= times * share[j, i]
        if k == 0 or projected[k, k] >= (delta - share[k, k - 1] ** 2) * projected[k - 1, k - 1]:
            k += 1
        else:
            for t in range(width):
                basis[k, t], basis[k - 1, t] = basis[k - 1, t], basis[k, t]
            k -= 1
