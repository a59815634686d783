"""TLS: the server proves itself; clients prove themselves by a certificate of its own authority, or by a token."""

from __future__ import annotations

import socket
import ssl
import subprocess
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.server.http2 import PING, PREFACE, SETTINGS, frame
from tests.server.identities import Identity, credentials, issue, tls_options
from unseen_server.call import Caller, Role

Make = Callable[..., Any]
OUTSIDE = ("--listen", "0.0.0.0:0")
"""Reachable from other machines, and from this one as 127.0.0.1."""


@pytest.fixture
def authority() -> Identity:
    return issue("our authority")


@pytest.fixture
def tls_server(make_server: Make, authority: Identity, tmp_path: Path) -> Any:
    return make_server(*tls_options(tmp_path, issue("server", authority), authority)).start()


def test_client_of_our_authority_searches(tls_server: Any, authority: Identity, call: Make, make_rows: Make) -> None:
    caller = call(tls_server, credentials(authority, issue("device", authority)))
    vectors, batch = make_rows(5)
    caller.enrol(caller.create().uid, batch)
    assert caller.search(caller.collection(), vectors[3])[3] > 0.98
    assert caller.access().access.name == "device"


def test_others_are_not_let_in(tls_server: Any, authority: Identity, call: Make) -> None:
    stranger = issue("their authority")
    for given in (
        None,
        credentials(authority, None),
        credentials(authority, issue("device", stranger)),
        credentials(stranger, issue("device", authority)),
    ):
        caller = call(tls_server, given)
        assert caller.refusal(caller.info).status == "UNAVAILABLE"
    friend = call(tls_server, credentials(authority, issue("device", authority)))
    assert len(friend.info().store_uid) == 16
    assert [line for line in tls_server.log().splitlines() if not line.startswith('{"time"')] == []


def of_version(version: ssl.TLSVersion) -> ssl.SSLContext:
    """A client that speaks this version only, and believes every server."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_ciphers("DEFAULT:@SECLEVEL=0")  # else this side refuses the old versions by itself
    context.set_alpn_protocols(["h2"])
    with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
        context.minimum_version = context.maximum_version = version
    return context


def test_tls_older_than_1_2_is_refused(make_server: Make, authority: Identity, tmp_path: Path) -> None:
    server = make_server(*tls_options(tmp_path, issue("server", authority))).start()

    def agreed(version: ssl.TLSVersion) -> str | None:
        with (
            socket.create_connection(("127.0.0.1", server.port), timeout=60) as plain,
            of_version(version).wrap_socket(plain) as secured,
        ):
            return secured.version()

    assert agreed(ssl.TLSVersion.TLSv1_3) == "TLSv1.3"
    assert agreed(ssl.TLSVersion.TLSv1_2) == "TLSv1.2"
    for old in (ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1):
        with pytest.raises(ssl.SSLError, match=r"PROTOCOL_VERSION|UNEXPECTED_EOF"):  # an alert, or just the end
            agreed(old)


def test_a_record_that_was_altered_on_its_way_ends_the_connection(
    make_server: Make, authority: Identity, tmp_path: Path
) -> None:
    server = make_server(*tls_options(tmp_path, issue("server", authority))).start()
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = of_version(ssl.TLSVersion.TLSv1_3).wrap_bio(incoming, outgoing, server_hostname="localhost")
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as wire:
        while True:
            try:
                client.do_handshake()
                break
            except ssl.SSLWantReadError:
                wire.sendall(outgoing.read())
                incoming.write(wire.recv(1 << 16))
        client.write(PREFACE + frame(SETTINGS))
        wire.sendall(outgoing.read())
        assert wire.recv(1 << 16), "what was not altered is answered"
        client.write(frame(PING, payload=bytes(8)))
        record = outgoing.read()
        wire.sendall(record[:-1] + bytes([record[-1] ^ 1]))
        while wire.recv(1 << 16):  # TimeoutError when it stays open
            pass


def test_certificate_without_a_usable_name_is_told_so(tls_server: Any, authority: Identity, call: Make) -> None:
    for name in ("caf\u00e9", "two\nlines", " padded"):
        caller = call(tls_server, credentials(authority, issue(name, authority)))
        refusal = caller.refusal(caller.info)
        assert (refusal.code, "certificate" in refusal.message) == ("NOT_AUTHENTICATED", True), name


def test_tls_and_a_token_are_enough(
    make_server: Make, authority: Identity, tmp_path: Path, call: Make, write_grants: Make
) -> None:
    texts = write_grants(tmp_path, {"reader": Caller("ward", "alice", frozenset({Role.READER}))})
    server = make_server(*tls_options(tmp_path, issue("server", authority)), *OUTSIDE).start()
    holder = call(server, credentials(authority), texts["reader"])
    assert holder.access().access.tenant == "ward"
    nobody = call(server, credentials(authority))
    assert nobody.refusal(nobody.info).status == "UNAUTHENTICATED"


def test_certificate_names_a_caller_once_tokens_are_in_use(
    make_server: Make, authority: Identity, tmp_path: Path, call: Make, write_grants: Make
) -> None:
    named = Caller("ward", "scanner 7", frozenset({Role.CONTRIBUTOR}))
    texts = write_grants(
        tmp_path, {"bound": (named, "device-7"), "reader": Caller("lab", "bob", frozenset({Role.READER}))}
    )
    server = make_server(*tls_options(tmp_path, issue("server", authority), authority), *OUTSIDE).start()
    bound = call(server, credentials(authority, issue("device-7", authority)))
    assert (bound.access().access.tenant, bound.access().access.name) == ("ward", "scanner 7")
    bound.create()
    other = credentials(authority, issue("device-8", authority))
    unknown = call(server, other)
    assert unknown.refusal(unknown.info).code == "NOT_AUTHENTICATED"
    assert call(server, other, texts["reader"]).access().access.tenant == "lab", "a token goes before a certificate"


def test_server_that_others_reach_does_not_start_without_a_way_to_tell_who_calls(
    make_server: Make, authority: Identity, tmp_path: Path, write_grants: Make
) -> None:
    server = make_server(*tls_options(tmp_path, issue("server", authority)), *OUTSIDE)

    def refusal() -> str:
        before = sorted(tmp_path.rglob("*"))
        result = subprocess.run(server.command(), capture_output=True, text=True, check=False)
        assert (result.returncode, sorted(tmp_path.rglob("*"))) == (2, before), "nothing was written"
        return result.stderr

    assert "no way to tell who calls" in refusal()
    write_grants(tmp_path, {"expired": (Caller("", "alice", frozenset(Role)), -1)})
    assert "unseen tokens create" in refusal()
    write_grants(tmp_path, {"alice": Caller("", "alice", frozenset(Role))})
    server.start()
