"""Servers and callers for the tests of a file, of one test, or of the test's own making."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest

from tests.server.caller import Caller, Float32Array
from tests.server.in_process import config
from tests.server.messages import PARAMETERS, enrolment, search_requests
from tests.server.server_process import ServerProcess
from tests.server.tokens import make_grant
from tests.server.tokens import write_grants as write_grants_into
from unseen.entropy import random_uid
from unseen.he import quantise
from unseen.types import RowBatch
from unseen.v1 import index_pb2, search_pb2, types_pb2
from unseen_server import app
from unseen_server.call import Allowance
from unseen_server.quota import DEFAULT as DEFAULT_ALLOWANCE


@pytest.fixture
def make_server(tmp_path: Path) -> Iterator[Callable[..., ServerProcess]]:
    """A server that a test starts itself."""
    made: list[ServerProcess] = []

    def make(*options: str) -> ServerProcess:
        made.append(ServerProcess(tmp_path, *options))
        return made[-1]

    yield make
    for server in made:
        server.end()


@pytest.fixture(scope="session")
def new_grant() -> Callable[..., Any]:
    """A grant and the text of its token."""
    return make_grant


@pytest.fixture(scope="session")
def write_grants() -> Callable[..., Any]:
    """Writes grants into a folder whose server does not run yet."""
    return write_grants_into


@pytest.fixture(scope="session")
def new_server() -> Callable[..., ServerProcess]:
    """A server in a folder of the test's choice, which the test must stop."""
    return ServerProcess


@pytest.fixture
def everybody() -> Allowance:
    """What a caller of ``running`` may use whose token does not say; tests of quotas say less."""
    return DEFAULT_ALLOWANCE


@pytest.fixture
async def running(tmp_path: Path, everybody: Allowance) -> AsyncIterator[app.RunningServer]:
    """A server inside the test, so that its limits can be made small."""
    server = await app.start(config(tmp_path, everybody=everybody))
    yield server
    await server.stop()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server that runs as long as the tests of one file; it must end well."""
    running = ServerProcess(tmp_path_factory.mktemp("server")).start()
    yield running
    code = running.stop()
    assert code == 0, running.log()


@pytest.fixture
def call(request: pytest.FixtureRequest) -> Iterator[Callable[..., Caller]]:
    """Makes callers; closes them at the end."""
    made: list[Caller] = []

    def make(
        server: ServerProcess, credentials: grpc.ChannelCredentials | None = None, token: str | None = None
    ) -> Caller:
        made.append(Caller(server.port, credentials, token))
        return made[-1]

    yield make
    for caller in made:
        caller.close()


@pytest.fixture
def caller(server: ServerProcess, call: Callable[..., Caller]) -> Caller:
    """A caller of the file's server."""
    return call(server)


@pytest.fixture
def fresh_collection(caller: Caller) -> types_pb2.CollectionInfo:
    """An empty collection of dimension 16 that no other test knows."""
    return caller.create(random_uid().hex())


@pytest.fixture(scope="session")
def make_rows() -> Callable[..., tuple[Float32Array, RowBatch]]:
    """Random unit vectors, and the same as quantised rows with fresh ids and records."""

    def make(count: int, dimension: int = 16, record_bytes: int = 60) -> tuple[Float32Array, RowBatch]:
        random = np.random.default_rng()
        vectors = random.standard_normal((count, dimension)).astype(np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        records = tuple(random.bytes(record_bytes) for _ in range(count))
        row_ids = tuple(random_uid() for _ in range(count))
        return vectors, RowBatch(row_ids, quantise.quantise_rows(PARAMETERS, vectors), records)

    return make


@pytest.fixture(scope="session")
def enrolment_of() -> Callable[..., list[index_pb2.EnrolRowsRequest]]:
    """Builds the messages of an enrolment."""
    return enrolment


@pytest.fixture(scope="session")
def search_of() -> Callable[..., list[search_pb2.SearchRequest]]:
    """Builds the messages of a search."""
    return search_requests
