"""The demo's photographs: complete, small, with origin and licence of each; and folders of one's own."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from PIL import Image

from unseen.errors import InvalidInput
from unseen_client.demo.material import REPOSITORY_FOLDER, bundled, your_own

MOST_BYTES = 3_000_000
LONGEST_SIDE = 640
LICENCES = {
    "public domain",
    "no known copyright restrictions",
    "CC0-1.0",
    "CC-BY-2.0",
    "CC-BY-4.0",
    "CC-BY-SA-3.0",
    "CC-BY-SA-4.0",
    "MIT",
}


def test_every_picture_has_its_origin_and_a_licence_that_allows_it() -> None:
    with (REPOSITORY_FOLDER / "ORIGINS.csv").open(encoding="utf-8", newline="") as file:
        origins = {row["file"]: row for row in csv.DictReader(file)}
    pictures = {str(path.relative_to(REPOSITORY_FOLDER)) for path in REPOSITORY_FOLDER.rglob("*.jpg")}
    assert pictures == set(origins)
    for row in origins.values():
        assert row["licence"] in LICENCES
        assert all(row[column] for column in ("author", "package", "path_in_package", "changes"))


def test_pictures_are_small_and_carry_no_metadata() -> None:
    pictures = sorted(REPOSITORY_FOLDER.rglob("*.jpg"))
    assert sum(path.stat().st_size for path in pictures) <= MOST_BYTES
    for path in pictures:
        with Image.open(path) as image:
            assert max(image.size) <= LONGEST_SIDE
            assert not image.getexif()


def test_right_answers_are_enrolled_photographs_and_queries_are_not() -> None:
    chosen = bundled()
    assert len(chosen.photographs) == 36
    for query in chosen.queries:
        assert query.expected
        assert set(query.expected) <= set(chosen.photographs)
        assert (query.picture is None) != (query.text == "")
        assert query.picture not in chosen.photographs.values()


def test_an_installed_package_says_where_the_photographs_are(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="--images FOLDER"):
        bundled(tmp_path)


def test_your_own_folder_is_looked_up_by_crops(tmp_path: Path) -> None:
    folder, scratch = tmp_path / "mine", tmp_path / "scratch"
    (folder / "inner").mkdir(parents=True)
    scratch.mkdir()
    Image.new("RGB", (80, 60), "red").save(folder / "inner" / "one.JPG")
    (folder / "broken.png").write_bytes(b"no picture")
    (folder / "notes.txt").write_text("no picture either")
    chosen = your_own(folder, scratch)
    assert set(chosen.photographs) == {"inner/one.JPG", "broken.png"}
    (query,) = chosen.queries
    assert query.expected == ("inner/one.JPG",)
    assert query.picture is not None
    with Image.open(query.picture) as crop:
        assert crop.size == (60, 45)


def test_a_folder_without_pictures_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="no pictures"):
        your_own(tmp_path, tmp_path)
    with pytest.raises(InvalidInput, match="not a folder"):
        your_own(tmp_path / "missing", tmp_path)
