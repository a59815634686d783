"""A run that is killed while it looks at images goes on with those that are left, and with nothing else's vectors."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import pytest

from unseen.deid.settings import DeidSettings
from unseen.errors import ImageRefused, IntegrityError
from unseen_client.adapt import teach
from unseen_client.adapt.gather import gather, labelled_by_folder
from unseen_client.adapt.looked_at import IMAGES_PER_PART, LookedAt, Seen
from unseen_client.adapt.run_folder import RunFolder
from unseen_client.adapt.task import Lesson
from unseen_client.home import private_folder
from unseen_client.prepare import Preparer

COUNT = 130


@dataclass(frozen=True)
class Image:
    """What a preparer gives, as far as a run needs it."""

    content_id: str
    vector: np.ndarray


class PaperPreparer:
    """A vector for each file from its bytes; ends the process's work after some images."""

    model_id = "paper"
    settings = DeidSettings()

    def __init__(self, most: int = 10_000) -> None:
        self.asked: list[Path] = []
        self._most = most

    def text(self, words: str) -> np.ndarray:
        return vector_of(words.encode())

    def images(self, paths: list[Path]) -> Iterator[tuple[Path, Image | ImageRefused]]:
        for path in paths:
            if len(self.asked) == self._most:
                raise KeyboardInterrupt
            self.asked.append(path)
            data = path.read_bytes()
            yield path, ImageRefused("no picture") if data == b"bad" else Image(data.hex(), vector_of(data))


def vector_of(data: bytes) -> np.ndarray:
    return np.random.default_rng(list(data)).standard_normal(512).astype(np.float32)


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return RunFolder(private_folder(tmp_path / "a.run"))


@pytest.fixture
def examples(tmp_path: Path):
    for at in range(COUNT):
        (tmp_path / "ab"[at % 2]).mkdir(exist_ok=True)
        (tmp_path / "ab"[at % 2] / f"{at:03}.png").write_bytes(b"bad" if at == 8 else b"%d" % at)
    return labelled_by_folder(sorted(tmp_path.glob("[ab]/*.png")))


def look(folder: RunFolder, examples, most: int = 10_000, settings: str = "as they come"):
    """One process's work on the folder: the material, and the preparer that was asked."""
    preparer, told = PaperPreparer(most), []
    try:
        material, refused = gather(
            examples, Lesson.LABELS, cast("Preparer", preparer), LookedAt(folder, settings), told.append
        )
    except KeyboardInterrupt:
        return None, preparer.asked
    assert [one.code for one in refused] == [ImageRefused.code]
    assert [(one.done, one.total) for one in told[-1:]] == [(COUNT, COUNT)]
    return material, preparer.asked


def test_an_interrupted_look_goes_on_with_the_images_that_are_left(folder, examples, tmp_path) -> None:
    _, first = look(folder, examples, most=60)
    _, second = look(folder, examples, most=40)
    material, third = look(folder, examples)
    again = {one for one in first if one.read_bytes() == b"bad"}
    assert set(first) & set(second + third) == again
    assert len(first) + len(second) + len(third) == COUNT + 2 * len(again)
    at_once, _ = look(RunFolder(private_folder(tmp_path / "b.run")), examples)
    assert np.array_equal(material.rows, at_once.rows)
    assert np.array_equal(material.labels, at_once.labels)


def test_a_kill_costs_fifty_images_at_most(folder, examples) -> None:
    killed = LookedAt(folder, "")
    for one in examples[: 2 * IMAGES_PER_PART + 49]:
        killed.add(one.path, Seen("x", vector_of(b"x")))
    known = LookedAt(folder, "")
    assert sum(known.find(one.path) is not None for one in examples) == 2 * IMAGES_PER_PART
    assert stat.S_IMODE((folder._path / "looked-at-0.npz").stat().st_mode) == 0o600


def test_a_changed_file_and_other_settings_are_looked_at_anew(folder, examples) -> None:
    look(folder, examples)
    changed = examples[3].path
    changed.write_bytes(b"another picture")
    os.utime(changed, ns=(1, 1))
    material, asked = look(folder, examples)
    assert {changed} < set(asked)
    assert len(asked) == 2  # and the one that was refused
    assert any(np.array_equal(row, vector_of(b"another picture")) for row in material.rows)
    assert len(look(folder, examples, settings="other")[1]) == COUNT


@pytest.mark.parametrize("release", ["1.0", "1.1"])
def test_another_release_looks_at_every_image_anew(folder, examples, release, monkeypatch) -> None:
    def begin(most: int) -> list[Path]:
        preparer = PaperPreparer(most)
        with pytest.raises(KeyboardInterrupt):
            teach._begin(folder, examples, teach.Wish("paper", 8.0), cast("Preparer", preparer), lambda step: None)
        return preparer.asked

    monkeypatch.setattr(teach, "version", lambda package: "1.0")
    first = begin(60)
    monkeypatch.setattr(teach, "version", lambda package: release)
    known = [one for one in first if one.read_bytes() != b"bad"]
    again = begin(20)
    assert set(known).isdisjoint(again) if release == "1.0" else again == first[:20]


def test_a_damaged_part_stops_the_run(folder, examples) -> None:
    look(folder, examples)
    folder.keep("looked-at-1.npz", {"keys": np.array(["a"])})
    with pytest.raises(IntegrityError, match="begin anew"):
        LookedAt(folder, "")
