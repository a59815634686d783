"""New UIDs, patient ids and dates: known answers, and the same ones across the files of a study and a patient."""

from __future__ import annotations

import hashlib
import hmac
from datetime import date
from io import BytesIO

import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.core.deid.dicom.planting import as_file, base_object, finish
from unseen.deid.dicom.deidentify import deidentify
from unseen.deid.dicom.options import Option
from unseen.deid.dicom.pseudonym import MOST_DAYS, Pseudonyms, moved_back
from unseen.errors import InvalidConfiguration

MODIFIED = frozenset({Option.RETAIN_LONGITUDINAL_MODIFIED_DATES})


def test_a_uid_is_the_keyed_hash_that_the_page_describes(site_key: bytes) -> None:
    digest = hmac.new(site_key, b"unseen dicom uid\x001.2.3", hashlib.sha256).digest()
    expected = f"2.25.{int.from_bytes(digest[:16], 'big')}"
    assert Pseudonyms(site_key).uid("1.2.3") == expected == "2.25.261044666713373626725164140335462246397"


@given(st.text("0123456789.", min_size=1, max_size=64))
def test_uids_are_valid_equal_for_equal_and_different_under_another_key(uid: str) -> None:
    one, again, other = Pseudonyms(bytes(32)).uid(uid), Pseudonyms(bytes(32)).uid(uid), Pseudonyms(b"\1" * 32).uid(uid)
    assert one == again != other
    assert pydicom.uid.UID(one).is_valid
    assert len(one) <= 64


@given(st.binary(max_size=40))
def test_days_stay_within_their_bounds(identity: bytes) -> None:
    assert 1 <= Pseudonyms(bytes(32)).days_back(identity) <= MOST_DAYS


@given(st.dates(date(1900, 1, 1), date(2100, 1, 1)), st.integers(0, 800), st.integers(1, MOST_DAYS))
def test_the_days_between_two_dates_stay(day: date, gap: int, days: int) -> None:
    later = date.fromordinal(day.toordinal() + gap)
    first, second = (moved_back(d.strftime("%Y%m%d"), "DA", days) for d in (day, later))
    assert first is not None
    assert second is not None
    assert date.fromisoformat(second).toordinal() - date.fromisoformat(first).toordinal() == gap


@pytest.mark.parametrize(
    ("text", "vr", "expected"),
    [
        ("20240301", "DA", "20240220"),
        ("2024.03.01", "DA", "20240220"),
        ("20240301101112.5+0100", "DT", "20240220101112.5+0100"),
        ("101112.123456", "TM", "101112.123456"),
        ("202403", "DT", None),
        ("2024", "DA", None),
        ("20240301-20240302", "DA", None),
        ("20241301", "DA", None),
        ("00010101", "DA", None),
        ("JANE DOE", "DA", None),
        ("20240301JANEDOE", "DT", None),
        ("10:11", "TM", None),
        ("", "DA", None),
    ],
)
def test_dates_move_or_are_not_exact_enough(text: str, vr: str, expected: str | None) -> None:
    assert moved_back(text, vr, 10) == expected


def test_a_short_key_is_refused() -> None:
    with pytest.raises(InvalidConfiguration, match="31 bytes, expected at least 32"):
        Pseudonyms(bytes(31))


def study(patient: str, seed: int, day: str) -> bytes:
    dataset = base_object("CT", seed)
    dataset.PatientID, dataset.StudyDate, dataset.ContentDate = patient, day, day
    dataset.StudyInstanceUID, dataset.FrameOfReferenceUID = "1.2.3.4", "1.2.3.5"
    return as_file(finish(dataset, [], __import__("random").Random(0), "1.2.840.10008.1.2.1").dataset)


def test_files_of_a_patient_keep_their_uids_in_common_and_their_days_apart(site_key: bytes) -> None:
    files = [study("PAT-1", 1, "20200110"), study("PAT-1", 2, "20200117"), study("PAT-2", 3, "20200110")]
    one, two, other = (
        pydicom.dcmread(BytesIO(deidentify(data, site_key=site_key, options=MODIFIED).data)) for data in files
    )
    assert one.StudyInstanceUID == two.StudyInstanceUID
    assert one.FrameOfReferenceUID == two.FrameOfReferenceUID
    assert one.SOPInstanceUID != two.SOPInstanceUID
    assert one.SOPInstanceUID == one.file_meta.MediaStorageSOPInstanceUID
    assert one.PatientID == two.PatientID != other.PatientID
    days = [date.fromisoformat(str(dataset.StudyDate)) for dataset in (one, two, other)]
    assert (days[1] - days[0]).days == 7
    assert days[0] < date(2020, 1, 10)
    assert days[2] != days[0]
    assert one.ContentDate == one.StudyDate
    assert one.LongitudinalTemporalInformationModified == "MODIFIED"


def test_without_a_patient_id_dates_move_by_study(site_key: bytes) -> None:
    one, two = (
        pydicom.dcmread(BytesIO(deidentify(study("", seed, "20200110"), site_key=site_key, options=MODIFIED).data))
        for seed in (1, 2)
    )
    assert one.StudyDate == two.StudyDate != "20200110"
