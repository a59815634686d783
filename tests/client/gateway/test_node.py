"""The DICOM node against dcmtk and pynetdicom: who is let in, what arrives, and that no peer keeps others out."""

from __future__ import annotations

import os
import shutil
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import pydicom
import pytest
from pydicom.uid import CTImageStorage
from pynetdicom import AE
from pynetdicom.association import Association

from bench.process import peak_resident_bytes
from tests.client.dicom.objects import as_file, as_jpeg_2000, slice_of
from tests.client.gateway.running import storescu
from tests.core.deid.dicom.reports import BASIC_TEXT, report, text
from tests.server.identities import issue
from tests.waiting import until
from unseen.errors import InvalidConfiguration, StoreFailed
from unseen_client.gateway.contexts import storage_classes
from unseen_client.gateway.node import Node
from unseen_client.gateway.node_process import NodeProcess
from unseen_client.gateway.node_settings import NodeSettings
from unseen_client.gateway.queue import Queue

KEY = bytes(range(32))
SETTINGS = NodeSettings(port=0, senders=("STORESCU", "ECHOSCU", "PYNETDICOM"), largest_mib=4, idle_s=30.0)
MOST_NODE_MIB = 512

pytestmark = pytest.mark.skipif(shutil.which("storescu") is None, reason="dcmtk is not installed: make system")


@contextmanager
def running(folder: Path, settings: NodeSettings = SETTINGS, most_bytes: int = 1 << 30) -> Iterator[NodeProcess]:
    queue = Queue(folder, KEY, most_bytes)
    node = NodeProcess(settings, queue.folder, KEY, most_bytes)
    try:
        yield node
    finally:
        node.close()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[NodeProcess, Queue]]:
    folder = tmp_path_factory.mktemp("node") / "queue"
    with running(folder) as node:
        yield node, Queue(folder, KEY, 1 << 30)


def echo(port: int, *options: str) -> int:
    command = ["echoscu", "-to", "10", "-ta", "10", *options, "127.0.0.1", str(port)]
    return subprocess.run(command, capture_output=True, timeout=60).returncode


@contextmanager
def association(port: int, *syntaxes: str) -> Iterator[Association]:
    entity = AE(ae_title="PYNETDICOM")
    entity.add_requested_context(CTImageStorage, list(syntaxes) or None)
    made = entity.associate("127.0.0.1", port, ae_title="UNSEEN", max_pdu=0)
    assert made.is_established
    try:
        yield made
    finally:
        made.release()


def test_only_those_who_are_named_are_let_in_and_only_who_calls_the_node_by_its_name(
    shared: tuple[NodeProcess, Queue],
) -> None:
    node, _ = shared
    assert echo(node.port, "-aec", "UNSEEN") == 0
    assert echo(node.port, "-aec", "OTHER") != 0
    assert echo(node.port, "-aec", "UNSEEN", "-aet", "STRANGER") != 0


def test_what_a_sender_stores_is_in_the_queue_unread_and_unchanged(
    shared: tuple[NodeProcess, Queue], tmp_path: Path
) -> None:
    node, queue = shared
    files = {"plain.dcm": as_file(slice_of(1)), "j2k.dcm": as_jpeg_2000(slice_of(2))}
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
        done = storescu(node.port, [tmp_path / name], *(["-xv"] if name == "j2k.dcm" else []))
        assert done.returncode == 0, done.stderr
    got = [pydicom.dcmread(BytesIO(one.read())) for one in queue.waiting()]
    assert {one.origin for one in queue.waiting()} == {"sent by STORESCU"}
    for one, data in zip(got, files.values(), strict=True):
        sent = pydicom.dcmread(BytesIO(data))
        assert one.file_meta.TransferSyntaxUID == sent.file_meta.TransferSyntaxUID
        assert {element.tag: element.value for element in one} == {element.tag: element.value for element in sent}
    for waiting in queue.waiting():
        queue.done(waiting.name)


