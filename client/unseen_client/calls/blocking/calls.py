"""What every group of calls stands on: the calls as flows, and something that drives them.

Made of calls/aio by scripts/blocking_calls.py: change that and run it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TypeVar

from unseen_client.calls.protocol import Protocol
from unseen_client.progress import Watcher
from unseen_client.steps import Flow

Result = TypeVar("Result")


class Calls(ABC):
    """Part of ``Client``."""

    _protocol: Protocol

    @abstractmethod
    def _drive(self, flow: Flow[Result], progress: bool | Watcher = False) -> Result:
        """Carry out a flow's steps until it is done."""
