"""Promises of ``unseen_client.line``: hanging up always comes to an end."""

from __future__ import annotations

import grpc
import pytest
from grpc import _channel as grpc_internals

from unseen_client.line import Line


def test_a_call_that_a_signal_interrupted_in_the_making_does_not_hold_the_client(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    line = Line(lambda: grpc.insecure_channel("127.0.0.1:1"))

    def interrupted(*given: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(grpc_internals, "_run_channel_spin_thread", interrupted)
    with pytest.raises(KeyboardInterrupt), line.channel() as channel:
        channel.stream_stream("/unseen.v1.InfoService/GetServerInfo")(iter([b""]), timeout=60)
    monkeypatch.undo()
    line.close()  # gRPC's own close never returns here
