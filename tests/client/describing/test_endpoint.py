"""A language model at an address, here a real server: asked on this machine only, and bounded in all it says."""

from __future__ import annotations

import json
import socket

import numpy as np
import pytest

from tests.certificate import write_certificate
from tests.client.describing.language_server import language_server
from unseen.errors import DeadlineExceeded, InvalidInput, LimitExceeded, MalformedMessage, ServerUnavailable
from unseen_client.describing.endpoint import LARGEST_ANSWER_BYTES, Endpoint, is_loopback
from unseen_client.describing.language_model import answer, caption, open_language_model

PICTURE = np.full((40, 60, 3), (200, 30, 30), np.uint8)


@pytest.fixture
def server():
    with language_server() as running:
        yield running


def test_a_caption_comes_from_the_picture_that_was_sent(server):
    server.says = lambda asked: "\x1b[31mA red\nrectangle.\u202e "
    model = open_language_model(server.address, name="small", key="secret-key")
    assert caption(model, PICTURE) == "[31mA red rectangle."
    (sent,) = server.pictures()
    assert sent.shape == PICTURE.shape
    assert np.abs(sent.astype(int) - PICTURE).max() < 12
    assert (server.paths, server.keys, server.asked[0]["model"]) == (
        ["/v1/chat/completions"],
        ["Bearer secret-key"],
        "small",
    )


def test_words_alone_are_asked_without_a_picture(server):
    server.says = lambda asked: asked["messages"][0]["content"][::-1]
    assert Endpoint(server.address).reply("abc", None, 5) == "cba"
    assert (server.asked[0]["max_tokens"], server.asked[0]["stream"]) == (5, False)


def test_a_name_that_leads_to_another_machine_is_refused_before_anything_is_sent(server, monkeypatch):
    real = socket.getaddrinfo
    away = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.7", 80))]

    def lookup(host, port, *more, **named):
        here = real("127.0.0.1", port, *more, **named)
        return {"away.test": away, "both.test": [*here, *away]}.get(host) or real(host, port, *more, **named)

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    port = server.address.split(":")[2].split("/")[0]
    for host in ("away.test", "both.test", "192.0.2.7", "[2001:db8::1]", "0.0.0.0"):
        with pytest.raises(InvalidInput, match="leads to another machine"):
            Endpoint(f"http://{host}:{port}/v1").reply("x", PICTURE, 5)
    with pytest.raises(InvalidInput, match="TLS only"):
        Endpoint(f"http://away.test:{port}/v1", anywhere=True).reply("x", PICTURE, 5)
    assert server.asked == []


def test_a_name_is_looked_up_once_and_that_very_address_is_connected_to(server, monkeypatch):
    """A name that stands for loopback when it is looked at, and for another machine when it is connected to."""
    real, asked = socket.getaddrinfo, []

    def lookup(host, port, *more, **named):
        if host == "turning.test":
            asked.append(host)
            assert len(asked) == 1, "looked up a second time"
            host = "127.0.0.1"
        return real(host, port, *more, **named)

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    assert Endpoint(server.address.replace("127.0.0.1", "turning.test")).reply("x", None, 5) == "a picture"
    assert asked == ["turning.test"]


def test_neither_a_redirect_nor_a_proxy_is_followed(server, monkeypatch):
    with language_server() as other:
        monkeypatch.setenv("http_proxy", other.address)
        monkeypatch.setenv("ALL_PROXY", other.address)
        assert Endpoint(server.address).reply("x", PICTURE, 5) == "a picture"
        server.status, server.headers = 307, {"Location": other.address + "/chat/completions"}
        with pytest.raises(ServerUnavailable, match="not followed"):
            Endpoint(server.address).reply("x", PICTURE, 5)
        assert other.asked == []


@pytest.fixture
def secure_server(tmp_path):
    """Behind TLS, with a certificate for 127.0.0.1 that vouches for itself: ``tmp_path / "certificate"``."""
    write_certificate(tmp_path / "certificate", tmp_path / "key")
    with language_server(tmp_path / "certificate", tmp_path / "key") as running:
        yield running


