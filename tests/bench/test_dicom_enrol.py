"""A sample of the bench that enrols real DICOM files: every file has an outcome, and slices find themselves."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.dicom_enrol import chosen_files, measured
from bench.real_dicom import pydicom_files

SAMPLE = {
    "CT_small.dcm",
    "MR_small.dcm",
    "MR_small_RLE.dcm",
    "693_J2KI.dcm",
    "MR_truncated.dcm",
    "rtplan.dcm",
    "README.txt",
}


def sample() -> Iterator[tuple[str, bytes]]:
    for name, data in pydicom_files():
        if name.partition("/")[2] in SAMPLE:
            yield name, data


def test_every_file_is_enrolled_or_refused_with_a_reason_and_slices_find_themselves() -> None:
    figures = measured(sample, ["files", "itself"], pictures=2, slices=0)
    files = figures["files"]
    assert files["files"] == files["passed over"] + files["objects"] + files["refused"]
    assert (files["pictures enrolled"], files["objects stood for"]) == (3, 1)
    assert sum(files["reasons"].values()) == files["refused"] == 2
    assert (files["children that died"], files["of those refused"]) == (0, {})
    itself = figures["itself"]
    assert itself["pictures"] == 3
    for kind in ("windows", "syntaxes", "crops"):
        found, _, tried = itself[kind].partition(" of ")
        assert found == tried != "0"


def test_large_frames_that_are_left_out_are_named_and_what_has_no_frame_stays(
    capsys: pytest.CaptureFixture[str],
) -> None:
    small = [name for name, _ in chosen_files(Path("nowhere"), ["pydicom"], megapixels=0.1)]
    told = capsys.readouterr().out
    assert {"pydicom/CT_small.dcm", "pydicom/README.txt"} < set(small)
    assert "left out, 262144 pixels: pydicom/liver_1frame.dcm" in told
    assert len(small) + len(told.splitlines()) == len(list(pydicom_files()))
