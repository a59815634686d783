"""A child process that works on files nobody vouches for: its start, its pipes, its end, and what its death means.

Runs where the images are. The parent holds what it sent for the length of a call. What hostile bytes crash, fill or
stall is the child and not this process: the child limits itself (``child_limits``), a watchdog here limits its time.
"""

from __future__ import annotations

import os
import signal
import struct
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from queue import LifoQueue

from unseen.errors import ImageRefused, InvalidConfiguration
from unseen_client.child_limits import HELLO, HELLO_MAGIC, LIMITS, REPLACED_AFTER_S

START_TIMEOUT_S = 60.0
PASSED_ON = ("HOME", "LANG", "LD_LIBRARY_PATH", "PATH", "PYTHONHOME", "PYTHONPATH", "SYSTEMROOT", "VIRTUAL_ENV")
"""All of the environment that a child sees: enough to find its packages, no tokens."""
ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
"""Each thread of a mathematics library reserves address space, which the child's limit counts."""
MOST_WORKERS = 8
"""More files at once than this fill memory (a child may take 512 MiB for one) sooner than they save time."""


def worker_count(wanted: int | None) -> int:
    """Return how many files to work on at once: None takes the cores that this process may use."""
    return max(1, min(wanted or _cores(), MOST_WORKERS))


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class ChildProcess:
    """One running module and the two pipes to it. Not for two threads at once."""

    def __init__(self, module: str, memory_bytes: int, needs: str) -> None:
        """Start ``python -m module``; InvalidConfiguration, naming the package it needs, when it does not start."""
        environment = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", module, str(memory_bytes)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment | ONE_THREAD,
        )
        self.owner = os.getpid()
        self.memory_bytes = memory_bytes
        self.served = 0
        self.worked_s = 0.0
        """By the clock, so no less than it computed: a child has one thread."""
        self.end = weakref.finalize(self, _end, self._process, self.owner)
        try:
            self.limits = self._greeting(needs)
        except BaseException:
            self.end()
            raise

    @property
    def process_id(self) -> int:
        """For looking at its limits."""
        return self._process.pid

    @contextmanager
    def talking(self, what: str, timeout_s: float, remedy: str = "split it") -> Iterator[None]:
        """Let the child take this long for what the block does; ImageRefused, with the reason, when it dies of it.

        remedy: what to do when the time is not enough.
        """
        self.served += 1
        bitten = threading.Event()
        watchdog = threading.Timer(timeout_s, self._bite, (bitten,))
        watchdog.daemon = True
        watchdog.start()
        began = time.monotonic()
        try:
            yield
        except (OSError, EOFError, struct.error) as error:
            raise ImageRefused(self._cause_of_death(what, remedy, timeout_s if bitten.is_set() else None)) from error
        finally:
            watchdog.cancel()
            self.worked_s += time.monotonic() - began

    def send(self, *parts: bytes | memoryview) -> None:
        """Write to the child; OSError when it is gone."""
        pipe = self._process.stdin
        assert pipe is not None  # noqa: S101 - for the type checker: both pipes were asked for
        for part in parts:
            pipe.write(part)
        pipe.flush()

    def receive(self, size: int) -> bytes:
        """Read this many bytes; EOFError when the child is gone."""
        pipe = self._process.stdout
        assert pipe is not None  # noqa: S101
        data = pipe.read(size)
        if len(data) < size:
            raise EOFError
        return data

    def receive_into(self, buffer: memoryview) -> None:
        """Fill a buffer of bytes; EOFError when the child is gone."""
        pipe = self._process.stdout
        assert pipe is not None  # noqa: S101
        at = 0
        while at < len(buffer):
            count = pipe.readinto(buffer[at:])  # type: ignore[attr-defined]  # a BufferedReader: typeshed says IO
            if not count:
                raise EOFError
            at += count

    def _greeting(self, needs: str) -> frozenset[str]:
        watchdog = threading.Timer(START_TIMEOUT_S, self._process.kill)
        watchdog.start()
        try:
            magic, limits = HELLO.unpack(self.receive(HELLO.size))
        except (EOFError, OSError) as error:
            raise InvalidConfiguration(
                f"got a child process that does not start, expected one; check with: python -m pip install {needs}"
            ) from error
        finally:
            watchdog.cancel()
        if magic != HELLO_MAGIC:
            raise InvalidConfiguration("got something else than the child process, expected it; reinstall Unseen")
        return frozenset(name for bit, name in LIMITS.items() if limits & bit)

    def _bite(self, bitten: threading.Event) -> None:
        bitten.set()
        self._process.kill()

    def _cause_of_death(self, what: str, remedy: str, bitten_after_s: float | None) -> str:
        self._process.kill()
        status = self._process.wait()
        if bitten_after_s is not None:
            return f"got {what} that takes over {bitten_after_s:g} s, expected less; {remedy}"
        if hasattr(signal, "SIGXCPU") and status == -signal.SIGXCPU:
            return f"got {what} that takes too many seconds of computing, expected fewer; {remedy}"
        return f"got {what} that broke the process that reads it, expected a sound one; it may be hostile"


class ChildPool:
    """As many children of one kind as files are worked on at once. Safe for several threads, which wait for a place."""

    def __init__(self, start: Callable[[int], ChildProcess], count: int, uses_per_child: int) -> None:
        """start: starts a child that may use so many bytes of memory.

        A fresh child comes after so many uses, or after REPLACED_AFTER_S of work.
        """
        self._start = start
        self._count = count
        self._uses = uses_per_child
        self._resting: LifoQueue[ChildProcess | None] = LifoQueue()
        for _ in range(count):
            self._resting.put(None)

    @contextmanager
    def one(self, memory_bytes: int) -> Iterator[ChildProcess]:
        """Lend a child with this limit for a block; one in whose block anything was raised is not used again."""
        running = self._resting.get()
        try:
            if running is not None and not self._is_fit(running, memory_bytes):
                running.end()
                running = None
            running = running or self._start(memory_bytes)
            yield running
        except BaseException:
            if running is not None:
                running.end()
            running = None
            raise
        finally:
            self._resting.put(running)

    def close(self) -> None:
        """End the children, once nobody uses them."""
        for running in [self._resting.get() for _ in range(self._count)]:
            if running is not None:
                running.end()
            self._resting.put(None)

    def _is_fit(self, running: ChildProcess, memory_bytes: int) -> bool:
        # After a fork both processes would talk into the same pipe: the new one starts a child of its own.
        own = running.owner == os.getpid()
        fresh = running.served < self._uses and running.worked_s < REPLACED_AFTER_S
        return own and fresh and running.memory_bytes == memory_bytes


def _end(process: subprocess.Popen[bytes], owner: int) -> None:
    """Kill a child, close its pipes, collect its exit status. A forked copy of the parent only closes its pipes."""
    if owner == os.getpid():
        process.kill()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            try:
                pipe.close()
            except OSError:  # unsent bytes to a child that is gone
                continue
    if owner == os.getpid():
        process.wait()
