"""What each option keeps, and that it keeps nothing else; what is recorded in the object."""

from __future__ import annotations

import io
import random
import struct

import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import UID

from tests.core.deid.dicom.planting import as_file, base_object, finish, planted
from unseen.deid.dicom.deidentify import deidentify
from unseen.deid.dicom.options import EDITION, Option
from unseen.errors import InvalidConfiguration

EXPLICIT = "1.2.840.10008.1.2.1"


def person() -> Dataset:
    """An object whose every attribute is named by some option."""
    dataset = base_object("MR", 5)
    dataset.PatientName, dataset.PatientID, dataset.PatientBirthDate = "DOE^JANE", "MRN-88123", "19700102"
    dataset.PatientSex, dataset.PatientAge, dataset.PatientWeight, dataset.PatientSize = "F", "053Y", "61.5", "1.71"
    dataset.Allergies = "PENICILLIN"
    dataset.StudyDate, dataset.StudyTime, dataset.AcquisitionDateTime = "20230512", "101530", "20230512101545.25"
    dataset.InstitutionName, dataset.InstitutionAddress = "ST ELSEWHERE", "1 MAIN STREET"
    dataset.StationName, dataset.DeviceSerialNumber, dataset.ManufacturerModelName = "MRC7", "SN-4711", "Avanto"
    dataset.StudyDescription, dataset.SeriesDescription = "KNEE OF DOE", "T1"
    dataset.FrameOfReferenceUID = "1.2.3.99"
    dataset.Manufacturer = "SIEMENS"
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = "1.2.840.10008.5.1.4.1.1.4", "1.2.3.100"
    dataset.ReferencedImageSequence = Sequence([item])
    return dataset


def run(dataset: Dataset, site_key: bytes, *options: Option) -> Dataset:
    source = as_file(finish(dataset, [], random.Random(0), EXPLICIT).dataset)
    return pydicom.dcmread(io.BytesIO(deidentify(source, site_key=site_key, options=frozenset(options)).data))


def test_the_basic_profile_leaves_the_picture_and_empties_the_rest(site_key: bytes) -> None:
    result = run(person(), site_key)
    assert (str(result.PatientName), result.PatientBirthDate, result.PatientSex, result.StudyDate) == ("", "", "", "")
    assert len(result.PatientID) == 16
    assert (result.InstitutionName, result.StationName, result.DeviceSerialNumber) == ("REMOVED",) * 3
    assert result.AcquisitionDateTime == "19000101000000"
    for gone in ("PatientAge", "PatientWeight", "InstitutionAddress", "StudyDescription", "ManufacturerModelName"):
        assert gone not in result
    assert (result.Modality, result.Manufacturer, result.PixelSpacing) == ("MR", "SIEMENS", [0.5, 0.5])
    assert result.ReferencedImageSequence[0].ReferencedSOPInstanceUID.startswith("2.25.")
    assert result.ReferencedImageSequence[0].ReferencedSOPClassUID == "1.2.840.10008.5.1.4.1.1.4"


def test_what_was_done_is_recorded(site_key: bytes) -> None:
    result = run(person(), site_key, Option.RETAIN_UIDS, Option.CLEAN_GRAPHICS)
    assert result.PatientIdentityRemoved == "YES"
    assert result.DeidentificationMethod == f"Unseen; DICOM PS3.15 {EDITION} Table E.1-1"
    codes = [(code.CodeValue, code.CodingSchemeDesignator) for code in result.DeidentificationMethodCodeSequence]
    assert codes == [("113100", "DCM"), ("113103", "DCM"), ("113110", "DCM")]
    assert result.LongitudinalTemporalInformationModified == "REMOVED"


def test_a_method_that_the_source_claims_is_not_taken_over(site_key: bytes) -> None:
    dataset = person()
    dataset.DeidentificationMethod = "DONE BY DOE"
    assert "DOE" not in run(dataset, site_key).DeidentificationMethod


