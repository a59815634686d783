"""`unseen gateway` beside a real server, as somebody at a hospital's edge meets it."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from bench.gateway import of_sources
from tests.client.dicom.objects import as_file, slice_of
from tests.client.gateway.running import RunningGateway, storescu
from tests.client.real_server import RealServer
from tests.core.deid.dicom.planting import planted
from tests.waiting import until
from unseen.errors import InvalidConfiguration, StoreFailed
from unseen_client import Client
from unseen_client.demo.proxy import RecordingProxy
from unseen_client.demo.search_bytes import Needles
from unseen_client.demo.unwrap import views
from unseen_client.gateway.gateway import alone

Run = Callable[..., "subprocess.CompletedProcess[str]"]

pytestmark = pytest.mark.skipif(shutil.which("storescu") is None, reason="dcmtk is not installed: make system")


def test_from_a_pacs_to_similar_studies_through_a_server_and_a_gateway_that_are_killed(
    tmp_path: Path, name: str, unseen: Run, home: Path
) -> None:
    server = RealServer(tmp_path)
    with Client(server.address, home=home) as client:
        client.create_collection(name, model="bundled+dicom")
    host, _, port = server.address.rpartition(":")
    with RecordingProxy(host, int(port)) as proxy:
        bounds = ("--quarantine-days", "7", "--quarantine-gib", "1", "--queue-gib", "1")
        gateway = RunningGateway(home, proxy.address, name, *bounds)
        try:
            _story(tmp_path, name, unseen, server, gateway)
        finally:
            gateway.stop()
            server.stop()
        received = [run for run in proxy.received() if run]
    looked_at = [view for run in received for view in views(run).values()]
    source = planted("CT", 3, "1.2.840.10008.1.2.1")
    needles = Needles(of_sources([source]))
    assert len(needles.found_in(source.data)) > 100
    assert [needle.label for view in looked_at for needle in needles.found_in(view)] == []
    words = (b"DOE^JANE", b"4711-", b"1.2.826.0.1")
    assert all(word in as_file(slice_of(1)) for word in words)
    assert [word for word in words for view in looked_at if word in view] == []


def _story(folder: Path, name: str, unseen: Run, server: RealServer, gateway: RunningGateway) -> None:
    first = written(folder / "first", [(study, at) for study in range(3) for at in range(2)])
    (folder / "planted.dcm").write_bytes(planted("CT", 3, "1.2.840.10008.1.2.1").data)
    assert storescu(gateway.dicom_port, [*first, folder / "planted.dcm"]).returncode == 0
    gateway.wait_until_enrolled()

    server.kill()
    second = written(folder / "second", [(study, at) for study in range(3) for at in range(2, 4)])
    assert storescu(gateway.dicom_port, second).returncode == 0  # the server is away, and nobody needs to know
    told = {"status": "waiting", "waiting_for": "SERVER_UNAVAILABLE", "quarantine": "empty"}
    until("the gateway waits for the server", lambda: gateway.ask("/health") == (200, told))
    gateway.kill()
    server.start()
    gateway.start()
    assert storescu(gateway.dicom_port, [*first, *second]).returncode == 0  # all of it once more
    wrong = written(folder / "wrong", [(9, 0)])
    wrong[0].write_bytes(wrong[0].read_bytes().replace(b"MONOCHROME2", b"MONOCHROMEX"))
    assert storescu(gateway.dicom_port, wrong).returncode == 0
    gateway.wait_until_enrolled()

    with Client(server.address, home=gateway.home) as client:
        assert client.count(name) == 13
    asked = {"study": str(slice_of(1).StudyInstanceUID), "reason": "second reading", "top_k": 2}
    assert gateway.ask("/similar", asked)[0] == 403
    with Client(server.address, home=gateway.home) as client:
        client.grant_reveal(name)
    status, answer = gateway.ask("/similar", asked)
    others = {str(slice_of(study).StudyInstanceUID) for study in (0, 2)}
    assert (status, {one["study"] for one in answer["studies"]}) == (200, others)
    assert gateway.ask("/similar", asked | {"study": "1.2.3"})[0] == 404
    assert gateway.ask("/similar", {"study": 5})[0] == 400
    assert gateway.ask("/metrics", token="wrong")[0] == 401
    log = [json.loads(line) for line in (gateway.home / "crosswalks" / "reveals.jsonl").read_text().splitlines()]
    assert [line["outcome"] for line in log] == [
        "refused", "granted for 30 days", "asked about", "shown", "shown", "refused",
    ]  # fmt: skip

    listing = unseen("gateway", "quarantine", "--json", "--home", gateway.home)
    listed = json.loads(listing.stdout)
    (refused,) = listed["refused"]
    assert (refused["sender"], refused["code"]) == ("STORESCU", "IMAGE_REFUSED")
    assert (listed["kept_days"], listed["kept_bytes"]) == (7, 1 << 29)
    assert refused["kept_until"] > refused["accepted"]
    assert gateway.ask("/health")[1]["quarantine"] == "holds objects"
    assert gateway.count("objects_in_quarantine") == 1
    assert unseen("gateway", "quarantine", "--drop", refused["name"], "--home", gateway.home).returncode == 0
    assert gateway.count("objects_in_quarantine") == 0
    with pytest.raises(InvalidConfiguration, match="another gateway works"), alone(gateway.home / "gateway"):
        pass


def written(folder: Path, slices: list[tuple[int, int]]) -> list[Path]:
    folder.mkdir()
    paths = [folder / f"{study}-{at}.dcm" for study, at in slices]
    for path, (study, at) in zip(paths, slices, strict=True):
        path.write_bytes(as_file(slice_of(study, at)))
    return paths


def test_a_collection_of_photographs_is_refused_before_anything_listens(unseen: Run, client: Client, name: str) -> None:
    client.create_collection(name)
    assert "bundled+dicom" in unseen("gateway", "run", name, "--sender", "A", "--listen", "127.0.0.1:0").stderr


def test_what_fails_beside_a_queue_that_is_held_is_not_told_as_the_lock(tmp_path: Path) -> None:
    with pytest.raises(ConnectionError, match="anything else"), alone(tmp_path / "queue"):
        raise ConnectionError("anything else")
    (tmp_path / "queue" / "lock").unlink()
    (tmp_path / "queue" / "lock").mkdir()
    with pytest.raises(StoreFailed, match="cannot use"), alone(tmp_path / "queue"):
        pass
