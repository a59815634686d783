"""Runs over files and folders with the real pipelines: nothing lost, nothing replaced, nothing done twice."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from unseen.deid.settings import DeidSettings
from unseen.errors import ImageRefused, InvalidInput
from unseen_client import Deidentifier
from unseen_client.deid.outcome import Outcome
from unseen_client.deid.photo import PhotoPipeline

PHOTOS = Path(__file__).parents[3] / "examples" / "demo" / "photos"


@pytest.fixture(scope="module")
def deidentifier() -> Iterator[Deidentifier]:
    with Deidentifier(workers=2) as running:
        yield running


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two photographs, one of them deep down; a file that is none, one that should be, the first bytes of DICOM."""
    source = tmp_path / "in"
    (source / "deep" / "down").mkdir(parents=True)
    shutil.copy(PHOTOS / "astronaut.jpg", source)
    small = Image.open(PHOTOS / "drum.jpg").resize((120, 90))
    small.save(source / "deep" / "down" / "drum.gif")
    (source / "notes.txt").write_text("not for anybody")
    (source / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 no picture")
    (source / "slice").write_bytes(bytes(128) + b"DICM")
    return source


def outcomes(report: Any) -> dict[str, str]:
    return {one.source: one.outcome.name for one in report.files}


FIRST = {
    "astronaut.jpg": "DONE",
    "broken.jpg": "REFUSED",
    "deep/down/drum.gif": "DONE",
    "notes.txt": "PASSED_OVER",
    "slice": "REFUSED",
}


def written(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_every_file_is_accounted_for_and_the_structure_is_kept(
    deidentifier: Deidentifier, folder: Path, tmp_path: Path
) -> None:
    before = written(folder)
    seen: list[Any] = []
    report = deidentifier.run(folder, tmp_path / "out", progress=seen.append)
    assert outcomes(report) == FIRST
    assert (seen[0].done, seen[-1].done, seen[-1].total) == (0, 5, 5)
    assert sorted(written(tmp_path / "out")) == ["astronaut.jpg", "deep/down/drum.gif.png"]
    assert written(folder) == before
    assert not report.complete
    assert {one.source: one.code for one in report.refused} == {"broken.jpg": "IMAGE_REFUSED", "slice": "IMAGE_REFUSED"}
    assert report.covered == 1
    assert report.report_file == tmp_path / "out.report.jsonl"
    assert json.loads(json.dumps(report.as_dict()))["done"] == 2
    assert str(report).startswith("2 done, 2 refused, 1 passed over; 1 places covered")


def test_the_report_says_what_was_found_by_which_version_with_which_settings(
    deidentifier: Deidentifier, folder: Path, tmp_path: Path
) -> None:
    deidentifier.run(folder, tmp_path / "out")
    lines = [json.loads(line) for line in (tmp_path / "out.report.jsonl").read_text().splitlines()]
    described = next(line for line in lines if "description" in line and line["description"]["pipeline"] == "photo")
    assert described["description"]["detector_sha256"].startswith("5f386a78")
    assert described["description"]["release"]
    assert described["description"]["settings"] == DeidSettings().as_dict()
    face = next(line for line in lines if line.get("source") == "astronaut.jpg")
    assert face["pipeline"] == described["pipeline"]
    assert face["facts"]["faces"][0]["score"] > 0.8
    assert face["facts"]["passes"] >= 1


def test_a_second_run_does_nothing_and_changes_are_not_replaced_unless_asked(
    deidentifier: Deidentifier, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    deidentifier.run(folder, out)
    first = written(out)
    worked: list[bytes] = []
    clean = PhotoPipeline.clean
    monkeypatch.setattr(PhotoPipeline, "clean", lambda self, data: (worked.append(data), clean(self, data))[1])
    again = deidentifier.run(folder, out)
    assert outcomes(again) == FIRST | {"astronaut.jpg": "ALREADY", "deep/down/drum.gif": "ALREADY"}
    assert (again.covered, len(worked), written(out)) == (1, 1, first)  # only the broken file was tried again
    with Deidentifier(DeidSettings(mask_scale=2), workers=1) as other:
        refused = other.run(folder / "astronaut.jpg", out / "astronaut.jpg", report=tmp_path / "out.report.jsonl")
        assert [one.code for one in refused.files] == ["ALREADY_EXISTS"]
        assert written(out) == first
        replaced = other.run(
            folder / "astronaut.jpg", out / "astronaut.jpg", report=tmp_path / "out.report.jsonl", overwrite=True
        )
        assert outcomes(replaced) == {"astronaut.jpg": "DONE"}
    assert written(out)["astronaut.jpg"] != first["astronaut.jpg"]


def test_a_run_that_was_cut_off_is_taken_up_again(
    deidentifier: Deidentifier, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cut between the line of the report and the name of the output, then before anything of the second file."""
    from unseen_client.deid import run

    def power_cut(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(run, "settle", power_cut)
    with pytest.raises(KeyboardInterrupt):
        deidentifier.run(folder, tmp_path / "out")
    assert written(tmp_path / "out") == {}
    monkeypatch.undo()
    assert outcomes(deidentifier.run(folder, tmp_path / "out")) == FIRST
    assert sorted(written(tmp_path / "out")) == ["astronaut.jpg", "deep/down/drum.gif.png"]


def test_changed_sources_and_lost_outputs_are_done_again(
    deidentifier: Deidentifier, folder: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    deidentifier.run(folder, out)
    (out / "astronaut.jpg").unlink()
    assert outcomes(deidentifier.run(folder, out))["astronaut.jpg"] == "DONE"
    shutil.copy(PHOTOS / "admiral.jpg", folder / "astronaut.jpg")
    assert outcomes(deidentifier.run(folder, out))["astronaut.jpg"] == "REFUSED"
    assert outcomes(deidentifier.run(folder, out, overwrite=True))["astronaut.jpg"] == "DONE"


def test_a_dry_run_writes_pictures_to_look_at_and_no_outputs(
    deidentifier: Deidentifier, folder: Path, tmp_path: Path
) -> None:
    report = deidentifier.run(folder, tmp_path / "look", dry_run=True)
    assert report.count(Outcome.PREVIEWED) == 2
    assert sorted(written(tmp_path / "look")) == ["astronaut.jpg.preview.png", "deep/down/drum.gif.preview.png"]
    done = deidentifier.run(folder, tmp_path / "look")
    assert done.count(Outcome.DONE) == 2


def test_one_refused_file_writes_nothing_at_all(deidentifier: Deidentifier, folder: Path, tmp_path: Path) -> None:
    report = deidentifier.run(folder / "broken.jpg", tmp_path / "out" / "clean.jpg")
    assert outcomes(report) == {"broken.jpg": "REFUSED"}
    assert sorted(written(tmp_path / "out")) == ["clean.jpg.report.jsonl"]
    report = deidentifier.run(folder / "notes.txt", tmp_path / "notes.jpg")
    assert outcomes(report) == {"notes.txt": "REFUSED"}
    assert not (tmp_path / "notes.jpg").exists()


def test_outputs_of_two_files_that_would_have_one_name_do_not_meet(deidentifier: Deidentifier, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    small = Image.open(PHOTOS / "drum.jpg").resize((90, 60))
    small.save(tmp_path / "in" / "a.gif")
    small.save(tmp_path / "in" / "a.gif.png")
    report = deidentifier.run(tmp_path / "in", tmp_path / "out")
    assert sorted(outcomes(report).values()) == ["DONE", "REFUSED"]
    assert [one.code for one in report.refused] == ["ALREADY_EXISTS"]


def test_names_that_are_not_text_are_reported_and_resumed(deidentifier: Deidentifier, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    name = b"caf\xe9 \xf0\x9f\x90\x88.png".decode("utf-8", "surrogateescape")
    Image.open(PHOTOS / "drum.jpg").resize((90, 60)).save(tmp_path / "in" / "plain.png")
    (tmp_path / "in" / "plain.png").rename(tmp_path / "in" / name)
    assert outcomes(deidentifier.run(tmp_path / "in", tmp_path / "out")) == {name: "DONE"}
    assert outcomes(deidentifier.run(tmp_path / "in", tmp_path / "out")) == {name: "ALREADY"}


def test_nothing_starts_when_the_input_or_the_report_is_wrong(
    deidentifier: Deidentifier, folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "mine.txt").write_text("my own notes\n")
    for source, target, report in (
        (tmp_path / "nowhere", tmp_path / "out", None),
        (folder, folder / "out", None),
        (folder, tmp_path / "out", tmp_path / "mine.txt"),
    ):
        with pytest.raises(InvalidInput):
            deidentifier.run(source, target, report=report)
    assert not (tmp_path / "out").exists()
    assert (tmp_path / "mine.txt").read_text() == "my own notes\n"


def test_bytes_in_bytes_out(deidentifier: Deidentifier) -> None:
    data = (PHOTOS / "astronaut.jpg").read_bytes()
    assert deidentifier.clean(data).covered == deidentifier.preview(data).covered == 1
    for other in (b"words", bytes(128) + b"DICM"):
        with pytest.raises(ImageRefused):
            deidentifier.clean(other)


def test_files_at_once_give_what_files_in_turn_give(folder: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    for at in range(3):
        Image.fromarray(rng.integers(0, 255, (6, 8, 3), np.uint8)).resize((160, 120)).save(folder / f"{at}.png")
    for workers in (1, 4):
        with Deidentifier(workers=workers) as one:
            one.run(folder, tmp_path / f"out-{workers}")
    assert written(tmp_path / "out-1") == written(tmp_path / "out-4")
