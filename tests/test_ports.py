"""Ports to keep: free, each given once, and outside of what the system chooses from."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

from tests.ports import FIRST, PER_WORKER, port_to_keep

ROOT = Path(__file__).parents[1]


def test_each_port_is_given_once_is_free_and_is_none_that_the_system_gives() -> None:
    ports = [port_to_keep() for _ in range(20)]
    assert len(set(ports)) == 20
    assert max(ports) < 32_768
    for port in ports:
        socket.create_server(("127.0.0.1", port)).close()


def test_a_port_that_is_taken_is_left_out() -> None:
    taken = port_to_keep()
    with socket.create_server(("127.0.0.1", taken)):
        assert taken not in {port_to_keep() for _ in range(PER_WORKER)}
    assert taken in {port_to_keep() for _ in range(PER_WORKER)}


def test_each_worker_has_ports_of_its_own() -> None:
    code = "from tests.ports import port_to_keep; print(port_to_keep())"
    given = set()
    for worker in ("gw0", "gw1", "gw17"):
        environment = os.environ | {"PYTEST_XDIST_WORKER": worker}
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
        )
        given.add((int(done.stdout) - FIRST) // PER_WORKER)
    assert given == {0, 1, 17}
