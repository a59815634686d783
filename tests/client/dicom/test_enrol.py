"""DICOM objects into the real server and back: nothing twice, nothing mixed, nothing named, hits that are studies."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.gateway import of_sources
from tests.client.dicom.objects import as_file, fix_site_key, slice_of
from tests.client.real_server import RealServer
from tests.core.deid.dicom.planting import planted
from tests.core.governance.written import terms
from unseen.errors import (
    ImageRefused,
    IntegrityError,
    InvalidConfiguration,
    InvalidInput,
    ModelMismatch,
    NotPermitted,
    RowNotFound,
)
from unseen_client import AsyncClient, Client, DicomEnrolReport
from unseen_client.deid.dicom_file import DicomPipeline
from unseen_client.demo.search_bytes import Needles
from unseen_client.keys.controller_keys import ControllerKeys
from unseen_client.records import encode_record

STUDIES, SLICES, PICTURES = 3, 4, 2
MODEL = "bundled+dicom"


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three studies of four slices, a cut file, a report and a text."""
    folder = tmp_path_factory.mktemp("archive")
    for study in range(STUDIES):
        (folder / f"DOE{study}").mkdir()
        for at in range(SLICES):
            (folder / f"DOE{study}" / f"{at}").write_bytes(as_file(slice_of(study, at)))
    (folder / "cut.dcm").write_bytes(as_file(slice_of(9))[:-100])
    (folder / "notes.txt").write_text("no picture")
    (folder / "DICOMDIR").write_bytes(bytes(128) + b"DICM")
    return folder


@pytest.fixture(scope="module")
def enrolled(
    server: RealServer, archive: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Client, DicomEnrolReport]]:
    """A device that has enrolled the archive into "scans-shared"."""
    with Client(server.address, home=tmp_path_factory.mktemp("device")) as client:
        client.create_collection("scans-shared", model=MODEL)
        yield client, client.enrol_dicom("scans-shared", archive, pictures_per_volume=PICTURES, tags=["teaching"])


def test_every_object_is_enrolled_stood_for_or_refused_with_a_reason(
    enrolled: tuple[Client, DicomEnrolReport],
) -> None:
    client, report = enrolled
    assert (report.objects, report.studies, report.series) == (STUDIES * SLICES, STUDIES, STUDIES)
    assert report.enrolled == report.searchable == STUDIES * PICTURES == client.count("scans-shared")
    assert report.stood_for == STUDIES * (SLICES - PICTURES)
    assert [(Path(one.source).name, "cut short" in one.reason) for one in report.refused] == [("cut.dcm", True)]
    assert (report.passed_over, report.complete) == (2, False)


def test_running_it_again_from_another_folder_enrols_nothing_twice(
    enrolled: tuple[Client, DicomEnrolReport], archive: Path, tmp_path: Path
) -> None:
    client, report = enrolled
    shutil.copytree(archive / "DOE1", tmp_path / "renamed")
    again = client.enrol_dicom("scans-shared", [archive, tmp_path / "renamed"], pictures_per_volume=PICTURES)
    assert (again.enrolled, set(again.already)) == (0, set(report.ids))
    assert client.count("scans-shared") == STUDIES * PICTURES


def test_records_hold_pseudonyms_and_nothing_that_names_anybody(
    enrolled: tuple[Client, DicomEnrolReport],
) -> None:
    client, _ = enrolled
    names = (b"DOE^", b"JANE", b"4711-", b"1.2.826")  # no pseudonym spells them by chance
    assert all(name in as_file(slice_of(0)) for name in names)
    records = client.list("scans-shared")
    assert {record.name for record in records} == {"CT CHEST"}
    assert {tuple(sorted(record.extra)) for record in records} == {
        ("body_part", "frame", "instance", "modality", "patient", "series", "study")
    }
    assert {record.tags for record in records} == {("teaching",)}
    for record in records:
        data = encode_record(record)
        assert [word for word in (*names, b"archive", b"DOE1") if word in data] == []
        assert record.extra["study"].startswith("2.25.")


def test_of_an_object_full_of_identifiers_none_is_in_its_record_nor_on_the_servers_disk(
    client: Client, server: RealServer, name: str, home: Path, tmp_path: Path
) -> None:
    fix_site_key(home)
    source = planted("CT", 3, "1.2.840.10008.1.2.1")
    needles = Needles(of_sources([source]))
    assert len(needles.found_in(source.data)) > 100
    (tmp_path / "planted").write_bytes(source.data)
    client.create_collection(name, model=MODEL)
    report = client.enrol_dicom(name, tmp_path / "planted")
    assert report.searchable == 1, report.refused
    (record,) = client.list(name)
    assert source.left_in(encode_record(record)) == []
    for path in server.data.rglob("*"):
        assert not path.is_file() or needles.found_in(path.read_bytes()) == set()


