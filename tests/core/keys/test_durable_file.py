"""A replaced file is the old one or the new one, after a crash at any step, and the old content is gone."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from unseen.keys import durable_file

OLD, NEW = b"old key" * 1000, b"new" * 500


class Crash(BaseException):
    """The process is gone: nothing after it runs."""


class Steps:
    """Counts what reaches the disk; the one numbered ``last`` is the last that happens."""

    def __init__(self, patch: pytest.MonkeyPatch, last: int) -> None:
        self.done = 0
        self.last = last
        for owner, name in ((os, "fsync"), (Path, "rename"), (Path, "hardlink_to"), (Path, "unlink"), (os, "open")):
            patch.setattr(owner, name, self.counted(getattr(owner, name)))

    def counted(self, step: Callable[..., Any]) -> Callable[..., Any]:
        def counting(*arguments: Any, **options: Any) -> Any:
            self.done += 1
            if self.done > self.last:
                raise Crash
            return step(*arguments, **options)

        return counting


def replaced(path: Path, monkeypatch: pytest.MonkeyPatch, last: int) -> int:
    """Replace with a crash after some steps; how many there were."""
    with monkeypatch.context() as patch:
        steps = Steps(patch, last)
        try:
            durable_file.replace(path, NEW)
        except Crash:
            return steps.done - 1
        return steps.done


def test_crash_at_every_step_leaves_the_old_or_the_new_file_and_no_trace_of_the_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "ring"
    durable_file.replace(path, OLD)
    total = replaced(path, monkeypatch, 1000)
    assert total >= 7
    found = []
    for last in range(total):
        for leftover in tmp_path.iterdir():
            leftover.unlink()
        durable_file.replace(path, OLD)
        with path.open("rb") as past:
            assert replaced(path, monkeypatch, last) == last
            found.append(path.read_bytes())
            assert found[-1] in (OLD, NEW)
            durable_file.forget_leftovers(path)
            assert path.read_bytes() == found[-1]
            assert [one.name for one in tmp_path.iterdir()] == ["ring"]
            is_destroyed = past.read() == bytes(len(OLD))
            assert is_destroyed == (found[-1] == NEW), "the blocks of a replaced file are overwritten, only those"
    assert found[0] == OLD
    assert found[-1] == NEW
    assert found == sorted(found, key=lambda content: content == NEW), "once it is new it stays new"


def test_replacing_goes_on_after_any_crash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "ring"
    for last in range(12):
        replaced(path, monkeypatch, last)
        durable_file.replace(path, OLD)
        assert path.read_bytes() == OLD
        assert [one.name for one in tmp_path.iterdir()] == ["ring"]


def test_file_is_closed_to_others(tmp_path: Path) -> None:
    durable_file.replace(tmp_path / "ring", OLD)
    assert (tmp_path / "ring").stat().st_mode & 0o777 == 0o600
