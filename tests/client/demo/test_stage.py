"""The stage's server: on a port of its own, which it keeps."""

from __future__ import annotations

import socket

from unseen_client.demo.stage import LOOPBACK, Stage


def test_a_second_start_serves_on_the_port_of_the_first() -> None:
    with Stage() as stage:
        ports = []
        for _ in range(2):
            stage.start()
            ports.append(stage.port)
            socket.create_connection((LOOPBACK, stage.port)).close()
            stage.stop()
    assert ports[0] == ports[1] > 0
