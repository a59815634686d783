"""`unseen deid` on DICOM as people meet it: a folder in, valid objects out, a key that stays, no value in a report."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pydicom
from PIL import Image

from tests.client.dicom.objects import fix_site_key
from tests.core.deid.dicom.planting import as_file, base_object, planted
from tests.core.deid.text.lettering import page, write
from unseen_client.deid.site_key import mark_of

FOLDER = Path(pydicom.__file__).parent / "data/test_files"


def deid(*arguments: object, home: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from unseen_client.cli import main; main()", "deid", *map(str, arguments)]
    environment = {**os.environ, "UNSEEN_HOME": str(home)}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)


def test_a_folder_of_objects_is_cleaned_with_options_and_told_in_json(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    key = fix_site_key(tmp_path / "home")
    source = planted("CT", 3)
    (folder / "planted").write_bytes(source.data)
    shutil.copy(FOLDER / "MR_truncated.dcm", folder)
    (folder / "notes.txt").write_text("no picture")
    dataset = base_object("CT")
    dataset.PatientID, dataset.StudyDate = "4711", "20200131"
    (folder / "plain.dcm").write_bytes(as_file(dataset))
    options = ["--dicom-option", "modified_dates", "--dicom-option", "device", "--json"]
    done = deid(folder, tmp_path / "out", *options, home=tmp_path / "home")
    assert done.returncode == 4, done.stderr
    files = {one["source"]: one for one in json.loads(done.stdout)["files"]}
    assert files["MR_truncated.dcm"]["outcome"] == "refused"
    assert "cut short" in files["MR_truncated.dcm"]["reason"]
    assert files["planted"]["target"] == "planted.dcm"
    assert files["plain.dcm"]["facts"]["attributes"]["options"] == ["device", "modified_dates"]
    assert source.left_in((tmp_path / "out" / "planted.dcm").read_bytes()) == []
    assert source.left_in(done.stdout.encode() + (tmp_path / "out.report.jsonl").read_bytes()) == []
    assert pydicom.dcmread(tmp_path / "out" / "plain.dcm").StudyDate not in {"", "20200131"}
    assert f'"site_key_mark": "{mark_of(key)}"' in (tmp_path / "out.report.jsonl").read_text()


def test_text_in_photographs_is_covered_when_asked_for(tmp_path: Path) -> None:
    picture = page(240, 320, 60)
    box = write(picture, "DOE^JANE 4711", 40, 100, 24)
    picture.save(tmp_path / "note.png")
    assert deid(tmp_path / "note.png", tmp_path / "kept.png", home=tmp_path / "home").returncode == 0
    done = deid(tmp_path / "note.png", tmp_path / "covered.png", "--text", "always", "--json", home=tmp_path / "home")
    assert done.returncode == 0, done.stderr
    left, top, right, bottom = box
    kept, covered = (
        np.asarray(Image.open(tmp_path / name))[top:bottom, left:right] for name in ("kept.png", "covered.png")
    )
    assert kept.max() > 200
    assert covered.max() <= 60
    facts = json.loads(done.stdout)["files"][0]["facts"]
    assert len(facts["text"]) >= 1
    assert "DOE" not in done.stdout


def test_a_word_that_is_no_choice_ends_with_2(tmp_path: Path) -> None:
    for wrong in (["--text", "sometimes"], ["--dicom-option", "everything"]):
        assert deid(FOLDER / "CT_small.dcm", tmp_path / "out.dcm", *wrong, home=tmp_path / "home").returncode == 2
