"""``python -m unseen_server``: start, say where, serve until asked to stop.

Exit codes: 0 stopped when asked, 1 the store failed, 2 the configuration or the key is wrong (nothing was written).
"""

from __future__ import annotations

import asyncio
import logging
import os
import resource
import signal
import sys

from unseen.errors import IntegrityError, InvalidConfiguration, Mismatch, StoreFailed
from unseen_server import app
from unseen_server.config import Config, from_arguments

STOPPED, FAILED, REFUSED = 0, 1, 2


def main() -> int:
    """Run the server that the command line asks for."""
    _leave_no_core_dump()
    os.umask(0o077)
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    try:
        return asyncio.run(_serve(from_arguments(sys.argv[1:])))
    except (InvalidConfiguration, IntegrityError, Mismatch) as error:
        sys.stderr.write(f"unseen server: {error}\n")
        return REFUSED
    except StoreFailed as error:
        sys.stderr.write(f"unseen server: {error}\n")
        return FAILED


def _leave_no_core_dump() -> None:
    """A core dump would hold opened vectors and keys."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


async def _serve(config: Config) -> int:
    asked_to_stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, asked_to_stop.set)
    server = await app.start(config)
    sys.stdout.write(f"unseen server listening on {config.host}:{server.port}\n")
    sys.stdout.flush()
    waits = [asyncio.create_task(event.wait()) for event in (asked_to_stop, server.store_failed)]
    await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    for wait in waits:
        wait.cancel()
    await server.stop()
    return FAILED if server.store_failed.is_set() else STOPPED


if __name__ == "__main__":
    sys.exit(main())
