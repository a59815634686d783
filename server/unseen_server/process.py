"""What the process asks of the system before it holds a secret."""

from __future__ import annotations

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
    """Give whole freed pages to the system, which empties them: what was erased should not linger there.

    Free memory in a page that also holds something live stays as it is. Only where the C library can (glibc).
    """
    malloc_trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if malloc_trim is not None:
        malloc_trim(0)
