"""The stage's server: on a port that the system gives or its user, and on the same one when it starts again."""

from __future__ import annotations

import socket

from tests.ports import port_to_keep
from unseen_client.demo.stage import LOOPBACK, Stage


def test_it_says_where_it_listens_and_a_second_start_serves_there_too() -> None:
    with Stage() as stage:
        stage.start()
        socket.create_connection((LOOPBACK, stage.port)).close()
        stage.stop()
        kept = stage.port = port_to_keep()
        for _ in range(2):
            stage.start()
            assert stage.port == kept
            socket.create_connection((LOOPBACK, kept)).close()
            stage.stop()
