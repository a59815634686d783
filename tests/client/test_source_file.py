"""Files that somebody named: what is refused is not left open."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from unseen.errors import ImageRefused
from unseen_client.source_file import opened_source


def open_within(folder: Path) -> list[Path]:
    return [file for file in Path("/proc/self/fd").iterdir() if file.resolve().is_relative_to(folder)]


def test_what_is_refused_is_not_left_open(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    for refused in (tmp_path, tmp_path / "pipe.jpg", tmp_path / "missing.jpg", f"{tmp_path}/nul\0byte.jpg"):
        with pytest.raises(ImageRefused, match=r"expected (one|a plain file)") as told, opened_source(refused):
            raise AssertionError("it was opened")
        assert "picture" not in str(told.value), "videos, texts and DICOM objects are read here too"
        assert open_within(tmp_path) == [], refused
    (tmp_path / "plain.jpg").write_bytes(b"plain")
    with opened_source(tmp_path / "plain.jpg") as file:
        assert (file.read(), len(open_within(tmp_path))) == (b"plain", 1)
