"""Starting, saying where, serving until asked to stop.

Exit codes: 0 stopped when asked, 1 the store failed, 2 the configuration or the key is wrong (nothing was written).
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
from collections.abc import Coroutine
from typing import Any

from unseen.errors import IntegrityError, InvalidConfiguration, KeyServiceFailed, Mismatch, StoreFailed
from unseen_server.config import Config, from_arguments
from unseen_server.operations.log_lines import say_only_what_is_allowed
from unseen_server.process import keep_handing_back, prepare_process

STOPPED, FAILED, REFUSED = 0, 1, 2


def main() -> int:
    """Run the server that the command line asks for."""
    prepare_process()
    say_only_what_is_allowed(sys.stderr)
    try:
        return asyncio.run(_serve(from_arguments(sys.argv[1:])))
    except (InvalidConfiguration, IntegrityError, KeyServiceFailed, Mismatch) as error:
        sys.stderr.write(f"unseen server: {error}\n")
        return REFUSED
    except StoreFailed as error:
        sys.stderr.write(f"unseen server: {error}\n")
        return FAILED


async def _serve(config: Config) -> int:
    asked_to_stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, asked_to_stop.set)
    from unseen_server import app  # only now: a command line that is refused, or asks for help, need not wait for it

    starting = asyncio.create_task(app.start(config))
    await _first(starting, asked_to_stop.wait())
    if not starting.done():
        starting.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await starting
        return STOPPED
    server = starting.result()
    sys.stdout.write(f"unseen server listening on {config.address(server.port)}\n")
    sys.stdout.flush()
    await _first(asked_to_stop.wait(), server.store_failed.wait(), keep_handing_back())
    await server.stop()
    return FAILED if server.store_failed.is_set() else STOPPED


async def _first(*waits: asyncio.Task[Any] | Coroutine[Any, Any, Any]) -> None:
    """Until one of them ends; a coroutine that did not is cancelled, a task is its owner's."""
    tasks = [wait if isinstance(wait, asyncio.Task) else asyncio.create_task(wait) for wait in waits]
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task, wait in zip(tasks, waits, strict=True):
        if task is not wait:
            task.cancel()
