"""The master key file: made once, closed to others, never guessed at, never overwritten."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bench.folders import contents
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


@pytest.mark.parametrize("step", ["fsync", "link"])
def test_making_that_the_disk_stops_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr(os, step, full)
        with pytest.raises(InvalidConfiguration, match="No space left"):
            open_master_key(tmp_path / "key", make=True)
    assert list(tmp_path.iterdir()) == []
    assert len(open_master_key(tmp_path / "key", make=True)) == 32
    assert [path.name for path in tmp_path.iterdir()] == ["key"]


def test_crash_before_the_key_is_whole_does_not_block_the_next_start(tmp_path: Path) -> None:
    """The process dies at the moment when the key's bytes should reach the disk."""
    path = tmp_path / "key"
    dying = "import os, sys; from pathlib import Path; from unseen_server.master_key import open_master_key\n"
    dying += "os.fsync = lambda _: os._exit(9)\nopen_master_key(Path(sys.argv[1]), make=True)"
    assert subprocess.run([sys.executable, "-c", dying, str(path)], check=False).returncode == 9
    assert not path.exists()
    assert len(open_master_key(path, make=True)) == 32


def test_name_that_cannot_be_looked_up_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidConfiguration, match="File name too long"):
        open_master_key(tmp_path / ("k" * 300), make=True)


def test_server_refuses_another_key_and_writes_nothing(make_server: Callable[..., Any]) -> None:
    server = make_server().start()
    assert server.stop() == 0
    server.master_key.rename(server.folder / "right.key")
    (server.folder / "log").unlink()
    before = contents(server.folder)
    missing = subprocess.run(server.command(), capture_output=True, text=True, check=False)
    open_master_key(server.folder / "wrong.key", make=True)
    wrong = subprocess.run(
        server.command("--master-key", str(server.folder / "wrong.key")), capture_output=True, text=True, check=False
    )
    (server.folder / "wrong.key").unlink()
    assert (missing.returncode, wrong.returncode) == (2, 2)
    assert "no master key" in missing.stderr
    assert "another master key" in wrong.stderr
    assert contents(server.folder) == before
