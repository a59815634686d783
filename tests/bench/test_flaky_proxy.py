"""The proxy that breaks networks counts what passed before anybody can know that it did, and cuts what is open."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest

from bench.faults.flaky_proxy import FlakyProxy

PATIENCE_S = 30


@pytest.fixture
def proxy() -> Iterator[FlakyProxy]:
    """In front of a server that says every byte again."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                one, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=say_again, args=(one,), daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    made = FlakyProxy(f"127.0.0.1:{listener.getsockname()[1]}")
    yield made
    made.close()
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()


def say_again(one: socket.socket) -> None:
    with one:
        while data := one.recv(100):
            one.sendall(data)


def connected(proxy: FlakyProxy) -> socket.socket:
    host, _, port = proxy.address.rpartition(":")
    return socket.create_connection((host, int(port)), timeout=PATIENCE_S)


def test_a_byte_that_has_arrived_is_counted(proxy: FlakyProxy) -> None:
    with connected(proxy) as client:
        for number in range(1, 300):
            client.sendall(b"x")
            assert client.recv(1) == b"x"
            assert (proxy.bytes_up, proxy.bytes_down) == (number, number)


def test_what_is_open_is_cut_and_counting_begins_anew(proxy: FlakyProxy) -> None:
    for _ in range(50):
        with connected(proxy) as client:
            client.sendall(b"x")
            assert client.recv(1) == b"x"
            proxy.cut_next()
            assert client.recv(1) == b""
            assert (proxy.bytes_up, proxy.bytes_down) == (0, 0)
