"""Reports into the real server beside the pictures of their studies: linked, cleaned, once, revealed, erased."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from bench.gateway_hostile import inflated
from tests.client.dicom.objects import as_file, slice_of
from tests.client.real_server import RealServer
from tests.core.deid.dicom.reports import nested, report, text
from tests.core.governance.written import terms
from unseen.errors import RowNotFound
from unseen_client import Client, DicomEnrolReport, Query
from unseen_client.deid.kinds import HEAD_BYTES
from unseen_client.demo.proxy import RecordingProxy
from unseen_client.demo.unwrap import views
from unseen_client.dicom.source import DicomSource
from unseen_client.keys.controller_keys import ControllerKeys
from unseen_client.records import encode_record

STUDIES = 3
MODEL = "bundled+dicom"
WORDS = ("a picture of a hand", "a picture of a dog", "a picture of a car")
SECRETS = ("Zaphodia", "Quixelbert", "Trumblethwaite", "Vexmoor", "QZ-774411", "555-0199234", "h0use@clinic.example")
"""Name parts, physician, institution, accession and telephone numbers and an address, in every study's report."""
PLANTED = (
    "ZAPHODIA Quixelbert, born 12.07.1961, was seen by Dr. Trumblethwaite at Vexmoor on 5 March 2024. Acc QZ774411, "
    "call 555-0199234 or h0use@clinic.example. Quixel-\nbert, Z., has no nodule."
)


