"""The run's folder: what is counted stays counted, for every process; what is kept comes back whole or not at all."""

from __future__ import annotations

import errno
import stat
import threading
from pathlib import Path

import numpy as np
import pytest

from unseen.errors import BudgetExceeded, IntegrityError, InvalidInput, StoreFailed
from unseen_client.adapt.run_folder import EVALUATION, STEP, Limit, RunFolder


@pytest.fixture
def path(tmp_path):
    return tmp_path / "a.safetensors.run"


def test_nothing_is_begun_beyond_its_limit(path) -> None:
    folder = RunFolder(path)
    assert [folder.begin_one(Limit(STEP, 3)) for _ in range(3)] == [1, 2, 3]
    with pytest.raises(BudgetExceeded, match="3 of 'step'"):
        folder.begin_one(Limit(STEP, 3))
    assert folder.begin_one(Limit(EVALUATION, 1)) == 1
    assert (folder.count(STEP), folder.count(EVALUATION)) == (3, 1)


def test_counts_are_on_disk_before_they_are_told(path) -> None:
    folder = RunFolder(path)
    for number in range(1, 4):
        assert folder.begin_one(Limit(STEP, 9)) == number
        assert RunFolder(path).count(STEP) == number


def test_two_that_share_a_folder_share_its_counts(path) -> None:
    begun: list[int] = []

    def work() -> None:
        folder = RunFolder(path)
        while True:
            try:
                begun.append(folder.begin_one(Limit(STEP, 40)))
            except BudgetExceeded:
                return

    workers = [threading.Thread(target=work) for _ in range(3)]
    for one in workers:
        one.start()
    for one in workers:
        one.join()
    assert sorted(begun) == list(range(1, 41))


def test_a_damaged_journal_stops_the_run(path) -> None:
    RunFolder(path).begin_one(Limit(STEP, 9))
    RunFolder(path).begin_one(Limit(STEP, 9))
    journal = path / "journal.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(lines[1])
    with pytest.raises(IntegrityError):
        RunFolder(path).count(STEP)


def test_a_run_has_begun_when_its_plan_is_there(path) -> None:
    folder = RunFolder(path)
    assert not folder.has_begun
    folder.begin({"epsilon": 8}, {"rows": np.ones((2, 3), np.float32)})
    assert folder.has_begun
    assert RunFolder(path).plan() == {"epsilon": 8}
    kept = RunFolder(path).kept("material.npz")
    assert kept is not None
    assert np.array_equal(kept["rows"], np.ones((2, 3)))
    assert folder.kept("checkpoint.npz") is None
    assert folder.results() == {}


def test_every_file_is_for_the_owner_alone_and_none_stays(path) -> None:
    folder = RunFolder(path)
    with folder.alone():
        folder.begin({}, {"rows": np.ones(3)})
        folder.begin_one(Limit(STEP, 1))
        folder.keep_results({"released": [0.5]})
    assert stat.S_IMODE(path.stat().st_mode) == 0o700
    secret = {one.name: stat.S_IMODE(one.stat().st_mode) for one in path.iterdir() if one.name != "lock"}
    assert set(secret.values()) == {0o600}
    folder.remove()
    assert not path.exists()


def test_another_process_is_kept_out(path) -> None:
    with RunFolder(path).alone(), pytest.raises(InvalidInput, match="another process"), RunFolder(path).alone():
        pass
    with RunFolder(path).alone():
        pass


@pytest.mark.parametrize("name", ["plan.json", "results.json", "material.npz"])
def test_a_damaged_file_says_so(path, name) -> None:
    folder = RunFolder(path)
    folder.begin({}, {"rows": np.ones(3)})
    folder.keep_results({})
    (path / name).write_bytes(b"\x00[]")
    with pytest.raises(IntegrityError, match="remove"):
        {"plan.json": folder.plan, "results.json": folder.results, "material.npz": lambda: folder.kept(name)}[name]()


@pytest.mark.parametrize("name", ["plan.json", "results.json", "material.npz"])
@pytest.mark.parametrize(
    "trouble", [PermissionError(errno.EACCES, "Permission denied"), OSError(errno.EIO, "I/O error"), MemoryError()]
)
def test_a_file_that_cannot_be_read_now_is_not_called_damaged(path, name, trouble, monkeypatch) -> None:
    folder = RunFolder(path)
    folder.begin({}, {"rows": np.ones(3)})
    folder.keep_results({})
    refused = path / name

    def read_bytes(self: Path, read=Path.read_bytes) -> bytes:
        if self == refused:
            raise trouble
        return read(self)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "read_bytes", read_bytes)
        with pytest.raises(StoreFailed, match="keep the folder"):
            {"plan.json": folder.plan, "results.json": folder.results, "material.npz": lambda: folder.kept(name)}[
                name
            ]()
    assert np.array_equal((folder.kept("material.npz") or {})["rows"], np.ones(3))


def test_arrays_that_do_not_fit_memory_are_not_called_damaged(path, monkeypatch) -> None:
    folder = RunFolder(path)
    folder.begin({}, {"rows": np.ones(3)})

    def load(*_: object, **__: object) -> None:
        raise MemoryError

    monkeypatch.setattr(np, "load", load)
    with pytest.raises(StoreFailed, match="memory"):
        folder.kept("material.npz")
