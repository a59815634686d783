"""What another process uses: memory and processor time, read from /proc."""

from __future__ import annotations

import os
from pathlib import Path


def resident_bytes(process_id: int) -> int:
    """Memory that the process holds in RAM."""
    return _memory_bytes(process_id, "VmRSS")


def peak_resident_bytes(process_id: int) -> int:
    """The most memory that the process ever held in RAM."""
    return _memory_bytes(process_id, "VmHWM")


def _memory_bytes(process_id: int, name: str) -> int:
    for line in Path(f"/proc/{process_id}/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return 1024 * int(line.split()[1])
    raise ProcessLookupError(f"process {process_id} has no memory: it has ended")


def cpu_seconds(process_id: int) -> float:
    """Processor time that the process used so far, in user and system mode."""
    after_name = Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()
    return (int(after_name[11]) + int(after_name[12])) / os.sysconf("SC_CLK_TCK")