@pytest.mark.parametrize(
    ("option", "kept"),
    [
        (Option.RETAIN_PATIENT_CHARACTERISTICS, {"PatientSex": "F", "PatientAge": "053Y", "PatientWeight": 61.5}),
        (
            Option.RETAIN_INSTITUTION_IDENTITY,
            {"InstitutionName": "ST ELSEWHERE", "InstitutionAddress": "1 MAIN STREET"},
        ),
        (
            Option.RETAIN_DEVICE_IDENTITY,
            {"StationName": "MRC7", "DeviceSerialNumber": "SN-4711", "ManufacturerModelName": "Avanto"},
        ),
        (
            Option.RETAIN_UIDS,
            {"FrameOfReferenceUID": "1.2.3.99", "StudyInstanceUID": "1.2.826.0.1.3680043.10.511.3.5.2"},
        ),
        (
            Option.RETAIN_LONGITUDINAL_FULL_DATES,
            {"StudyDate": "20230512", "StudyTime": "101530", "LongitudinalTemporalInformationModified": "UNMODIFIED"},
        ),
    ],
)
def test_an_option_keeps_what_it_names_and_nothing_else(
    option: Option, kept: dict[str, object], site_key: bytes
) -> None:
    with_option, without = run(person(), site_key, option), run(person(), site_key)
    assert {name: with_option.get(name) for name in kept} == kept
    assert all(without.get(name) != value for name, value in kept.items())
    changed = {element.keyword for element in with_option if element != without.get(element.tag)}
    family = {
        Option.RETAIN_PATIENT_CHARACTERISTICS: {"PatientSize"},
        Option.RETAIN_UIDS: {"SOPInstanceUID", "SeriesInstanceUID", "ReferencedImageSequence"},
        Option.RETAIN_LONGITUDINAL_FULL_DATES: {"AcquisitionDateTime"},
    }.get(option, set())
    assert changed == set(kept) | family | {"DeidentificationMethodCodeSequence"}


def test_free_text_of_patient_characteristics_is_not_kept(site_key: bytes) -> None:
    assert "Allergies" not in run(person(), site_key, Option.RETAIN_PATIENT_CHARACTERISTICS)


def test_ages_above_89_become_90(site_key: bytes) -> None:
    dataset = person()
    for age, expected in (("089Y", "089Y"), ("090Y", "090Y"), ("097Y", "090Y"), ("104Y", "090Y"), ("011M", "011M")):
        dataset.PatientAge = age
        assert run(dataset, site_key, Option.RETAIN_PATIENT_CHARACTERISTICS).PatientAge == expected


def test_text_does_not_pass_as_a_date_a_number_or_an_age(site_key: bytes) -> None:
    source = as_file(finish(person(), [], random.Random(0), EXPLICIT).dataset)
    forged = source.replace(b"20230512", b"JANE DOE").replace(b"61.5", b"DOE1").replace(b"053Y", b"JANE")
    options = frozenset({Option.RETAIN_LONGITUDINAL_FULL_DATES, Option.RETAIN_PATIENT_CHARACTERISTICS})
    result = deidentify(forged, site_key=site_key, options=options)
    assert b"JANE" not in result.data
    assert b"DOE1" not in result.data


def test_safe_private_numbers_stay_with_their_creator_and_nothing_else_does(site_key: bytes) -> None:
    dataset = person()
    block = dataset.private_block(0x0019, "SIEMENS MR HEADER", create=True)
    block.add_new(0x0C, "IS", "1000")
    block.add_new(0x0E, "FD", [0.0, 1.0, 0.0])
    block.add_new(0x0F, "SH", "DOE JANE")
    other = dataset.private_block(0x0021, "SIEMENS MR HEADER", create=True)
    other.add_new(0x0C, "IS", "1000")
    result = run(dataset, site_key, Option.RETAIN_SAFE_PRIVATE)
    kept = result.private_block(0x0019, "SIEMENS MR HEADER")
    assert kept[0x0C].value == 1000
    assert kept[0x0E].value == [0.0, 1.0, 0.0]
    assert 0x0F not in kept
    assert [element.tag for element in result if element.tag.group == 0x0021] == []
    assert [element for element in run(dataset, site_key) if element.tag.is_private] == []


