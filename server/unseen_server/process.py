"""What the process asks of the system before it holds a secret."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import resource
import sys

PR_SET_DUMPABLE = 4
"""Number of Linux's prctl.h."""
MALLOC_TRIM_THRESHOLD, MALLOC_MMAP_THRESHOLD = -1, -3
"""Numbers of glibc's malloc.h."""
KEPT_BYTES = 256 << 20
LARGEST_KEPT_BYTES = 32 << 20
"""The largest value that glibc takes; the arrays of one block of rows have up to 8 MiB."""

TUNABLES, ALLOCATOR, STARTED_OVER = "GLIBC_TUNABLES", "PYTHONMALLOC", "UNSEEN_SERVER_OVERWRITES_FREED_MEMORY"
OVERWRITING = ("glibc.malloc.perturb=85", "glibc.malloc.tcache_count=0")
"""The C library fills what is freed with one byte; its cache, which leaves small pieces as they are, gets no room."""
ARENAS, FEW = "glibc.malloc.arena_max", "2"
"""Each thread would have an arena of its own, and what calls that are long over left in it would keep its pages."""
GRPC_LOG = "GRPC_VERBOSITY"
SMALL_ARRAY_BYTES = 1024
"""numpy keeps freed arrays below this size, eight of each, and never asks the C library."""
KEPT_OF_EACH_SIZE = 8
HANDED_BACK_EVERY_S = 30.0


def overwrite_freed_memory() -> None:
    """Start this process over, unless it runs so already, with memory that is overwritten the moment it is freed.

    What was erased is then not only out of reach but gone: the copies that messages, seals and arrays made of it on its
    way in. Python's own allocator, which overwrites nothing, is left out. Only on Linux with glibc; elsewhere freed
    memory keeps its content until it is used again. Its threads share two arenas, unless the environment says another
    number (decision 0015).
    """
    if sys.platform != "linux" or os.environ.get(STARTED_OVER):
        return
    given = os.environ.get(TUNABLES, "")
    arenas = "" if ARENAS in given else f"{ARENAS}={FEW}"
    tunables = ":".join(filter(None, [given, arenas, *OVERWRITING]))
    environment = os.environ | {TUNABLES: tunables, ALLOCATOR: "malloc", STARTED_OVER: "1"}
    os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], environment)  # noqa: S606 - no shell is wanted


def leave_the_log_to_us() -> None:
    """Have gRPC's core write nothing by itself; before it is loaded.

    It writes past every logger, in a form of its own, a line for every stranger whose handshake fails.
    """
    os.environ.setdefault(GRPC_LOG, "NONE")


def leave_scipy_out() -> None:
    """Have numba find no SciPy where there happens to be one; before numba is loaded.

    It would load it whole, for linear algebra that nothing compiled here uses: a quarter of a second of every start.
    """
    sys.modules.setdefault("scipy", None)  # type: ignore[arg-type]  # Python takes None; typeshed does not say so


def prepare_process() -> None:
    """Leave no core dump, let no debugger in, make files that others cannot read, keep freed memory."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core dump would hold opened vectors and keys
    os.umask(0o077)
    _close_to_debuggers()
    _keep_freed_memory()


def _close_to_debuggers() -> None:
    """Another process of the same user could otherwise read this one's memory; the administrator still can."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)


def _keep_freed_memory() -> None:
    """Packing a block frees megabytes that the next one asks for again: handing them back costs half of a start."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(MALLOC_MMAP_THRESHOLD, LARGEST_KEPT_BYTES)
        mallopt(MALLOC_TRIM_THRESHOLD, KEPT_BYTES)


def hand_back_freed_memory() -> None:
    """Give whole freed pages to the system, which empties them, and have numpy forget its small arrays.

    Only where the C library can (glibc). For what is freed page or not: ``overwrite_freed_memory``.
    """
    _forget_small_arrays()
    _hand_back_whole_pages()


async def keep_handing_back() -> None:
    """Hand whole freed pages back now and then, until cancelled.

    What a burst of calls frees lies between pieces that are in use, where the C library leaves it: memory would grow
    with the largest burst that each arena has had.
    """
    while True:
        await asyncio.sleep(HANDED_BACK_EVERY_S)
        with contextlib.suppress(RuntimeError):  # no thread is to be had now: nothing to stop a server for
            await asyncio.to_thread(_hand_back_whole_pages)


def _hand_back_whole_pages() -> None:
    malloc_trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if malloc_trim is not None:
        malloc_trim(0)


def _forget_small_arrays() -> None:
    """Take every small array that numpy keeps and give it back full of zeros."""
    import numpy as np

    for size in range(1, SMALL_ARRAY_BYTES):
        _ = [np.zeros(size, np.uint8) for _ in range(KEPT_OF_EACH_SIZE)]
