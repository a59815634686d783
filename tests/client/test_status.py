"""What a status says, and what it does not say of what a server left out."""

from __future__ import annotations

import json

import pytest

from unseen.v1 import operations_pb2 as pb
from unseen_client import ServerStatus
from unseen_client.cli import status as command
from unseen_client.status import GovernanceStatus


def words(status: ServerStatus) -> str:
    return "\n".join(f"{name} {value}" for name, value in command._lines(status))


def test_a_server_that_says_nothing_of_agreements_has_no_leaping_clock() -> None:
    status = ServerStatus.from_message(pb.GetStatusResponse(version="0.1.0"))
    assert (status.governance, status.memory, status.traffic) == (None, None, None)
    assert "CLOCK" not in words(status)
    assert "agreements" not in words(status)
    assert json.loads(json.dumps(command._fields(status)))["governance"] is None


@pytest.mark.parametrize("certain", [True, False])
def test_a_clock_that_leapt_is_told(certain: bool) -> None:
    message = pb.GetStatusResponse(governance=pb.GovernanceStatus(agreements=2, holds=1, clock_certain=certain))
    status = ServerStatus.from_message(message)
    assert status.governance == GovernanceStatus(2, 1, 0, certain)
    assert ("CLOCK" in words(status)) is not certain
    assert "2, 1 legal holds stand" in words(status)
