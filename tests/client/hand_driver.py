"""Drives flows by hand: a clock that only pauses move, and connections that break where a test says."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.client.paper_server import PaperServer
from unseen.errors import ServerUnavailable, UnseenError
from unseen_client.calls.protocol import Protocol
from unseen_client.session import Session
from unseen_client.steps import Exchange, Flow, Local, Pause, Progress


class Driver:
    """Drives flows by hand against a paper server, with a clock that only pauses move and faults made to order."""

    def __init__(self, server: PaperServer, home: Path, timeout_s: float = 30.0) -> None:
        self.server = server
        self.now_s = 0.0
        self.pauses: list[float] = []
        self.progress: list[Progress] = []
        self.exchanges: list[Exchange] = []
        self.faults: Callable[[Exchange], int | None] = lambda exchange: None
        """None, or how many replies arrive before the connection breaks; -1: the request itself is lost."""
        self.session = Session("paper:1", timeout_s, home, clock=lambda: self.now_s)
        self.protocol = Protocol(self.session)

    def __call__(self, flow: Flow):
        try:
            step = next(flow)
            while True:
                try:
                    outcome = self._carry_out(step)
                except UnseenError as error:
                    step = flow.throw(error)
                else:
                    step = flow.send(outcome)
        except StopIteration as done:
            return done.value

    def _carry_out(self, step):
        match step:
            case Exchange():
                self.exchanges.append(step)
                self._exchange(step)
            case Local(work):
                return work()
            case Pause(seconds):
                self.pauses.append(seconds)
                self.now_s += seconds
            case Progress():
                self.progress.append(step)
        return None

    def _exchange(self, step: Exchange) -> None:
        assert step.timeout_s > 0
        survive = self.faults(step)
        if survive == -1:
            raise ServerUnavailable("the request was lost")
        for at, reply in enumerate(self.server.answer(step)):
            if survive is not None and at >= survive:
                # the server has done its work; only its answer is lost
                raise ServerUnavailable("the connection broke")
            step.receive(step.rpc.reply_type.FromString(reply.SerializeToString()))
        if survive is not None:
            raise ServerUnavailable("the connection broke at the end")