def test_pictures_and_reports_are_taken_and_other_classes_and_syntaxes_that_nobody_decodes_are_not_offered(
    shared: tuple[NodeProcess, Queue],
) -> None:
    node, queue = shared
    assert len(storage_classes()) > 40
    entity = AE(ae_title="PYNETDICOM")
    document, video = "1.2.840.10008.5.1.4.1.1.104.1", "1.2.840.10008.1.2.4.102"
    entity.add_requested_context(BASIC_TEXT)
    entity.add_requested_context(document)
    entity.add_requested_context(CTImageStorage, [video])
    entity.add_requested_context("1.2.840.10008.1.1")
    made = entity.associate("127.0.0.1", node.port, ae_title="UNSEEN")
    accepted = [context.abstract_syntax for context in made.accepted_contexts]
    said = report(7, text("no nodule"))
    assert made.send_c_store(said).Status == 0x0000
    made.release()
    assert accepted == [BASIC_TEXT, "1.2.840.10008.1.1"]
    (waiting,) = queue.waiting()
    assert pydicom.dcmread(BytesIO(waiting.read())).ContentSequence == said.ContentSequence
    queue.done(waiting.name)


def test_a_full_queue_tells_the_sender_to_come_again(tmp_path: Path) -> None:
    source = slice_of(1)
    with running(tmp_path / "queue", most_bytes=30_000) as node, association(node.port) as sender:
        assert sender.send_c_store(source).Status == 0x0000
        assert sender.send_c_store(source).Status == 0xA700
        queue = Queue(tmp_path / "queue", KEY, 30_000)
        queue.done(queue.waiting()[0].name)
        time.sleep(1.1)  # the node believes its last count for a second
        assert sender.send_c_store(source).Status == 0x0000


def test_only_what_will_not_pass_by_itself_is_told_as_a_failure_for_good() -> None:
    failures: list[Exception] = [StoreFailed("no room"), MemoryError(), ValueError("no UID")]

    def accept(_data: bytes, _sender: str) -> None:
        raise failures.pop(0)

    node = Node(SETTINGS, accept)
    serving = threading.Thread(target=node.serve)
    serving.start()
    try:
        with association(node.port) as sender:
            assert [sender.send_c_store(slice_of(1)).Status for _ in range(3)] == [0xA700, 0xA700, 0xC211]
    finally:
        node.stop()
        serving.join()


def test_an_object_larger_than_allowed_ends_its_association_and_no_other(shared: tuple[NodeProcess, Queue]) -> None:
    node, queue = shared
    large = slice_of(1)
    large.Rows, large.Columns, large.PixelData = 2048, 2048, bytes(8 << 20)
    with association(node.port) as other:
        entity = AE(ae_title="PYNETDICOM")
        entity.add_requested_context(CTImageStorage)
        sender = entity.associate("127.0.0.1", node.port, ae_title="UNSEEN", max_pdu=0)
        assert sender.dul.socket is not None
        connection = sender.dul.socket.socket
        assert connection is not None
        with suppress(RuntimeError):  # the connection is gone before the last unit is sent
            assert not sender.send_c_store(large)
        sender.abort()
        connection.close()  # pynetdicom leaves one open that the peer has closed
        assert other.send_c_store(slice_of(2)).Status == 0x0000
    for waiting in queue.waiting():
        queue.done(waiting.name)


# ---- hostile peers --------------------------------------------------------------------------------------------------


def associate_request(called: bytes = b"UNSEEN") -> bytes:
    """An A-ASSOCIATE-RQ for CT images in Implicit VR Little Endian (PS3.8 section 9.3.2)."""

    def item(kind: int, data: bytes) -> bytes:
        return struct.pack(">BBH", kind, 0, len(data)) + data

    context = item(0x20, b"\1\0\0\0" + item(0x30, str(CTImageStorage).encode()) + item(0x40, b"1.2.840.10008.1.2"))
    user = item(0x50, item(0x51, struct.pack(">I", 16384)) + item(0x52, b"1.2.3"))
    body = struct.pack(">HH16s16s32x", 1, 0, called.ljust(16), b"PYNETDICOM".ljust(16))
    body += item(0x10, b"1.2.840.10008.3.1.1.1") + context + user
    return struct.pack(">BBI", 1, 0, len(body)) + body


