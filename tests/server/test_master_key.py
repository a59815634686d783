"""The master key file: made once, closed to others, never guessed at, never overwritten."""

from __future__ import annotations

import stat
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from unseen.errors import InvalidConfiguration
from unseen_server.master_key import HEADER, open_master_key


def test_key_is_made_once_with_mode_0600(tmp_path: Path) -> None:
    path = tmp_path / "key"
    first = open_master_key(path, make=True)
    assert len(first) == 32
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert open_master_key(path, make=True) == first
    assert open_master_key(path, make=False) == first
    assert open_master_key(tmp_path / "another", make=True) != first


def test_key_of_data_that_exists_is_never_made_anew(tmp_path: Path) -> None:
    with pytest.raises(InvalidConfiguration, match="no master key"):
        open_master_key(tmp_path / "key", make=False)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o666])
def test_key_that_others_can_open_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "key"
    open_master_key(path, make=True)
    path.chmod(mode)
    with pytest.raises(InvalidConfiguration, match="chmod 600"):
        open_master_key(path, make=True)


@pytest.mark.parametrize(
    "content",
    [b"", b"\n", HEADER.encode(), HEADER.encode() + b"00" * 31, HEADER.encode() + b"00" * 33, b"x" * 85, bytes(85)],
)
def test_file_that_is_no_master_key_is_refused_and_kept(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "key"
    path.touch(0o600)
    path.write_bytes(content)
    with pytest.raises(InvalidConfiguration, match="not a master key"):
        open_master_key(path, make=True)
    assert path.read_bytes() == content


def test_folder_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidConfiguration, match="cannot be made"):
        open_master_key(tmp_path / "nowhere" / "key", make=True)


def test_server_refuses_another_key_and_writes_nothing(make_server: Callable[..., Any]) -> None:
    server = make_server().start()
    assert server.stop() == 0
    server.master_key.rename(server.folder / "right.key")
    (server.folder / "log").unlink()
    before = {path: path.read_bytes() for path in server.folder.rglob("*") if path.is_file()}
    missing = subprocess.run(server.command(), capture_output=True, text=True, check=False)
    open_master_key(server.folder / "wrong.key", make=True)
    wrong = subprocess.run(
        server.command("--master-key", str(server.folder / "wrong.key")), capture_output=True, text=True, check=False
    )
    (server.folder / "wrong.key").unlink()
    assert (missing.returncode, wrong.returncode) == (2, 2)
    assert "no master key" in missing.stderr
    assert "another master key" in wrong.stderr
    assert {path: path.read_bytes() for path in server.folder.rglob("*") if path.is_file()} == before
