"""Where a device keeps its own: named by the environment, private, and written whole or not at all."""

from __future__ import annotations

import errno
import os
import stat
import threading
import time
from pathlib import Path

import pytest

from unseen.errors import AlreadyExists, InvalidConfiguration, StoreFailed
from unseen_client import home
from unseen_client.home import (
    default_home,
    destroy_private,
    locked,
    private_folder,
    refuse_others,
    write_new_private,
    write_over_private,
    write_private,
)
from unseen_client.session import Session


def test_the_environment_names_the_home(monkeypatch, tmp_path):
    monkeypatch.setenv("UNSEEN_HOME", str(tmp_path / "mine"))
    assert default_home() == tmp_path / "mine"
    monkeypatch.setenv("UNSEEN_HOME", "")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setattr("sys.platform", "linux")
    assert default_home() == tmp_path / "data" / "unseen"
    monkeypatch.delenv("XDG_DATA_HOME")
    assert default_home() == Path.home() / ".local/share/unseen"
    monkeypatch.setattr("sys.platform", "darwin")
    assert default_home() == Path.home() / "Library/Application Support/unseen"


def test_folders_are_made_private_and_loose_ones_refused(tmp_path):
    made = private_folder(tmp_path / "a" / "b")
    assert stat.S_IMODE(made.stat().st_mode) == 0o700
    made.chmod(0o710)
    with pytest.raises(InvalidConfiguration, match="mode 710"):
        private_folder(made)


def test_every_level_below_the_home_is_private_whatever_the_umask(tmp_path):
    before = os.umask(0)
    try:
        session = Session("nowhere:1", 1.0, tmp_path / "new" / "home")
        session.mirror(bytes(16), bytes(16))
        session.close()
    finally:
        os.umask(before)
    folders = [path for path in (tmp_path / "new").rglob("*") if path.is_dir()]
    assert {path.name for path in folders} == {"home", "mirrors", bytes(16).hex()}
    assert {stat.S_IMODE(path.stat().st_mode) for path in folders} == {0o700}


@pytest.mark.parametrize("loose", [".", "mirrors", f"mirrors/{bytes(16).hex()}"])
def test_a_level_that_others_can_reach_is_refused(tmp_path, loose):
    session = Session("nowhere:1", 1.0, tmp_path / "home")
    session.mirror(bytes(16), bytes(16))
    session.close()
    (tmp_path / "home" / loose).chmod(0o755)
    with pytest.raises(InvalidConfiguration, match="chmod 700"):
        session.mirror(bytes(16), bytes(16))


def test_a_file_is_written_whole_under_any_number_of_writers(tmp_path):
    path = tmp_path / "file"
    contents = [bytes([at]) * 5000 for at in range(8)]
    threads = [threading.Thread(target=write_private, args=(path, one)) for one in contents]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert path.read_bytes() in contents
    assert [one.name for one in tmp_path.iterdir()] == ["file"]
    refuse_others(path, "600")


@pytest.mark.parametrize("end", [destroy_private, lambda path: write_over_private(path, b"other")])
def test_what_a_destroyed_file_held_is_overwritten_on_the_disk(tmp_path, end):
    path = tmp_path / "file"
    write_private(path, b"secret")
    with path.open("rb") as held:
        end(path)
        assert held.read() == bytes(len(b"secret"))
    destroy_private(path)
    destroy_private(path)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_cannot_be_destroyed_stays_whole(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    write_private(tmp_path / "file", b"secret")
    monkeypatch.setattr(Path, "unlink", refuse)
    with pytest.raises(StoreFailed, match="cannot write over"):
        destroy_private(tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == b"secret"


def test_a_folder_that_is_not_there_is_a_store_failure(tmp_path):
    with pytest.raises(StoreFailed, match="cannot write"):
        write_private(tmp_path / "absent" / "file", b"x")


def test_a_new_name_that_was_taken_for_nothing_is_given_back(tmp_path, monkeypatch):
    def refuse(*_):
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    with monkeypatch.context() as patched:
        patched.setattr(os, "link", refuse)
        patched.setattr(Path, "replace", refuse)
        with pytest.raises(StoreFailed, match="nothing of it was written"):
            write_new_private(tmp_path / "file", b"first")
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_a_crash_may_undo_is_not_called_unwritten(tmp_path, monkeypatch):
    def refuse(_):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(home, "sync_folder", refuse)
    with pytest.raises(StoreFailed, match="is written, and a crash may undo it"):
        write_private(tmp_path / "file", b"x")
    assert (tmp_path / "file").read_bytes() == b"x"


@pytest.mark.parametrize("hard_links", [True, False])
def test_a_new_file_takes_no_other_ones_name(tmp_path, monkeypatch, hard_links):
    def refuse(*_):
        raise PermissionError("no hard links here")

    if not hard_links:
        monkeypatch.setattr(os, "link", refuse)
    path = tmp_path / "file"
    write_new_private(path, b"first")
    with pytest.raises(AlreadyExists, match="stays as it is"):
        write_new_private(path, b"second")
    assert path.read_bytes() == b"first"
    assert [one.name for one in tmp_path.iterdir()] == ["file"]
    refuse_others(path, "600")


def test_a_lock_lets_one_thread_in_at_a_time_and_says_where_it_cannot_be_had(tmp_path):
    inside, most = [], []

    def enter():
        with locked(tmp_path / "lock"):
            inside.append(1)
            time.sleep(0.005)  # so that others would come in
            most.append(len(inside))
            inside.pop()

    threads = [threading.Thread(target=enter) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1] * 20
    assert stat.S_IMODE((tmp_path / "lock").stat().st_mode) == 0o600
    with pytest.raises(StoreFailed, match="cannot use"), locked(tmp_path):
        pass
    with pytest.raises(ConnectionError), locked(tmp_path / "lock"):
        raise ConnectionError("what fails inside is not told as the lock")