def data_unit(control: int, data: bytes) -> bytes:
    value = struct.pack(">IBB", len(data) + 2, 1, control) + data
    return struct.pack(">BBI", 4, 0, len(value)) + value


def command(fields: bytes) -> bytes:
    return struct.pack("<HHII", 0, 0, 4, len(fields)) + fields


STORE = (
    struct.pack("<HHI26s", 0, 0x0002, 26, b"1.2.840.10008.5.1.4.1.1.2\0")
    + struct.pack("<HHIH", 0, 0x0100, 2, 1)
    + struct.pack("<HHIH", 0, 0x0110, 2, 1)
    + struct.pack("<HHIH", 0, 0x0700, 2, 0)
    + struct.pack("<HHIH", 0, 0x0800, 2, 0)
    + struct.pack("<HHI6s", 0, 0x1000, 6, b"1.2.3\0")
)
HOSTILE: dict[str, Callable[[], bytes]] = {
    "a unit of 4 GiB before anything": lambda: struct.pack(">BBI", 1, 0, 0xFFFFFFFF) + bytes(1 << 20),
    "a unit of 4 GiB within": lambda: associate_request() + struct.pack(">BBI", 4, 0, 0xFFFFFFFF) + bytes(1 << 20),
    "no unit at all": lambda: os.urandom(4096),
    "an unknown unit": lambda: b"\x63\0\0\0\0\4abcd",
    "a request cut short": lambda: associate_request()[:90],
    "items longer than their unit": lambda: (lambda r: r[:76] + b"\xff\xff" + r[78:])(associate_request()),
    "a value longer than its unit": lambda: associate_request() + b"\4\0\0\0\0\6\xff\xff\xff\xff\1\3",
    "a command that is none": lambda: associate_request() + data_unit(3, os.urandom(300)),
    "a command without a number": lambda: associate_request() + data_unit(3, command(STORE[34:44])),
    "an unknown command": lambda: (
        associate_request() + data_unit(3, command(struct.pack("<HHIH", 0, 0x100, 2, 0x7777)))
    ),
    "a command that never ends": lambda: associate_request() + data_unit(1, bytes(16000)) * 500,
    "an object that never ends": lambda: (
        associate_request() + data_unit(3, command(STORE)) + data_unit(0, bytes(16000)) * 600
    ),
    "a hundred objects without waiting": lambda: (
        associate_request() + (data_unit(3, command(STORE)) + data_unit(0, bytes(16000)) * 8 + data_unit(2, b"")) * 100
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_peer_loses_its_association_and_nobody_else_notices(
    shared: tuple[NodeProcess, Queue], name: str
) -> None:
    node, queue = shared
    process_id = node.process_id
    with socket.create_connection(("127.0.0.1", node.port), 5) as peer:
        peer.settimeout(20)
        try:
            peer.sendall(HOSTILE[name]())
            peer.shutdown(socket.SHUT_WR)
            while peer.recv(65536):
                pass
        except OSError:
            pass
    assert echo(node.port, "-aec", "UNSEEN") == 0
    assert (node.process_id, node.restarts) == (process_id, 0)
    assert peak_resident_bytes(process_id) >> 20 < MOST_NODE_MIB
    for waiting in queue.waiting():
        queue.done(waiting.name)


def test_peers_that_stop_in_the_middle_do_not_keep_others_out_for_long(tmp_path: Path) -> None:
    with running(tmp_path / "queue", replace(SETTINGS, associations=2, idle_s=1.0)) as node:
        peers = [socket.create_connection(("127.0.0.1", node.port), 5) for _ in range(12)]
        try:
            for at, peer in enumerate(peers):
                try:
                    peer.sendall([b"", associate_request()[:20], associate_request(), b"\1"][at % 4])
                except OSError:  # turned away at once
                    continue
            until("the node answers again", lambda: echo(node.port, "-aec", "UNSEEN") == 0)
        finally:
            for peer in peers:
                peer.close()


def test_with_tls_only_those_with_a_certificate_are_heard_and_a_silent_peer_keeps_nobody_out(tmp_path: Path) -> None:
    authority = issue("authority")
    for name, issuer in (("node", authority), ("sender", authority), ("stranger", None)):
        identity = issue(name, issuer)
        (tmp_path / f"{name}.pem").write_bytes(identity.certificate_pem)
        (tmp_path / f"{name}.key").write_bytes(identity.key_pem)
        (tmp_path / f"{name}.key").chmod(0o600)
    (tmp_path / "ca.pem").write_bytes(authority.certificate_pem)
    paths = [str(tmp_path / name) for name in ("node.pem", "node.key", "ca.pem")]
    settings = replace(SETTINGS, certificate=paths[0], key=paths[1], authority=paths[2])

    def tls(name: str) -> list[str]:
        return ["+tls", str(tmp_path / f"{name}.key"), str(tmp_path / f"{name}.pem"), "+cf", str(tmp_path / "ca.pem")]

    (tmp_path / "one.dcm").write_bytes(as_file(slice_of(1)))
    with running(tmp_path / "queue", settings) as node:
        with socket.create_connection(("127.0.0.1", node.port)):  # says nothing, not even hello
            done = storescu(node.port, [tmp_path / "one.dcm"], *tls("sender"))
            assert done.returncode == 0, done.stderr
        assert storescu(node.port, [tmp_path / "one.dcm"], *tls("stranger")).returncode != 0
        assert storescu(node.port, [tmp_path / "one.dcm"]).returncode != 0
    assert len(Queue(tmp_path / "queue", KEY, 1 << 30).waiting()) == 1


def test_a_node_that_dies_is_started_again_on_its_port(tmp_path: Path) -> None:
    with running(tmp_path / "queue") as node:
        port, first = node.port, node.process_id
        os.kill(first, 9)
        until("the node was started again", lambda: node.restarts == 1 and node.process_id != first)
        assert echo(port, "-aec", "UNSEEN") == 0


def test_a_node_that_dies_is_started_again_once_the_system_has_a_process_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running(tmp_path / "queue") as node:
        with monkeypatch.context() as without:
            without.setattr(sys, "executable", str(tmp_path / "missing"))
            os.kill(node.process_id, 9)
            time.sleep(2.5)  # it is tried every second
            assert (node.is_running, node.restarts) == (False, 0)
            with pytest.raises(InvalidConfiguration, match="no process for the node"):
                NodeProcess(SETTINGS, tmp_path, KEY, 1 << 30)
        until("the node was started again", lambda: node.restarts == 1)
        assert echo(node.port, "-aec", "UNSEEN") == 0


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"senders": ()}, "--sender"),
        ({"title": "A TITLE OF MORE THAN SIXTEEN"}, "1 to 16"),
        ({"host": "0.0.0.0"}, "without TLS"),
        ({"certificate": "node.pem"}, "only some"),
        ({"largest_mib": 4096}, "512 MiB"),
    ],
)
def test_settings_that_make_no_sense_are_refused(changed: dict[str, object], told: str) -> None:
    with pytest.raises(InvalidConfiguration, match=told):
        replace(SETTINGS, **changed)  # type: ignore[arg-type]


def test_a_port_or_a_certificate_that_cannot_be_used_is_told(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(InvalidConfiguration, match=f"cannot listen on 127.0.0.1:{port}"):
            NodeProcess(replace(SETTINGS, port=port), tmp_path, KEY, 1 << 30)
    missing = str(tmp_path / "missing.pem")
    with pytest.raises(InvalidConfiguration, match="certificate"):
        Node(replace(SETTINGS, certificate=missing, key=missing, authority=missing), lambda _data, _sender: None)
