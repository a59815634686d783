"""A server inside the test's own process, so that a test can reach into it; calls to it go out from other threads."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

from unseen_server.config import Config
from unseen_server.keys.choice import MasterKeyChoice
from unseen_server.workers import Workers


def config(folder: Path, **options: Any) -> Config:
    """Everything in one folder, a port that the system chooses, one thread to scan."""
    return Config(folder / "data", "127.0.0.1", 0, MasterKeyChoice.of_file(folder / "key"), None, 1, **options)


async def in_thread(work: Callable[..., Any], *args: Any) -> Any:
    """What would wait for the server that runs on the test's event loop."""
    return await asyncio.to_thread(work, *args)


def scan(workers: Workers, work: Callable[[], None]) -> asyncio.Future[None]:
    """A search's part in the threads, its query at hand."""
    with workers.scan_place() as place:
        return place.scan(work)