def test_tls_is_spoken_with_a_server_whose_certificate_holds_and_its_drips_are_late(
    secure_server, tmp_path, monkeypatch
):
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "certificate"))
    assert Endpoint(secure_server.address).reply("x", PICTURE, 5) == "a picture"
    secure_server.seconds_a_byte = 0.05
    with pytest.raises(DeadlineExceeded):
        Endpoint(secure_server.address, timeout_s=0.3).reply("x", None, 5)


def test_nothing_is_sent_to_a_server_whose_certificate_is_of_nobody_known_or_for_another_name(
    secure_server, tmp_path, monkeypatch
):
    with pytest.raises(ServerUnavailable, match="certificate"):
        Endpoint(secure_server.address).reply("x", PICTURE, 5)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "certificate"))
    real = socket.getaddrinfo
    named = {"other.test": "127.0.0.1"}
    monkeypatch.setattr(socket, "getaddrinfo", lambda host, *more, **by: real(named.get(host, host), *more, **by))
    for anywhere in (False, True):
        with pytest.raises(ServerUnavailable, match="certificate"):
            Endpoint(secure_server.address.replace("127.0.0.1", "other.test"), anywhere=anywhere).reply("x", PICTURE, 5)
    assert secure_server.asked == []


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b"", MalformedMessage),
        (b"[" * 100_000, MalformedMessage),
        (b'{"choices": []}', MalformedMessage),
        (b'{"choices": [{"message": {"content": null}}]}', MalformedMessage),
        (b'{"choices": 3}', MalformedMessage),
        (b" " * (LARGEST_ANSWER_BYTES + 1), LimitExceeded),
    ],
)
def test_an_odd_answer_is_an_error_of_ours(server, body, error):
    server.body = body
    with pytest.raises(error):
        Endpoint(server.address).reply("x", None, 5)


def test_a_server_that_drips_is_late(server):
    server.seconds_a_byte = 0.05
    with pytest.raises(DeadlineExceeded):
        Endpoint(server.address, timeout_s=0.3).reply("x", None, 5)


def test_nobody_there_and_an_error_of_the_server_are_said(server):
    server.status = 500
    with pytest.raises(ServerUnavailable, match="status 500"):
        Endpoint(server.address).reply("x", None, 5)
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        with pytest.raises(ServerUnavailable, match="did not answer"):
            Endpoint(f"http://127.0.0.1:{held.getsockname()[1]}/v1").reply("x", None, 5)


def test_nothing_said_is_no_caption_and_no_question_is_no_question(server):
    server.says = lambda asked: "\x00 \n"
    with pytest.raises(MalformedMessage, match="said nothing"):
        caption(Endpoint(server.address), PICTURE)
    with pytest.raises(InvalidInput, match="question"):
        answer(Endpoint(server.address), PICTURE, "   ")


@pytest.mark.parametrize(
    "address",
    [
        "ftp://127.0.0.1/v1",
        "http://me:pw@127.0.0.1/v1",
        "http:///v1",
        "http://127.0.0.1:x/",
        "http://127.0.0.1:0/",
        "http://a b/",
        "http://h/?q",
    ],
)
def test_what_is_no_address_is_refused(address):
    with pytest.raises(InvalidInput):
        Endpoint(address)


def test_what_is_no_folder_is_refused(tmp_path):
    with pytest.raises(InvalidInput, match="no folder"):
        open_language_model(tmp_path / "absent")
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "blip"}))
    (tmp_path / "pytorch_model.bin").write_bytes(b"")
    with pytest.raises(InvalidInput, match="safetensors"):
        open_language_model(tmp_path)


def test_loopback_is_told_from_what_looks_like_it():
    assert [
        one for one in ("127.0.0.1", "127.9.9.9", "::1", "::1%lo", "::ffff:127.0.0.1") if not is_loopback(one)
    ] == []
    assert [one for one in ("0.0.0.0", "::", "10.0.0.1", "::ffff:10.0.0.1", "fe80::1%1") if is_loopback(one)] == []
