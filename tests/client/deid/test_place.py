from __future__ import annotations

import os
from pathlib import Path

import pytest

from unseen.errors import AlreadyExists, StoreFailed
from unseen_client.deid.place import settle, waiting


def put(target: Path, data: bytes, *, overwrite: bool = False) -> None:
    with waiting(target, data) as fresh:
        settle(fresh, target, overwrite=overwrite)


def test_a_file_is_put_whole_into_folders_that_are_made(tmp_path: Path) -> None:
    put(tmp_path / "a" / "b" / "c.jpg", b"picture")
    assert (tmp_path / "a" / "b" / "c.jpg").read_bytes() == b"picture"
    assert [path.name for path in (tmp_path / "a" / "b").iterdir()] == ["c.jpg"]


@pytest.mark.parametrize("hard_links", [True, False])
def test_another_file_is_never_replaced_unless_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hard_links: bool
) -> None:
    if not hard_links:

        def refuse(*_: object) -> None:
            raise PermissionError("no hard links here")

        monkeypatch.setattr(os, "link", refuse)
    target = tmp_path / "c.jpg"
    put(target, b"first")
    with pytest.raises(AlreadyExists, match="--overwrite"):
        put(target, b"second")
    assert target.read_bytes() == b"first"
    put(target, b"third", overwrite=True)
    assert target.read_bytes() == b"third"
    assert [path.name for path in tmp_path.iterdir()] == ["c.jpg"]


def test_a_link_that_leads_elsewhere_is_not_followed(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere.jpg"
    (tmp_path / "c.jpg").symlink_to(elsewhere)
    with pytest.raises(AlreadyExists):
        put(tmp_path / "c.jpg", b"picture")
    put(tmp_path / "c.jpg", b"picture", overwrite=True)
    assert not elsewhere.exists()
    assert not (tmp_path / "c.jpg").is_symlink()


def test_nothing_is_left_when_the_block_fails_or_the_disk_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(RuntimeError), waiting(tmp_path / "c.jpg", b"picture"):
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []

    def fail(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(StoreFailed, match="No space"):
        put(tmp_path / "c.jpg", b"picture")
    assert list(tmp_path.iterdir()) == []
