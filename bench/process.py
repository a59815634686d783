"""What another process uses: memory and processor time, read from /proc."""

from __future__ import annotations

import os
from pathlib import Path


def resident_bytes(process_id: int) -> int:
    """Memory that the process holds in RAM."""
    for line in Path(f"/proc/{process_id}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return 1024 * int(line.split()[1])
    raise ProcessLookupError(f"process {process_id} has no memory: it has ended")


def cpu_seconds(process_id: int) -> float:
    """Processor time that the process used so far, in user and system mode."""
    after_name = Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()
    return (int(after_name[11]) + int(after_name[12])) / os.sysconf("SC_CLK_TCK")
