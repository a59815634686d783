"""What the process asks of the system before it holds a secret."""

from __future__ import annotations

import ctypes
import os
import resource

MALLOC_TRIM_THRESHOLD, MALLOC_MMAP_THRESHOLD = -1, -3
"""Numbers of glibc's malloc.h."""
KEPT_BYTES = 256 << 20
LARGEST_KEPT_BYTES = 32 << 20
"""The largest value that glibc takes; the arrays of one block of rows have up to 8 MiB."""


def prepare_process() -> None:
    """Leave no core dump, make files that others cannot read, keep freed memory for the next block."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core dump would hold opened vectors and keys
    os.umask(0o077)
    _keep_freed_memory()


def _keep_freed_memory() -> None:
    """Packing a block frees megabytes that the next one asks for again: handing them back costs half of a start."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(MALLOC_MMAP_THRESHOLD, LARGEST_KEPT_BYTES)
        mallopt(MALLOC_TRIM_THRESHOLD, KEPT_BYTES)
