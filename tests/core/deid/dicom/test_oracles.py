"""Held against the tools that people use: what each leaves of one object, and whether it reads what we write."""

from __future__ import annotations

import io
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

import pydicom
import pytest
from dicomanonymizer import anonymize_dicom_file
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian

from tests.core.deid.dicom.planting import CLASSES, SYNTAXES, Planted, base_object, finish, graphics, planted, secret
from unseen.deid.dicom.cleaned import pixels_cleaned
from unseen.deid.dicom.deidentify import deidentify

NAMED = [
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "OtherPatientIDs",
    "OtherPatientNames",
    "PatientBirthName",
    "PatientMotherBirthName",
    "PatientAddress",
    "PatientTelephoneNumbers",
    "PatientComments",
    "MedicalRecordLocator",
    "Occupation",
    "AdditionalPatientHistory",
    "AccessionNumber",
    "InstitutionName",
    "InstitutionAddress",
    "InstitutionalDepartmentName",
    "ReferringPhysicianName",
    "PerformingPhysicianName",
    "OperatorsName",
    "StationName",
    "StudyDescription",
    "SeriesDescription",
    "StudyID",
    "DeviceSerialNumber",
    "ProtocolName",
    "ImageComments",
    "StudyDate",
    "CurrentPatientLocation",
]
"""Attributes that Table E.1-1 names: what a tool that follows it must clean."""


def object_with_43_problems() -> Planted:
    """Identifiers where every tool looks, and where some do not."""
    chance = random.Random(43)
    dataset = base_object("CT", 43)
    fragments = []
    for keyword in NAMED:
        value, fragment = secret(pydicom.datadict.dictionary_VR(keyword), chance)
        setattr(dataset, keyword, value)
        fragments.append((keyword, fragment))
    for outer, keyword in (
        ("RequestAttributesSequence", "ScheduledProcedureStepDescription"),
        ("OtherPatientIDsSequence", "PatientID"),
        ("ReferencedStudySequence", "ReferencedSOPInstanceUID"),
    ):
        item = Dataset()
        value, fragment = secret(pydicom.datadict.dictionary_VR(keyword), chance)
        setattr(item, keyword, value)
        setattr(dataset, outer, Sequence([item]))
        fragments.append((f"{outer}/{keyword}", fragment))
    block = dataset.private_block(0x0011, "ACME PACS", create=True)
    for place, add in (("private with creator", lambda v: block.add_new(1, "LO", v)), ("private without", None)):
        value, fragment = secret("LO", chance)
        if add is not None:
            add(value)
        else:
            dataset.add_new(0x00131001, "LO", value)
        fragments.append((place, fragment))
    drawn = dict(graphics(dataset, chance))
    for tag in (0x60001500, 0x60000022, 0x50002500):
        del dataset[tag]
    fragments += [
        (place, fragment)
        for place, fragment in drawn.items()
        if place.split("(")[1][:9] in {"6000,3000", "6000,4000", "5000,3000"}
    ]
    dataset.BurnedInAnnotation = "YES"
    source = finish(dataset, fragments, chance, ExplicitVRLittleEndian)
    elsewhere = {"meta SendingApplicationEntityTitle", "meta ImplementationVersionName", "meta creator", "meta private"}
    source.fragments = [(place, fragment) for place, fragment in source.fragments if place not in elsewhere]
    return source


def left(source: Planted, output: bytes) -> set[str]:
    """What is left, the flag that says that the picture holds identifiers counted too."""
    flag = pydicom.dcmread(io.BytesIO(output)).get("BurnedInAnnotation", "") == "YES"
    return set(source.left_in(output)) | ({"BurnedInAnnotation"} if flag else set())


@pytest.fixture(scope="module")
def source() -> Planted:
    return object_with_43_problems()


def test_there_are_43_problems(source: Planted) -> None:
    assert len(source.fragments) + 1 == 43
    assert len(left(source, source.data)) == 43


def test_ours_leaves_none_of_43_once_the_pixels_are_declared_clean(source: Planted, site_key: bytes) -> None:
    result = deidentify(source.data, site_key=site_key)
    assert left(source, result.data) == {"BurnedInAnnotation"}
    assert left(source, pixels_cleaned(result).data) == set()


def test_dicom_anonymizer_leaves_three(source: Planted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    counted = (f"2.25.{number}" for number in range(1, 1000))  # the digits of random ones may spell a planted date
    monkeypatch.setattr(pydicom.uid, "generate_uid", lambda *_, **__: pydicom.uid.UID(next(counted)))
    (tmp_path / "in.dcm").write_bytes(source.data)
    anonymize_dicom_file(str(tmp_path / "in.dcm"), str(tmp_path / "out.dcm"))
    output = (tmp_path / "out.dcm").read_bytes()
    assert left(source, output) == {"meta SourceApplicationEntityTitle", "preamble", "BurnedInAnnotation"}


@pytest.mark.skipif(shutil.which("Orthanc") is None, reason="Orthanc is not installed: make system")
def test_orthanc_leaves_four_and_accepts_what_ours_writes(source: Planted, tmp_path: Path, site_key: bytes) -> None:
    (tmp_path / "0.dcm").write_bytes(source.data)
    (tmp_path / "1.dcm").write_bytes(deidentify(source.data, site_key=site_key).data)
    as_root = [] if os.geteuid() == 0 else ["--map-root-user"]
    child = Path(__file__).with_name("orthanc_child.py")
    subprocess.run(["unshare", "--net", *as_root, sys.executable, str(child), str(tmp_path)], check=True)
    again = pydicom.dcmread(tmp_path / "1.dcm.out")
    assert again.PixelData == source.dataset.PixelData
    remaining = left(source, (tmp_path / "0.dcm.out").read_bytes())
    assert {place.split("(")[-1][:9] for place in remaining} == {"6000,3000", "6000,4000", "5000,3000", "BurnedInA"}


@pytest.mark.skipif(shutil.which("dcmdump") is None, reason="dcmtk is not installed: make system")
@pytest.mark.parametrize("syntax", SYNTAXES)
def test_dcmdump_reads_what_ours_writes_and_complains_of_nothing(syntax: str, tmp_path: Path, site_key: bytes) -> None:
    paths = []
    for seed, modality in enumerate(CLASSES):
        paths.append(tmp_path / f"{modality}.dcm")
        paths[-1].write_bytes(deidentify(planted(modality, 500 + seed, syntax).data, site_key=site_key).data)
    result = subprocess.run(["dcmdump", "+E", *map(str, paths)], capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (0, "")


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_pydicom_reads_what_ours_writes_and_finds_every_value_valid(syntax: str, site_key: bytes) -> None:
    output = deidentify(planted("MR", 900, syntax).data, site_key=site_key).data
    dataset = pydicom.dcmread(io.BytesIO(output))
    with pydicom.config.strict_reading():
        for element in dataset.iterall():
            assert element.value is not None or element.VM == 0 or element.is_empty
    assert output[:128] == bytes(128)
    assert {element.keyword for element in dataset.file_meta} == {
        "FileMetaInformationGroupLength",
        "FileMetaInformationVersion",
        "MediaStorageSOPClassUID",
        "MediaStorageSOPInstanceUID",
        "TransferSyntaxUID",
        "ImplementationClassUID",
        "ImplementationVersionName",
    }
