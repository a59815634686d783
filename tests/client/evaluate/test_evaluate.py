"""`unseen eval` with a real server: every way is measured, privacy's cost is there, nothing stays behind."""

from __future__ import annotations

import json
import tempfile
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from tests.client.real_server import ROOT
from unseen.params import N2048_Q29
from unseen_client.cli.app import app
from unseen_client.evaluate import run
from unseen_client.evaluate.curves import draw
from unseen_client.evaluate.material import read_material
from unseen_client.evaluate.measures import Measures
from unseen_client.prepare import Preparer

PHOTOS = ROOT / "examples/demo/photos"
LABELS = {"people": ("astronaut", "cameraman"), "animal": ("tiger-in-snow", "tabby-cat", "raccoon")}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("labelled")
    for label, names in LABELS.items():
        (made / label).mkdir()
        for name in names:
            (made / label / f"{name}.jpg").symlink_to(PHOTOS / f"{name}.jpg")
    return made


def test_every_way_is_measured_on_a_server_of_its_own(folder, home, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    curves = tmp_path / "curves.png"
    options = ["--noise", "privunit:4", "--curves", curves, "-k", 1, "-k", 2, "--json", "--home", home]
    app(["eval", str(folder), *map(str, options)], standalone_mode=False)
    found = json.loads(capsys.readouterr().out)
    assert (found["pictures"], found["refused"]) == (5, 0)
    assert found["with_faces"] >= 2
    lines = {(line["asked"], line["way"]): line for line in found["lines"]}
    ways = ["float32, faces seen", "float32, faces covered", "quantised", "encrypted", "noise privunit:4"]
    assert list(lines) == [(kind, way) for kind in ("pictures", "labels") for way in ways]
    # What the plain twin below says of the same vectors.
    items = read_material(folder, None, 100)
    with Preparer() as preparer:
        rows = np.stack([preparer.image(item.path).vector for item in items])
    scores = rows @ rows.T
    np.fill_diagonal(scores, -2)
    ranked = [[items[at].label == items[row].label for at in np.argsort(-scores[row])] for row in range(len(items))]
    for way in ("float32, faces covered", "quantised", "encrypted"):
        line = lines["pictures", way]
        assert line["precision"]["1"] == pytest.approx(np.mean([one[0] for one in ranked]))
        assert line["median_rank"] == np.median([one.index(True) + 1 for one in ranked])
        assert lines["labels", way]["recall"]["1"] == pytest.approx(np.mean([1 / 2, 1 / 3]))
    with Image.open(curves) as picture:
        assert picture.format == "PNG"
    assert [path.name for path in tmp_path.glob("unseen-demo-*")] == []


def test_a_picture_that_a_manifest_names_twice_is_asked_for_by_both_captions(tmp_path, unit_vectors):
    rows = unit_vectors(3)

    class Paper:
        dimension = 16

        def both_ways(self, paths):
            yield from ((path, (rows[at], rows[at])) for at, path in enumerate(paths))

    (tmp_path / "m.csv").write_text("path,caption\na.jpg,one\na.jpg,two\nb.jpg,three\n")
    pictures, _ = run.embed(read_material(tmp_path / "m.csv", None, 10), Paper(), lambda _: None)
    assert sorted(item.caption for item in pictures.items) == ["one", "three", "two"]


def test_a_server_that_is_given_holds_nothing_afterwards(client, folder, unit_vectors):
    rows = unit_vectors(5)

    class Paper:
        dimension = 16

        def both_ways(self, paths):
            yield from ((path, (rows[at], rows[at])) for at, path in enumerate(paths))

        def text(self, words):
            return rows[0]

    before = len(client.list_collections())
    wanted = run.Wanted(N2048_Q29, (1,), (), 10)
    found = run.evaluate(read_material(folder, None, 10), Paper(), client, wanted, lambda _: None)
    assert {line.way for line in found.lines} == {
        "float32, faces seen", "float32, faces covered", "quantised", "encrypted"
    }  # fmt: skip
    assert len(client.list_collections()) == before


def test_a_line_is_drawn_where_its_numbers_are():
    def line(way, curve):
        return run.Line("labels", way, 3, Measures({1: 0.5}, {1: 0.5}, 0.5, 1.0, curve))

    with Image.open(BytesIO(draw([line("a", (1.0,) * 11), line("b", (0.5,) * 11)]))) as picture:
        assert picture.getpixel((64 + 200, 64)) == (0x7A, 0x82, 0x88)
        assert picture.getpixel((64 + 200, 64 + 180)) == (0x1F, 0x7A, 0x5A)
