"""`unseen eval` on DICOM objects: found, prepared and refused as they are enrolled, each study no answer to itself."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest

from tests.client.dicom.objects import as_file, slice_of
from tests.client.real_server import RealServer
from tests.core.deid.dicom.reports import report, text
from unseen.embed.dicom_model import with_dicom
from unseen.embed.registry import default_registry
from unseen.errors import InvalidInput
from unseen_client.cli.app import app
from unseen_client.deid.dicom_settings import DicomSettings
from unseen_client.dicom.prepare import DicomPreparer
from unseen_client.dicom.representative import spread
from unseen_client.dicom.source import DicomFile
from unseen_client.evaluate.material import read_objects
from unseen_client.prepare import Preparer

OF_PYDICOM = Path(pydicom.__file__).parent / "data" / "test_files"
MODEL = "bundled+dicom"
GENERATED = {"CT/a": (1, 0, "CT"), "CT/deep/b": (1, 1, "CT"), "CT/c": (2, 0, "CT"), "MR/d": (3, 0, "MR")}
"""Study, place in its stack and modality, by label and name."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Objects of pydicom and generated ones by modality, and beside them what is refused or passed over."""
    made = tmp_path_factory.mktemp("modalities")
    for name, (study, at, modality) in GENERATED.items():
        (made / name).parent.mkdir(parents=True, exist_ok=True)
        (made / name).write_bytes(as_file(slice_of(study, at, modality)))
    for modality in ("CT", "MR"):
        shutil.copy(OF_PYDICOM / f"{modality}_small.dcm", made / modality / "small.dcm")
    shutil.copy(OF_PYDICOM / "CT_small.dcm", made / "CT" / "the-same-again.dcm")
    (made / "MR" / "cut.dcm").write_bytes((made / "MR" / "d").read_bytes()[:900])
    (made / "MR" / "report.dcm").write_bytes(as_file(report(4, text("no nodule"))))
    (made / "MR" / "DICOMDIR").write_bytes((made / "MR" / "d").read_bytes())
    (made / "MR" / "notes.txt").write_text("nobody's")
    (made / "without-label").write_bytes((made / "CT" / "a").read_bytes())
    return made


@pytest.fixture(scope="module")
def vectors(folder: Path) -> dict[str, tuple[str, str, np.ndarray]]:
    """Label, study and vector by file, as `unseen enrol-dicom` makes them."""
    with Preparer(MODEL, registry=with_dicom(default_registry()), workers=1) as preparer:
        objects = DicomPreparer(preparer, DicomSettings(site_key=bytes(32)), workers=1)
        made = {}
        for name in ["CT/a", "CT/c", "CT/deep/b", "CT/small.dcm", "MR/d", "MR/small.dcm"]:
            pictures = objects.pictures(DicomFile(folder / name), lambda placement: spread(placement.frames, 1))
            made[name] = (name[:2], pictures.placement.study, pictures.pictures[0].vector)
        objects.close()
    return made


def measured(folder: Path, home: Path, server: RealServer, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    options = ["--model", MODEL, "--json", "--home", home, "--curves", home.with_suffix(".png"), "-k", 1]
    options += ["--on-server", "--server", server.address]
    app(["eval", str(folder), *map(str, options)], standalone_mode=False)
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_objects_in_folders_of_labels_are_measured_as_they_would_be_enrolled(
    folder: Path,
    home: Path,
    server: RealServer,
    vectors: dict[str, tuple[str, str, np.ndarray]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    found = measured(folder, home, server, capsys)
    assert (found["pictures"], found["refused"]) == (len(vectors), 3)
    assert {reason[:24]: count for reason, count in found["reasons"].items()} == {
        "cut short: PixelData is ": 1, "the object holds no pict": 1, "the object is there alre": 1
    }  # fmt: skip
    assert not (home / "site-key.json").exists()
    lines = {(line["asked"], line["way"]): line for line in found["lines"]}
    assert {kind for kind, _ in lines} == {"pictures", "labels"}
    labels, studies, rows = (np.array(part) for part in zip(*vectors.values(), strict=True))
    scores = rows @ rows.T
    first_is_right = [
        max((score, label == labels[at]) for score, label, study in zip(line, labels, studies, strict=True)
            if study != studies[at])[1]
        for at, line in enumerate(scores)
    ]  # fmt: skip
    for way in ("float32, faces covered", "quantised", "encrypted"):
        assert lines["pictures", way]["questions"] == len(vectors)
        assert lines["pictures", way]["precision"]["1"] == pytest.approx(np.mean(first_is_right))


def test_what_is_no_folder_of_labelled_objects_is_refused(
    folder: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert sorted(str(item.path.relative_to(folder)) for item in read_objects(folder, 100)) == sorted([
        *GENERATED, "CT/small.dcm", "CT/the-same-again.dcm", "MR/cut.dcm", "MR/report.dcm", "MR/small.dcm"
    ])  # fmt: skip
    for given in (folder / "CT" / "a", folder / "MR"):
        with pytest.raises(InvalidInput):
            read_objects(given, 100)
    with pytest.raises(SystemExit):
        app(["eval", str(folder), "--model", MODEL, "--threshold", "0.5", "--home", str(home)], standalone_mode=False)
    assert "got options of faces" in capsys.readouterr().err