def test_hits_are_studies_with_their_best_picture(enrolled: tuple[Client, DicomEnrolReport], archive: Path) -> None:
    client, _ = enrolled
    chosen = client.list("scans-shared")[0]
    hits = client.search_image("scans-shared", archive / "DOE1" / "3", top_k=10)
    assert len(hits) == len({hit.record.extra["study"] for hit in hits}) == STUDIES
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
    assert chosen.vector is not None
    best = client.search_vector("scans-shared", chosen.vector, top_k=1)[0]
    assert (best.id, best.score > 0.99) == (chosen.id, True)
    others = client.search_like("scans-shared", chosen.id, top_k=10)
    assert chosen.extra["study"] not in {hit.record.extra["study"] for hit in others}
    assert len(others) == STUDIES - 1
    assert len(client.search_text("scans-shared", "a bright spot", top_k=2)) == 2


def test_photographs_and_objects_are_not_mixed(
    enrolled: tuple[Client, DicomEnrolReport], name: str, archive: Path, tmp_path: Path
) -> None:
    client, _ = enrolled
    client.create_collection(name)
    with pytest.raises(ModelMismatch, match="bundled\\+dicom"):
        client.enrol_dicom(name, archive)
    with pytest.raises(ModelMismatch, match="not mixed"):
        client.enrol_images("scans-shared", tmp_path / "any.png")
    with pytest.raises(ImageRefused):
        client.search_image(name, archive / "DOE0" / "0")


def test_where_de_identification_fails_nothing_leaves_and_the_rest_goes_on(
    client: Client, name: str, archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    client.create_collection(name, model=MODEL)
    slices = [archive / "DOE0" / str(at) for at in range(2)]
    looked_at, asked = DicomPipeline.looked_at, []

    def fails_once(self: DicomPipeline, data: bytes, choose: object) -> object:
        asked.append(data)
        if len(asked) == 1:
            raise ImageRefused("text was still found after painting")
        return looked_at(self, data, choose)  # type: ignore[arg-type]

    monkeypatch.setattr(DicomPipeline, "looked_at", fails_once)
    report = client.enrol_dicom(name, slices, pictures_per_volume=0)
    assert [one.reason for one in report.refused] == ["text was still found after painting"]
    assert report.enrolled == client.count(name) == 1


def test_wrong_choices_are_told_before_anything_is_read(client: Client, name: str, tmp_path: Path) -> None:
    client.create_collection(name, model=MODEL)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InvalidInput, match="no files"):
        client.enrol_dicom(name, tmp_path / "empty")
    with pytest.raises(InvalidInput, match="there is no"):
        client.enrol_dicom(name, tmp_path / "none")
    with pytest.raises(InvalidInput, match="pictures"):
        client.enrol_dicom(name, tmp_path, pictures_per_volume=-1)
    with pytest.raises(InvalidConfiguration, match="text of risky"):
        client.enrol_dicom(name, tmp_path / "empty", text="sometimes")
    with pytest.raises(InvalidConfiguration, match="burned-in text"):
        client.enrol_dicom(name, tmp_path / "empty", text="never")


def test_what_is_named_and_no_object_is_refused_and_no_pipe_is_waited_for(
    client: Client, name: str, tmp_path: Path
) -> None:
    client.create_collection(name, model=MODEL)
    (tmp_path / "notes.txt").write_text("no picture")
    os.mkfifo(tmp_path / "pipe")
    report = client.enrol_dicom(name, [tmp_path / "notes.txt", tmp_path / "pipe"])
    assert [one.reason[:30] for one in report.refused] == [
        "got a file that is no DICOM ob",
        "got a path that is no plain fi",
    ]


