"""A real PACS beside the gateway: Orthanc sends by C-STORE, and is pulled from by QIDO-RS and WADO-RS."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

import pydicom
import pytest

from tests.client.dicom.objects import as_file, slice_of
from tests.client.gateway.orthanc_child import KEY, MANY, PLUGIN
from tests.client.real_server import ENVIRONMENT, ROOT
from tests.http_double import Answer, Asked, serving
from unseen.errors import InvalidConfiguration, InvalidInput, ServerUnavailable
from unseen_client.gateway.pull import Pacs, pull_studies
from unseen_client.gateway.queue import Queue


@pytest.mark.skipif(
    shutil.which("Orthanc") is None or not Path(PLUGIN).exists(),
    reason="Orthanc with its DICOMweb plugin is not installed: make system",
)
def test_orthanc_sends_what_it_has_and_gives_what_a_query_names(tmp_path: Path) -> None:
    sources = [slice_of(study, at) for study in (1, 2) for at in range(3)]
    for at, source in enumerate(sources):
        (tmp_path / f"{at}.dcm").write_bytes(as_file(source))
    as_root = [] if os.geteuid() == 0 else ["--map-root-user"]
    child = Path(__file__).with_name("orthanc_child.py")
    command = ["unshare", "--net", *as_root, sys.executable, str(child), str(tmp_path)]
    environment = ENVIRONMENT | {"PYTHONPATH": f"{ROOT}{os.pathsep}{ENVIRONMENT['PYTHONPATH']}"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"studies": 1, "objects": 3, "failed": 0}
    assert instances(tmp_path / "stored") == {source.SOPInstanceUID: source.PixelData for source in sources}
    assert instances(tmp_path / "pulled") == {source.SOPInstanceUID: source.PixelData for source in sources[:3]}


def instances(folder: Path) -> dict[str, bytes]:
    read = [pydicom.dcmread(BytesIO(one.read())) for one in Queue(folder, KEY, MANY).waiting()]
    return {str(one.SOPInstanceUID): one.PixelData for one in read}


def test_a_pacs_that_does_not_answer_and_wrong_words_are_told(tmp_path: Path) -> None:
    put = Queue(tmp_path / "queue", KEY, MANY).put
    with pytest.raises(ServerUnavailable, match="run it again"):
        pull_studies(Pacs("http://127.0.0.1:9/dicom-web"), ["PatientID=1"], 1, put)
    for wrong in ("PatientID", "=1", "Patient ID=1", "PatientID="):
        with pytest.raises(InvalidInput, match="KEY=VALUE"):
            pull_studies(Pacs("http://127.0.0.1:9/dicom-web"), [wrong], 1, put)
    for wrong in ("pacs.example", "ftp://pacs.example", "https://"):
        with pytest.raises(InvalidConfiguration, match="expected https"):
            Pacs(wrong)
    with pytest.raises(InvalidConfiguration, match="--insecure-pacs"):
        Pacs("http://pacs.example/dicom-web")


@contextmanager
def lying_pacs(studies: object) -> Iterator[tuple[str, list[str]]]:
    """Answers every query for studies with the same, every one for instances with two, /moved with another address.

    Below /half it gives the first of the two instances, and names another address for the second.
    """
    asked: list[str] = []

    def answer(request: Asked) -> Answer:
        asked.append(request.path)
        if request.path.startswith("/moved"):
            return Answer(302, headers={"Location": request.path.removeprefix("/moved")})
        path = request.path.partition("?")[0]
        body = b"none"
        if path.startswith("/half") and path.endswith("/instances/1.5"):
            return Answer(302, headers={"Location": path.removeprefix("/half")})
        if path.startswith("/half") and path.endswith("/instances/1.4"):
            part = b"--x\r\nContent-Type: application/dicom\r\n\r\n" + as_file(slice_of(1, 0)) + b"\r\n--x--\r\n"
            return Answer(200, part, {"Content-Type": 'multipart/related; type="application/dicom"; boundary=x'})
        if path.removeprefix("/half") == "/studies":
            body = json.dumps(studies).encode()
        elif path.endswith("/instances"):
            named = [{"0020000E": {"Value": ["1.3"]}, "00080018": {"Value": [f"1.{at}"]}} for at in (4, 5)]
            body = json.dumps(named).encode()
        return Answer(200, body, {"Content-Type": "application/dicom+json"})

    with serving(answer) as address:
        yield address, asked


def test_a_pacs_that_knows_no_pages_and_gives_no_objects_ends_the_pull(tmp_path: Path) -> None:
    put = Queue(tmp_path / "queue", KEY, MANY).put
    study = {"0020000D": {"Value": ["1.2"]}}
    with lying_pacs([study, study, {"0020000D": {"Value": ["../1"]}}, {}, 7]) as (url, asked):
        pulled = pull_studies(Pacs(url), ["PatientID=1"], 5, put)
    assert (pulled.studies, pulled.objects, pulled.failed) == (1, 0, 2)
    assert len(asked) == 2 + 2 + 2
    for no_list in ({}, 7, "studies", None):
        with lying_pacs(no_list) as (url, _):
            assert pull_studies(Pacs(url), ["PatientID=1"], 5, put).studies == 0


def test_a_pull_asks_at_no_address_that_an_answer_names(tmp_path: Path) -> None:
    put = Queue(tmp_path / "queue", KEY, MANY).put
    with (
        lying_pacs([]) as (url, asked),
        pytest.raises(InvalidConfiguration, match="another address"),
    ):
        pull_studies(Pacs(f"{url}/moved"), ["PatientID=1"], 5, put)
    assert asked
    assert all(path.startswith("/moved/studies") for path in asked)


def test_a_pull_that_is_sent_on_says_how_many_objects_are_in_the_queue(tmp_path: Path) -> None:
    queue = Queue(tmp_path / "queue", KEY, MANY)
    with (
        lying_pacs([{"0020000D": {"Value": ["1.2"]}}]) as (url, _),
        pytest.raises(InvalidConfiguration, match="after 1 objects; they wait"),
    ):
        pull_studies(Pacs(f"{url}/half"), ["PatientID=1"], 5, queue.put)
    assert len(queue.waiting()) == 1
