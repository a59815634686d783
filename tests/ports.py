"""Ports for servers that a test stops and starts again: still theirs when they come back.

A port that the system chose may be given to any other connection as soon as it is free. These lie below those that
Linux chooses from, and each of the first eighteen workers of pytest-xdist has its own.
"""

from __future__ import annotations

import itertools
import os
import socket

FIRST, PER_WORKER, WORKERS = 20_000, 700, 18
"""Up to 32,599: Linux itself chooses from 32,768 on."""


def _own_ports() -> range:
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % WORKERS
    return range(FIRST + PER_WORKER * worker, FIRST + PER_WORKER * (worker + 1))


# Another run of the tests beside this one begins elsewhere in the same range.
_in_turn = itertools.islice(itertools.cycle(_own_ports()), os.getpid() % PER_WORKER, None)


def port_to_keep() -> int:
    """A free TCP port of 127.0.0.1 that neither the system nor a later call gives to others soon."""
    for port in itertools.islice(_in_turn, PER_WORKER):
        try:
            with socket.socket() as one:
                one.bind(("127.0.0.1", port))
        except OSError:
            continue
        return port
    raise OSError(f"got no free port among {_own_ports()}, expected one; end what listens there")
