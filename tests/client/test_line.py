"""The connection: replaced once when it broke, closed when the last call on it is over and not before."""

from __future__ import annotations

from typing import Any, cast

import grpc
import pytest
from grpc import _channel as grpc_internals

from unseen_client.line import Line


class Channel:
    """Stands for a gRPC channel, which costs a connection to look at: counts its closings."""

    def __init__(self):
        self.closed = 0

    def close(self):
        self.closed += 1


@pytest.fixture
def made():
    return []


@pytest.fixture
def line(made):
    return Line(lambda: made.append(Channel()) or made[-1])


def test_calls_share_one_channel(line, made):
    with line.channel() as first, line.channel() as second:
        assert first is second is made[0]
    assert (len(made), made[0].closed) == (1, 0)


def test_a_broken_channel_is_replaced_once_however_many_calls_saw_it_break(line, made):
    with line.channel() as first, line.channel() as second:
        line.broke(first)
        line.broke(second)
        with line.channel() as third:
            assert third is made[1]
    assert len(made) == 2


def test_a_replaced_channel_is_closed_after_its_last_call(line, made):
    with line.channel() as first:
        with line.channel():
            line.broke(first)
        assert made[0].closed == 0
    assert (made[0].closed, made[1].closed) == (1, 0)


def test_closing_closes_every_channel(line, made):
    with line.channel() as first:
        line.broke(first)
        line.close()
        assert all(one.closed for one in made)
    assert len(made) == 2


def test_a_call_that_a_signal_interrupted_in_the_making_does_not_hold_the_client(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    line = Line(lambda: grpc.insecure_channel("127.0.0.1:1"))

    def interrupted(*given: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(grpc_internals, "_run_channel_spin_thread", interrupted)
    with pytest.raises(KeyboardInterrupt), line.channel() as channel:
        cast(Any, channel).stream_stream("/unseen.v1.InfoService/GetServerInfo")(iter([b""]), timeout=60)
    monkeypatch.undo()
    line.close()  # gRPC's own close never returns here
