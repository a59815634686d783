"""A server whose clock a test moves, and a steward with an agreement in force."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.server.caller import Caller
from tests.server.governance.steward import OwnServer, Steward


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[OwnServer]:
    one = OwnServer(tmp_path)
    yield one.start()
    one.end()


@pytest.fixture
def dial(own_server: OwnServer) -> Iterator[Callable[[], Caller]]:
    """A caller of the server as it runs now."""
    callers: list[Caller] = []

    def make() -> Caller:
        callers.append(Caller(own_server.port))
        return callers[-1]

    yield make
    for one in callers:
        one.close()


@pytest.fixture
def governed(dial: Callable[[], Caller]) -> Callable[..., Steward]:
    """Makes a collection with a policy of these terms, accepted by the caller."""

    def make(name: str = "photos", **changes: Any) -> Steward:
        caller = dial()
        steward = Steward(caller, caller.create(name).uid)
        steward.set_policy(**changes)
        steward.accept()
        return steward

    return make
