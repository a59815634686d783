"""A sample of the bench that enrols real DICOM files: every file has an outcome, and slices find themselves."""

from __future__ import annotations

from collections.abc import Iterator

from bench.dicom_enrol import measured
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
