"""A bench's server serves as long as its block, and says why where it does not."""

from __future__ import annotations

import socket
import sys
from pathlib import Path

import pytest

from bench.server_process import serving


def command(folder: Path, *options: str) -> list[str]:
    where = ["--data", str(folder / "data"), "--master-key", str(folder / "key")]
    return [sys.executable, "-m", "unseen_server", *where, "--listen", "127.0.0.1:0", *options]


def test_a_server_listens_as_long_as_its_block(tmp_path: Path) -> None:
    with serving(command(tmp_path), tmp_path / "log") as server:
        host, _, port = server.address.rpartition(":")
        socket.create_connection((host, int(port)), timeout=30).close()
    assert server.process.returncode == 0


def test_a_server_that_does_not_start_is_an_error_with_its_words(tmp_path: Path) -> None:
    with (
        pytest.raises(ChildProcessError, match=r"did not start: .*--threads"),
        serving(command(tmp_path, "--threads", "many"), tmp_path / "log"),
    ):
        pass


def test_what_fails_in_the_block_leaves_no_server(tmp_path: Path) -> None:
    with pytest.raises(LookupError), serving(command(tmp_path), tmp_path / "log") as server:
        raise LookupError
    assert server.process.poll() == 0