def test_a_row_is_revealed_with_a_grant_and_a_reason_and_every_try_is_logged(
    server: RealServer, archive: Path, name: str, home: Path
) -> None:
    with Client(server.address, home=home) as client:
        client.create_collection(name, model=MODEL)
        (row,) = client.enrol_dicom(name, archive / "DOE2" / "3").ids
        with pytest.raises(NotPermitted, match="reveal-grant"):
            client.reveal(name, row, reason="second reading")
        account = client.grant_reveal(name, days=1)
        way = client.reveal(name, row, reason="second reading")
        source = slice_of(2, 3)
        assert (way.study, way.series) == (source.StudyInstanceUID, source.SeriesInstanceUID)
        assert (way.instance, way.frame, Path(way.source)) == (source.SOPInstanceUID, 1, archive / "DOE2" / "3")
        with pytest.raises(RowNotFound):
            client.reveal(name, "0" * 16, reason="second reading")
        client.erase(name, row)
        with pytest.raises(RowNotFound):
            client.reveal(name, row, reason="second reading")
        client.grant_reveal(name, days=0)
        with pytest.raises(NotPermitted):
            client.reveal(name, row, reason="second reading")
        (crosswalk,) = (home / "crosswalks").rglob("*.sqlite")
        with sqlite3.connect(crosswalk) as database:
            database.execute("INSERT INTO granted VALUES (?, zeroblob(300))", (account,))
        with pytest.raises(IntegrityError):
            client.reveal(name, row, reason="second reading")
        with pytest.raises(IntegrityError):
            client.similar_studies(name, str(source.StudyInstanceUID), reason="second reading")
    lines = [json.loads(line) for line in (home / "crosswalks" / "reveals.jsonl").read_text().splitlines()]
    assert [line["outcome"] for line in lines] == [
        "refused", "granted for 1 days", "shown", "refused", "refused", "grant ended", "refused", "refused",
        "refused",
    ]  # fmt: skip
    assert {line["account"] for line in lines} == {account}
    assert slice_of(2, 3).StudyInstanceUID.encode() not in crosswalk.read_bytes()


def test_a_lost_crosswalk_costs_the_way_back_alone_and_enrolling_again_writes_it_anew(
    server: RealServer, archive: Path, name: str, home: Path
) -> None:
    slice_file = archive / "DOE1" / "2"
    with Client(server.address, home=home) as client:
        client.create_collection(name, model=MODEL)
        (row,) = client.enrol_dicom(name, slice_file).ids
    (crosswalk,) = (home / "crosswalks").rglob("*.sqlite")
    site_key = (home / "site-key.json").rename(home / "kept")
    with Client(server.address, home=home) as client, pytest.raises(IntegrityError, match="site key back"):
        client.enrol_dicom(name, slice_file)  # under another site key it would come in a second time
    site_key.replace(home / "site-key.json")
    crosswalk.unlink()
    with Client(server.address, home=home) as client:
        assert client.search_image(name, slice_file)[0].id == row
        client.grant_reveal(name)
        with pytest.raises(RowNotFound, match="writes it anew"):
            client.reveal(name, row, reason="lost")
        again = client.enrol_dicom(name, slice_file)
        assert (again.enrolled, again.already) == (0, (row,))
        assert client.reveal(name, row, reason="found").instance == slice_of(1, 2).SOPInstanceUID
        client.delete_collection(name)
    assert not list((home / "crosswalks").rglob("*.sqlite"))


async def test_the_same_runs_awaited(server: RealServer, archive: Path, name: str, home: Path) -> None:
    async with AsyncClient(server.address, home=home) as client:
        await client.create_collection(name, model=MODEL)
        seen = []
        report = await client.enrol_dicom(name, archive / "DOE0" / "1", progress=seen.append)
        assert (report.enrolled, seen[-1].what) == (1, "objects")
        await client.grant_reveal(name)
        way = await client.reveal(name, report.ids[0], reason="second reading")
        assert way.instance == slice_of(0, 1).SOPInstanceUID


def test_rows_are_about_their_patient_and_go_with_the_patient_and_so_does_the_way_back(
    client: Client, archive: Path, name: str, home: Path
) -> None:
    client.create_collection(name, model=MODEL)
    ControllerKeys(home).make("controller")
    client.set_policy(name, terms(lawful_basis="eu-gdpr:A6-1-e"))
    report = client.enrol_dicom(name, [archive / "DOE0" / "0", archive / "DOE1" / "0"])
    first, second = (client.get(name, row) for row in report.ids)
    assert first.extra["patient"] != second.extra["patient"]
    (crosswalk,) = (home / "crosswalks").rglob("*.sqlite")
    with sqlite3.connect(crosswalk) as database:
        assert database.execute("SELECT count(*) FROM entry").fetchone() == (2,)
    assert client.erase_subject(name, first.extra["patient"]).certificate.rows == 1
    assert [record.id for record in client.list(name)] == [second.id]
    with sqlite3.connect(crosswalk) as database:
        assert database.execute("SELECT count(*) FROM entry").fetchone() == (1,)