def test_both_date_options_at_once_are_refused(site_key: bytes) -> None:
    both = frozenset({Option.RETAIN_LONGITUDINAL_FULL_DATES, Option.RETAIN_LONGITUDINAL_MODIFIED_DATES})
    with pytest.raises(InvalidConfiguration, match="both date options"):
        deidentify(b"", site_key=site_key, options=both)


def test_every_option_alone_leaves_no_name_and_no_private_text(site_key: bytes) -> None:
    source = planted("CT", 4242, EXPLICIT)
    never = ("private", "graphics", "preamble", "meta", "(0010,0010)", "(0010,0020)", "(0010,1040)")
    for option in Option:
        left = source.left_in(deidentify(source.data, site_key=site_key, options=frozenset({option})).data)
        assert [place for place in left if place.startswith(never)] == []


@pytest.mark.parametrize("charset", ["ISO_IR 192", "ISO 2022 IR 87", "ISO_IR 144", "GB18030"])
def test_names_in_other_scripts_leave_no_bytes_and_the_character_set_stays(charset: str, site_key: bytes) -> None:
    dataset = person()
    dataset.SpecificCharacterSet = charset if charset != "ISO 2022 IR 87" else ["", charset]
    encoded = {
        "ISO_IR 192": "山田^太郎",
        "ISO 2022 IR 87": "山田^太郎",
        "ISO_IR 144": "Иванова^Анна",
        "GB18030": "王^小东",
    }[charset]
    dataset.PatientName = encoded
    dataset.PatientComments = encoded
    dataset.InstitutionName = encoded
    source = as_file(finish(dataset, [], random.Random(0), EXPLICIT).dataset)
    raw = bytes(pydicom.dcmread(io.BytesIO(source)).get_item("PatientComments").value).strip()
    result = deidentify(source, site_key=site_key)
    assert raw in source
    assert raw not in result.data
    read = pydicom.dcmread(io.BytesIO(result.data))
    assert read.SpecificCharacterSet == dataset.SpecificCharacterSet
    kept = deidentify(source, site_key=site_key, options=frozenset({Option.RETAIN_INSTITUTION_IDENTITY}))
    assert pydicom.dcmread(io.BytesIO(kept.data)).InstitutionName == encoded


def test_coded_concepts_stay_with_the_standards_meaning_and_local_codes_go(site_key: bytes) -> None:
    def code(value: str, scheme: str, meaning: str) -> Dataset:
        item = Dataset()
        item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
        return item

    dataset = person()
    dataset.AnatomicRegionSequence = Sequence([code("72696002", "SCT", "KNEE OF DOE"), code("DOE7", "99LOCAL", "DOE")])
    dataset.ProcedureCodeSequence = Sequence([code("MRKNEE", "L", "DOE")])
    result = run(dataset, site_key)
    (region,) = result.AnatomicRegionSequence
    assert (region.CodeValue, str(region.CodeMeaning)) == ("72696002", "Knee region structure (body structure)")
    assert "ProcedureCodeSequence" not in result


def test_numbers_in_a_data_set_of_other_byte_order_pass_by_their_value(site_key: bytes) -> None:
    dataset = person()
    dataset.add_new(0x00280106, "US", 7)
    dataset.PixelData = struct.pack(">256H", *range(256))
    source = as_file(finish(dataset, [], random.Random(0), UID("1.2.840.10008.1.2.2")).dataset)
    result = pydicom.dcmread(io.BytesIO(deidentify(source, site_key=site_key).data))
    assert (result.SmallestImagePixelValue, result.Rows) == (7, 16)
    assert result.PixelData == dataset.PixelData
