"""Devices with homes of their own, a paper server for flows driven by hand, and the real server for everything else."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.client.hand_driver import Driver
from tests.client.paper_server import PaperServer
from tests.client.real_server import RealServer, surroundings
from unseen_client import Client


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "device"


@pytest.fixture
def paper() -> PaperServer:
    return PaperServer()


@pytest.fixture
def device(paper: PaperServer, home: Path) -> Iterator[Driver]:
    """One device, its protocol driven by hand."""
    driver = Driver(paper, home)
    yield driver
    driver.session.close()


@pytest.fixture
def new_device(tmp_path: Path) -> Iterator[Callable[..., Driver]]:
    """Makes further devices, each with a home of its own unless one is named."""
    made: list[Driver] = []

    def make(server: PaperServer, home: Path | None = None, timeout_s: float = 30.0) -> Driver:
        made.append(Driver(server, home or tmp_path / f"device-{len(made)}", timeout_s))
        return made[-1]

    yield make
    for driver in made:
        driver.session.close()


@pytest.fixture
def unit_vectors() -> Callable[..., np.ndarray]:
    """Random unit vectors (n, d) float32, the same for the same seed."""

    def make(count: int, dimension: int = 16, seed: int = 1) -> np.ndarray:
        vectors = np.random.default_rng(seed).normal(size=(count, dimension))
        return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)

    return make


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealServer]:
    """One server for all tests that need nothing but one; each uses collections of its own names."""
    running = RealServer(tmp_path_factory.mktemp("server"))
    yield running
    running.stop()


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[Callable[..., RealServer]]:
    """Starts servers that a test may kill."""
    made: list[RealServer] = []

    def make(*options: str) -> RealServer:
        folder = tmp_path / f"server-{len(made)}"
        folder.mkdir()
        made.append(RealServer(folder, *options))
        return made[-1]

    yield make
    for one in made:
        one.stop()


@pytest.fixture
def client(server: RealServer, home: Path) -> Iterator[Client]:
    with Client(server.address, home=home) as one:
        yield one


@pytest.fixture(params=["sealed", "owner"])
def protection(request: pytest.FixtureRequest, locked_keys: None) -> str:
    """What a collection is protected by: a test that asks for it runs against each."""
    return str(request.param)


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    """A collection name that no other test uses."""
    return "c-" + hashlib.sha256(request.node.nodeid.encode()).hexdigest()[:20]


@pytest.fixture
def unseen(server: RealServer, home: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs the command line as a process of its own, against the server and with the device's home."""

    def run(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", "from unseen_client.cli import main; main()", *map(str, arguments)]
        known = surroundings() | {"UNSEEN_SERVER": server.address, "UNSEEN_HOME": str(home)} | environment
        return subprocess.run(command, capture_output=True, text=True, env=known, timeout=300, check=False)

    return run
