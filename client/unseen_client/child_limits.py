"""What a child takes away from itself before it reads one byte that nobody vouches for, and how it says so.

Runs in child processes. Holds nothing. The limits are no jail: a child that hostile bytes take over could still read
this user's files and open connections; it holds as little as it can, and it is replaced.

    hello      magic, bits of the limits that the system agreed to                 child -> parent, once
"""

from __future__ import annotations

import signal
import struct
import sys

HELLO = struct.Struct("<4sI")
HELLO_MAGIC = b"UCH1"
LIMIT_MEMORY, LIMIT_CPU, LIMIT_FILES = 1, 2, 4
LIMITS = {LIMIT_MEMORY: "memory", LIMIT_CPU: "cpu", LIMIT_FILES: "files"}
"""Bits of the hello: what the system agreed to. All three on Linux."""

REPLACED_AFTER_S = 900.0
"""A child that has worked for so long is not given another file: one more could need more than it has left."""
CPU_S_IN_ALL = 1800
"""Of computing, also for a child that gives itself more: REPLACED_AFTER_S, and what the largest object may take."""


def greet() -> None:
    """Take away memory beyond the command line's number, endless computing, core dumps, new files; say what holds."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    held = _limited(int(sys.argv[1]))
    sys.stdout.buffer.write(HELLO.pack(HELLO_MAGIC, held))
    sys.stdout.buffer.flush()


def _limited(memory_bytes: int) -> int:
    try:
        import resource
    except ImportError:  # not a POSIX system
        return 0
    held = 0
    wanted = (
        (resource.RLIMIT_AS, memory_bytes, LIMIT_MEMORY),
        (resource.RLIMIT_CPU, CPU_S_IN_ALL, LIMIT_CPU),
        (resource.RLIMIT_FSIZE, 0, LIMIT_FILES),
        (resource.RLIMIT_CORE, 0, 0),
    )
    for what, most, bit in wanted:
        try:
            resource.setrlimit(what, (most, most))
            held |= bit
        except (OSError, ValueError):  # macOS refuses some of them; the parent says which hold
            continue
    return held


def allow_computing(seconds: int) -> None:
    """Give the next piece of work its seconds of computing time; the system kills the child beyond them."""
    try:
        import resource
    except ImportError:
        return
    usage = resource.getrusage(resource.RUSAGE_SELF)
    soft = int(usage.ru_utime + usage.ru_stime) + 1 + seconds
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    if hard != resource.RLIM_INFINITY:
        soft = min(soft, hard - 1)  # the signal at the soft limit tells the parent why; the hard one just kills
    resource.setrlimit(resource.RLIMIT_CPU, (soft, hard))
