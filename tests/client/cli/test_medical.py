"""`unseen enrol-dicom` and `unseen reveal` as people meet them."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.client.dicom.objects import as_file, slice_of
from unseen.errors import InvalidInput
from unseen_client import Client
from unseen_client.cli.medical import require_base, wado_path
from unseen_client.dicom.crosswalk import WayBack

Run = Callable[..., "subprocess.CompletedProcess[str]"]


def test_from_a_folder_of_objects_to_the_real_study(unseen: Run, client: Client, name: str, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "sound").write_bytes(as_file(slice_of(1)))
    (tmp_path / "in" / "cut").write_bytes(as_file(slice_of(2))[:-10])
    client.create_collection(name, model="bundled+dicom")
    done = unseen("enrol-dicom", name, tmp_path / "in", "--json")
    assert done.returncode == 4, done.stderr
    told = json.loads(done.stdout)
    assert (told["enrolled"], told["objects"], told["studies"]) == (1, 1, 1)
    assert "cut short" in told["refused"][0]["reason"]
    (row,) = told["ids"]
    assert unseen("reveal-grant", name, "--days", "1").returncode == 0
    shown = unseen("reveal", name, row, "--reason", "second reading", "--pacs", "https://pacs.example/dicom-web/")
    assert shown.returncode == 0, shown.stderr
    source = slice_of(1)
    path = f"studies/{source.StudyInstanceUID}/series/{source.SeriesInstanceUID}/instances/{source.SOPInstanceUID}"
    assert f"https://pacs.example/dicom-web/{path}/frames/1" in shown.stdout
    assert str(tmp_path / "in" / "sound") in shown.stdout


def test_an_object_whose_names_are_no_uids_has_no_path_in_a_pacs() -> None:
    for study in ("", "..", "1.2/../../admin", "1?x=", "1.2."):
        assert wado_path("https://pacs.example", WayBack(study, "1.2", "1.3", 1, "x")) is None
    assert (
        wado_path("https://p/", WayBack("1", "2", "3", 4, "x")) == "https://p/studies/1/series/2/instances/3/frames/4"
    )


@pytest.mark.parametrize("wrong", ["pacs.example", "ftp://pacs.example", "https://pacs example"])
def test_what_is_no_address_of_a_pacs_is_refused(wrong: str) -> None:
    with pytest.raises(InvalidInput):
        require_base(wrong)
