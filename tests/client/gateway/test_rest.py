"""What programs of this machine may ask: with the token, within limits, and STOW-RS as dicomweb-client speaks it."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Iterator
from functools import partial
from io import BytesIO
from pathlib import Path

import pydicom
import pytest
import requests
from dicomweb_client.api import DICOMwebClient
from hypothesis import example, given
from hypothesis import strategies as st

from tests.client.dicom.objects import as_file, slice_of
from tests.waiting import until
from unseen.errors import InvalidConfiguration, InvalidInput, NotPermitted
from unseen_client.gateway import rest, stow
from unseen_client.gateway.queue import Queue

LARGEST = 1 << 20


def told(media_type: str, body: bytes) -> rest.Answer:
    if body == b"forbidden":
        raise NotPermitted("no grant")
    return rest.as_json({"body": body.decode()})


@pytest.fixture
def queue(tmp_path: Path) -> Queue:
    return Queue(tmp_path / "queue", bytes(32), LARGEST)


@pytest.fixture
def server(tmp_path: Path, queue: Queue) -> Iterator[rest.RestServer]:
    asked: dict[tuple[str, str], rest.Ask] = {
        ("GET", "/health"): told,
        ("POST", "/similar"): told,
        ("POST", "/studies"): partial(stow.store, queue.put),
    }
    running = rest.RestServer(0, rest.token_of(tmp_path), asked, LARGEST)
    yield running
    running.close()


def ask(server: rest.RestServer, method: str, path: str, body: bytes | None, **headers: str) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    try:
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def test_only_health_is_told_without_the_token(server: rest.RestServer, tmp_path: Path) -> None:
    token = rest.token_of(tmp_path)
    assert ((tmp_path / "gateway-token").stat().st_mode & 0o777, len(token)) == (0o600, 44)
    assert ask(server, "GET", "/health", None)[0] == 200
    for header in ("", token, "Bearer ", f"Bearer {token[:-1]}", f"Bearer {token}x", "Bearer é"):
        assert ask(server, "POST", "/similar", b"{}", Authorization=header.encode().decode("latin-1"))[0] == 401
    assert ask(server, "POST", "/similar", b"hello", Authorization=f"Bearer {token}") == (200, b'{"body": "hello"}')
    assert ask(server, "GET", "/similar", None, Authorization=f"Bearer {token}")[0] == 404
    assert ask(server, "POST", "/similar", b"forbidden", Authorization=f"Bearer {token}")[0] == 403
    assert ask(server, "GET", "/health", None, Host="evil.example")[0] == 403


def test_a_token_that_others_can_read_is_refused(tmp_path: Path) -> None:
    rest.token_of(tmp_path)
    (tmp_path / "gateway-token").chmod(0o644)
    with pytest.raises(InvalidConfiguration, match="644"):
        rest.token_of(tmp_path)


def told_of_lines(server: rest.RestServer, what: str, token: str, *lines: str, host: str = "localhost") -> int:
    """The status that is answered before a body is sent, and that the connection is closed with it."""
    head = "\r\n".join([f"{what} HTTP/1.1", f"Host: {host}", f"Authorization: {token}", *lines, "", ""])
    with socket.create_connection(("127.0.0.1", server.port), 20) as peer:
        peer.sendall(head.encode())
        answer = b""
        while piece := peer.recv(4096):
            answer += piece
    assert b"\r\nConnection: close\r\n" in answer
    return int(answer.split()[1])


def test_every_method_is_turned_away_for_the_same_reasons_in_the_same_order(
    server: rest.RestServer, tmp_path: Path
) -> None:
    token, much = f"Bearer {rest.token_of(tmp_path)}", f"Content-Length: {1 << 40}"
    for what in ("GET /similar", "POST /similar"):
        assert told_of_lines(server, what, "Bearer wrong", much, host="evil.example") == 403
        assert told_of_lines(server, what, "Bearer wrong", much) == 401
        assert told_of_lines(server, f"{what}/other", token, much) == 404
    assert told_of_lines(server, "GET /health", "", much) == 413
    assert told_of_lines(server, "POST /similar", token, much) == 413


def test_one_connection_too_many_is_closed_and_the_next_is_answered_once_another_ended(server: rest.RestServer) -> None:
    address = ("127.0.0.1", server.port)
    held = [socket.create_connection(address, 20) for _ in range(rest.MOST_AT_ONCE)]
    try:
        with socket.create_connection(address, 20) as one_more:
            assert one_more.recv(1) == b""
        held.pop().close()
        until("the server answers again", lambda: answers(server))
    finally:
        for peer in held:
            peer.close()


def answers(server: rest.RestServer) -> bool:
    try:
        return ask(server, "GET", "/health", None)[0] == 200
    except (http.client.HTTPException, OSError):
        return False


def test_bodies_are_bounded_before_they_are_read(server: rest.RestServer, tmp_path: Path) -> None:
    token = rest.token_of(tmp_path)
    too_large = (("/similar", rest.MOST_ASKED_BYTES + 1), ("/studies", LARGEST + 1), ("/similar", "9" * 18))
    for path, length in too_large:
        assert told_of_lines(server, f"POST {path}", f"Bearer {token}", f"Content-Length: {length}") == 413
    for line in ("X: none", "Content-Length: -1", f"Content-Length: {'9' * 5000}", "Transfer-Encoding: chunked"):
        assert told_of_lines(server, "POST /similar", f"Bearer {token}", line) == 411
    with socket.create_connection(("127.0.0.1", server.port), 20) as peer:
        peer.sendall(b"\x16\x03\x01 nonsense\r\n\r\n")
        peer.recv(4096)
    assert ask(server, "GET", "/health", None)[0] == 200


def test_a_dicomweb_client_stores_and_each_object_is_in_the_queue(
    server: rest.RestServer, queue: Queue, tmp_path: Path
) -> None:
    sources = [pydicom.dcmread(BytesIO(as_file(slice_of(1, at)))) for at in range(3)]
    with requests.Session() as session:
        session.headers["Authorization"] = f"Bearer {rest.token_of(tmp_path)}"
        client = DICOMwebClient(f"http://127.0.0.1:{server.port}", session=session)
        client.store_instances(sources)
    stored = [pydicom.dcmread(BytesIO(one.read())) for one in queue.waiting()]
    assert stored == sources
    assert {one.origin for one in queue.waiting()} == {"sent by a DICOMweb client"}


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{", b"[" * 60_000, b"\xff", b'{"study": "\\ud800"}', b'{"purpose": "a\\udfff"}']
)
def test_what_is_no_object_of_texts_is_told(body: bytes) -> None:
    with pytest.raises(InvalidInput, match="got"):
        rest.read_fields(body)


def test_texts_beyond_ascii_are_read() -> None:
    assert rest.read_fields('{"reason": "Zweitmeinung für é \\ud83d\\ude00", "top_k": 3}'.encode())["top_k"] == 3


def multipart(*parts: bytes, boundary: bytes = b"cut") -> bytes:
    pieces = (b"--" + boundary + b"\r\nContent-Type: application/dicom\r\n\r\n" + part + b"\r\n" for part in parts)
    return b"".join(pieces) + b"--" + boundary + b"--\r\n"


def test_parts_are_taken_apart_and_what_is_no_multipart_is_refused(queue: Queue) -> None:
    kind = 'multipart/related; type="application/dicom"; boundary=cut'
    data = as_file(slice_of(1)) + b"\r\n--cu"
    assert stow.parts_of(kind, multipart(data, b"", b"x")) == [data, b"", b"x"]
    status, _, body = stow.store(queue.put, kind, multipart(data, b"no object"))
    assert (status, json.loads(body)["00081198"]["Value"]) == (202, [{"00081197": {"vr": "US", "Value": [0xC000]}}])
    assert stow.store(queue.put, kind, multipart(data))[::2] == (200, b"{}")
    for wrong_kind, wrong in (
        ("application/dicom", data),
        ("multipart/related", multipart(data)),
        (kind, data),
        (kind, multipart(data)[:-8]),
        (kind, b"--cut\r\nno empty line\r\n--cut--"),
        (kind, multipart()),
    ):
        with pytest.raises(InvalidInput):
            stow.parts_of(wrong_kind, wrong)
    with pytest.raises(InvalidInput, match="none of the parts"):
        stow.store(queue.put, kind, multipart(b"text"))


@given(st.lists(st.sampled_from([b"--cut", b"--", b"\r\n", b"\r\n\r\n", b"x", b"--cu"]), max_size=14).map(b"".join))
@example(multipart(b"a", b"", b"\r\n--cu"))
@example(b"preamble\r\n" + multipart(b"a") + b"epilogue")
def test_parts_are_those_between_the_boundaries_as_splitting_finds_them(body: bytes) -> None:
    pieces = (b"\r\n" + body).split(b"\r\n--cut")
    expected = [piece.partition(b"\r\n\r\n")[1:] for piece in pieces[1:-1]]
    is_whole = len(pieces) > 2 and pieces[-1].startswith(b"--") and all(blank for blank, _ in expected)
    kind = "multipart/related; boundary=cut"
    if is_whole:
        assert stow.parts_of(kind, body) == [content for _, content in expected]
    else:
        with pytest.raises(InvalidInput):
            stow.parts_of(kind, body)


def test_a_body_is_not_copied_to_be_taken_apart_and_parts_are_counted() -> None:
    kind = "multipart/related; boundary=cut"
    body = multipart(bytes(1000), bytes(1000))
    assert all(part.obj is body for part in stow.parts_of(kind, body))
    assert len(stow.parts_of(kind, multipart(*[b""] * stow.MOST_PARTS))) == stow.MOST_PARTS
    with pytest.raises(InvalidInput, match="more than"):
        stow.parts_of(kind, multipart(*[b""] * (stow.MOST_PARTS + 1)))