def planted(study: int) -> list[bytes]:
    """A slice and a report of one study, full of names."""
    objects = [slice_of(study), report(study, text(WORDS[study]), nested(6, PLANTED))]
    for dataset in objects:
        dataset.PatientName, dataset.PatientBirthDate = "QUIXELBERT^ZAPHODIA", "19610712"
        dataset.StudyDate, dataset.AccessionNumber = "20240305", "QZ-774411"
        dataset.ReferringPhysicianName, dataset.InstitutionName = "Trumblethwaite^Ann", "Vexmoor Infirmary"
        dataset.PatientTelephoneNumbers = "555-0199234"
    return [as_file(dataset) for dataset in objects]


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three studies with a slice and a report each, one of them with a text; beside them, what is refused."""
    folder = tmp_path_factory.mktemp("archive")
    for study in range(STUDIES):
        (folder / str(study)).mkdir()
        for at, data in enumerate(planted(study)):
            (folder / str(study) / f"{at}.dcm").write_bytes(data)
    (folder / "0" / "note.TXT").write_text("A dog. Zaphodia's second reading, signed by Ann Trumblethwaite.")
    (folder / "1" / "latin.txt").write_bytes("Befund f\u00fcr Z.".encode("latin-1"))
    (folder / "1" / "empty.txt").write_text("")
    (folder / "alone.txt").write_text("nobody's")
    (folder / "both").mkdir()
    (folder / "both" / "0.dcm").write_bytes(planted(0)[0])
    (folder / "both" / "1.dcm").write_bytes(as_file(report(9, text("no nodule"), patient="")))
    (folder / "both" / "whose.txt").write_text("of whichever of the two")
    (folder / "nobody.dcm").write_bytes(as_file(report(8, text("no nodule"), patient="")))
    return folder


@pytest.fixture(scope="module")
def enrolled(
    server: RealServer, archive: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Client, DicomEnrolReport, list[bytes]]]:
    """A device that has enrolled the archive into "reports", and what the server received of it."""
    host, _, port = server.address.rpartition(":")
    home = tmp_path_factory.mktemp("device")
    with RecordingProxy(host, int(port)) as proxy, Client(proxy.address, home=home) as client:
        ControllerKeys(home).make("controller")
        client.create_collection("reports", model=MODEL)
        client.set_policy("reports", terms(lawful_basis="eu-gdpr:A6-1-e"))
        report = client.enrol_dicom("reports", archive, reports_beside=True)
        yield client, report, proxy.received()


def test_reports_become_rows_of_words_of_the_study_of_their_pictures(
    enrolled: tuple[Client, DicomEnrolReport, list[bytes]],
) -> None:
    client, report, _ = enrolled
    assert (report.reports, report.enrolled, report.studies) == (STUDIES + 1, 2 * STUDIES + 1, STUDIES)
    assert {(Path(one.source).name, one.reason.split(",")[0]) for one in report.refused} == {
        ("nobody.dcm", "the object does not name its patient"),
        ("latin.txt", "the text is not in UTF-8; convert it first"),
        ("empty.txt", "the text is empty; leave it out"),
        ("alone.txt", "no object of its study lies beside the text"),
        ("1.dcm", "the object does not name its patient"),
        ("whose.txt", "no object of its study lies beside the text"),
    }
    records = client.list("reports")
    for study in {record.extra["study"] for record in records}:
        of_study = [record for record in records if record.extra["study"] == study]
        assert {record.extra["patient"] for record in of_study} == {of_study[0].extra["patient"]}
        assert {record.extra.get("kind") for record in of_study} == {None, "text"}
    texts = [record.caption for record in records if record.extra.get("kind") == "text"]
    assert any("[NAME], [DATE], was seen by [NAME] at [PLACE] on [DATE]" in caption for caption in texts)
    assert "A dog. [NAME]'s second reading, signed by [NAME]." in texts


def test_no_planted_name_is_in_a_record_nor_in_what_left_the_device(
    enrolled: tuple[Client, DicomEnrolReport, list[bytes]],
) -> None:
    client, _, received = enrolled
    needles = [form(secret).encode() for secret in SECRETS for form in (str, str.upper, str.lower)]
    for record in client.list("reports"):
        assert [needle for needle in needles if needle in encode_record(record)] == []
    looked_at = [view for run in received if run for view in views(run).values()]
    looked_at += [inner for view in received for inner in inflated(view)]
    assert sum(map(len, received)) > 10_000
    assert [needle for view in looked_at for needle in needles if needle in view] == []
    original = planted(0)[1]
    assert all(secret.encode() in original for secret in ("QUIXELBERT", "Trumblethwaite", "Vexmoor", "QZ-774411"))
    assert list(inflated(bytes(9) + zlib.compress(original) + bytes(9))) == [original]  # the search is not blind


def test_a_picture_finds_reports_and_words_find_pictures_and_reports(
    enrolled: tuple[Client, DicomEnrolReport, list[bytes]], archive: Path
) -> None:
    client, _, _ = enrolled
    found = client.search(
        "reports", Query.picture(archive / "1" / "0.dcm"), purpose="care", top_k=5, where="kind = text"
    )
    assert len(found) == STUDIES
    assert all(hit.record.extra["kind"] == "text" for hit in found)
    for words in WORDS:
        (best,) = client.search("reports", Query.words(words), purpose="care", top_k=1, where="kind = text")
        assert words.rsplit(maxsplit=1)[-1] in best.record.caption  # a short note of a dog may come before the report
    pictures = client.search("reports", Query.words("a scan"), purpose="care", top_k=5, where="kind != text")
    assert len(pictures) == STUDIES
    studies = client.search("reports", Query.words("a scan"), purpose="care", top_k=9)
    assert len(studies) == len({hit.record.extra["study"] for hit in studies}) == STUDIES


def test_reports_are_enrolled_once_revealed_and_erased_like_pictures(
    enrolled: tuple[Client, DicomEnrolReport, list[bytes]], archive: Path
) -> None:
    client, first, _ = enrolled
    again = client.enrol_dicom("reports", archive, reports_beside=True)
    assert (again.enrolled, set(again.already)) == (0, set(first.ids))
    client.grant_reveal("reports")
    records = client.list("reports")
    ways = {record.id: client.reveal("reports", record.id, reason="test") for record in records}
    source = report(0, text("any"))
    (object_row,) = [row for row, way in ways.items() if way.instance == source.SOPInstanceUID]
    (text_row,) = [row for row, way in ways.items() if way.source.endswith("note.TXT")]
    assert ways[text_row].study == ways[object_row].study == source.StudyInstanceUID
    assert ways[text_row].instance == ""
    similar = client.similar_studies("reports", str(source.StudyInstanceUID), reason="test", purpose="care")
    assert len(similar) == STUDIES - 1
    patient = next(record.extra["patient"] for record in records if record.id == text_row)
    of_patient = [record.id for record in records if record.extra["patient"] == patient]
    assert client.erase_subject("reports", patient).certificate.rows == len(of_patient) == 3
    for row in of_patient:
        with pytest.raises(RowNotFound):
            client.reveal("reports", row, reason="test")


def test_texts_are_passed_over_unless_somebody_says_that_they_are_reports(
    client: Client, name: str, archive: Path
) -> None:
    client.create_collection(name, model=MODEL)
    report = client.enrol_dicom(name, [archive / "0" / "1.dcm", archive / "0" / "note.TXT"])
    (refused,) = report.refused
    assert report.reports == 1
    assert refused.reason.startswith("got a file that is no DICOM object")


def test_a_text_is_nobodys_where_two_studies_lie_beside_it_however_they_are_named(
    enrolled: tuple[Client, DicomEnrolReport, list[bytes]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for study in (1, 2):
        (tmp_path / f"{study}.dcm").write_bytes(planted(study)[0])
    (tmp_path / "whose.txt").write_text("of whichever of the two")
    monkeypatch.chdir(tmp_path)
    named = [tmp_path / "1.dcm", Path("2.dcm"), tmp_path / "whose.txt"]
    report = enrolled[0].enrol_dicom("reports", named, reports_beside=True)
    assert (report.objects, report.reports, [Path(one.source).name for one in report.refused]) == (2, 0, ["whose.txt"])


@dataclass(frozen=True)
class Held:
    """An object that is no file, whatever it is called."""

    name: str
    data: bytes
    origin: str = "memory"

    def head(self) -> bytes:
        return self.data[:HEAD_BYTES]

    def read(self) -> bytes:
        return self.data


def test_what_is_no_file_is_read_itself_and_lies_beside_no_text(
    enrolled: tuple[Client, DicomEnrolReport, list[bytes]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "held.txt").write_text("a file that nobody named")
    (tmp_path / "note.txt").write_text("of a study that does not lie here")
    monkeypatch.chdir(tmp_path)
    named: list[Path | DicomSource] = [Held("held.txt", planted(1)[0]), Path("note.txt")]
    report = enrolled[0].enrol_dicom("reports", named, reports_beside=True)
    assert (report.objects, report.reports, [one.source for one in report.refused]) == (1, 0, ["note.txt"])


def test_a_refused_object_that_is_no_file_takes_no_study_from_a_text(
    enrolled: tuple[Client, DicomEnrolReport, list[bytes]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "0.dcm").write_bytes(planted(1)[0])
    (tmp_path / "note.txt").write_text("a second look")
    monkeypatch.chdir(tmp_path)
    named: list[Path | DicomSource] = [Path("0.dcm"), Path("note.txt"), Held("1.dcm", b"no object")]
    report = enrolled[0].enrol_dicom("reports", named, reports_beside=True)
    assert (report.objects, report.reports, [one.source for one in report.refused]) == (2, 1, ["1.dcm"])
