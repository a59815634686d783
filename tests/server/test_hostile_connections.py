"""Connections that nobody should make, many at once: the server sheds them and goes on answering everybody else.

Frames are written by hand (`tests/server/http2.py`).
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.server.http2 import (
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    GOAWAY,
    HEADERS,
    PING,
    PREFACE,
    RST_STREAM,
    SETTINGS,
    frame,
    header_block,
)
from tests.server.identities import credentials, issue, tls_options
from tests.server.in_process import config
from unseen_server import app, limits

Make = Callable[..., Any]
PATIENCE_S = 60.0


@contextlib.contextmanager
def connections(port: int, count: int) -> Iterator[list[socket.socket]]:
    """Plain TCP connections, closed at the end."""
    with contextlib.ExitStack() as held:
        yield [
            held.enter_context(socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S)) for _ in range(count)
        ]


@contextlib.contextmanager
def speaking(port: int) -> Iterator[socket.socket]:
    """A connection that has said hello in HTTP/2."""
    with connections(port, 1) as (one,):
        one.sendall(PREFACE + frame(SETTINGS))
        yield one


def read_until_closed(one: socket.socket) -> bytes:
    """Everything that comes until the other side hangs up."""
    said = b""
    with contextlib.suppress(OSError):
        while part := one.recv(1 << 16):
            said += part
    return said


def open_files(server: Any) -> int:
    return sum(1 for _ in Path(f"/proc/{server.process.pid}/fd").iterdir())


def test_silent_and_half_open_connections_are_closed_and_nobody_waits_for_them(
    make_server: Make, call: Make, tmp_path: Path
) -> None:
    """Eight hundred that say nothing, eight hundred that stop in the middle of a TLS handshake."""
    authority = issue("authority")
    server = make_server(*tls_options(tmp_path, issue("server", authority))).start()
    caller = call(server, credentials(authority))
    caller.info()
    files = open_files(server)
    hello = ssl.MemoryBIO()
    with contextlib.suppress(ssl.SSLWantReadError):
        ssl.create_default_context().wrap_bio(ssl.MemoryBIO(), hello, server_hostname="localhost").do_handshake()
    client_hello = hello.read()
    with connections(server.port, 800) as silent, connections(server.port, 800) as half_open:
        for one in half_open:
            one.sendall(client_hello)
        assert len(caller.info().store_uid) == 16
        fresh = call(server, credentials(authority))
        assert len(fresh.info().store_uid) == 16
        for one in (*silent[::100], *half_open[::100]):
            read_until_closed(one)  # the server hangs up, after limits.MAX_HANDSHAKE_S
    assert len(caller.info().store_uid) == 16
    while open_files(server) > files + 50:
        caller.info()


async def test_connection_that_is_idle_is_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_CONNECTION_IDLE_S", 0.3)
    server = await app.start(config(tmp_path))

    def until_closed() -> bytes:
        said = b""
        with speaking(server.port) as one:
            while part := one.recv(1 << 16):  # TimeoutError when it stays open
                said += part
        return said

    try:
        assert bytes([GOAWAY, 0]) + bytes(4) in await asyncio.to_thread(until_closed)
    finally:
        await server.stop()


def test_streams_reset_at_once_bring_nobody_else_to_a_stop(make_server: Make, call: Make) -> None:
    """Rapid reset (CVE-2023-44487): a request and its cancellation, 5,000 times on one connection."""
    server = make_server().start()
    caller = call(server)
    caller.info()
    memory = server.memory_bytes
    with speaking(server.port) as one:
        for stream in range(1, 10_001, 2):
            request = frame(HEADERS, stream, header_block(), END_HEADERS)
            with contextlib.suppress(OSError):
                one.sendall(request + frame(RST_STREAM, stream, struct.pack(">I", 8)))
            if stream % 1000 == 1:
                assert len(caller.info().store_uid) == 16
    assert len(caller.info().store_uid) == 16
    assert server.memory_bytes < memory + (64 << 20)


def test_flood_of_pings_ends_the_connection_and_no_other(make_server: Make, call: Make) -> None:
    server = make_server().start()
    caller = call(server)
    with speaking(server.port) as one:
        with contextlib.suppress(OSError):
            for number in range(2000):
                one.sendall(frame(PING, payload=number.to_bytes(8)))
        said = read_until_closed(one)
    assert b"too_many_pings" in said
    assert len(caller.info().store_uid) == 16


@pytest.mark.parametrize(
    "hostile",
    [
        pytest.param(lambda: frame(HEADERS, 1, b"\xff" * 100, END_HEADERS), id="headers that are none"),
        pytest.param(lambda: frame(DATA, 1, b"x" * 100), id="data of a stream that was never opened"),
        pytest.param(lambda: frame(HEADERS, 2, header_block(), END_HEADERS), id="a stream of the server's own"),
        pytest.param(lambda: b"\xff\xff\xff" + frame(DATA, 1)[3:], id="a frame of sixteen megabytes"),
        pytest.param(lambda: frame(SETTINGS, 0, b"\0" * 5), id="settings of five bytes"),
        pytest.param(lambda: b"GET / HTTP/1.1\r\n\r\n", id="another protocol"),
        pytest.param(
            lambda: frame(HEADERS, 1, header_block()) + frame(CONTINUATION, 1, header_block() * 200) * 50,
            id="headers without an end",
        ),
    ],
)
def test_frames_that_cannot_be_end_their_own_connection_only(
    server: Any, call: Make, hostile: Callable[[], bytes]
) -> None:
    caller = call(server)
    caller.info()
    memory = server.memory_bytes
    with speaking(server.port) as one:
        with contextlib.suppress(OSError):
            one.sendall(hostile())
            one.shutdown(socket.SHUT_WR)
        read_until_closed(one)
    assert len(caller.info().store_uid) == 16
    assert server.memory_bytes < memory + (32 << 20)


@pytest.mark.parametrize(("verb", "answered"), [("POST", True), ("GET", False)])
def test_what_is_no_call_is_not_answered_as_one(server: Any, call: Make, verb: str, answered: bool) -> None:
    store_uid = call(server).info().store_uid
    with speaking(server.port) as one:
        one.sendall(frame(HEADERS, 1, header_block(__method=verb), END_HEADERS) + frame(DATA, 1, bytes(5), END_STREAM))
        one.settimeout(PATIENCE_S if answered else 1.0)
        said = b""
        with contextlib.suppress(TimeoutError):
            while store_uid not in said and (part := one.recv(1 << 16)):
                said += part
    assert (store_uid in said) == answered
    assert call(server).info().store_uid == store_uid


def test_ten_thousand_entries_of_metadata_are_refused(server: Any, call: Make) -> None:
    caller = call(server)
    many = tuple((f"x-{number}", "v") for number in range(10_000))
    method = caller.channel.unary_unary("/unseen.v1.InfoService/GetServerInfo")
    assert caller.refusal(lambda: method(b"", metadata=many, timeout=30)).status in {"RESOURCE_EXHAUSTED", "INTERNAL"}
    assert len(caller.info().store_uid) == 16
