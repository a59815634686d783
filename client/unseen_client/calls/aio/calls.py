"""What every group of calls stands on: the calls as flows, and something that drives them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TypeVar

from unseen_client.calls.protocol import Protocol
from unseen_client.progress import Watcher
from unseen_client.steps import Flow

Result = TypeVar("Result")


class AsyncCalls(ABC):
    """Part of ``AsyncClient``."""

    _protocol: Protocol

    @abstractmethod
    async def _drive(self, flow: Flow[Result], progress: bool | Watcher = False) -> Result:
        """Carry out a flow's steps until it is done."""
