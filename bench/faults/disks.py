"""A disk that fills up, at every size. Writes are cut short at any byte, then refused: by the kernel, nothing is faked.

a limit on the size of files    the write that reaches it is a short one, the next is refused (EFBIG)
a small file system             writes, new files and journals are refused (ENOSPC); needs the right to mount
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.faults.history import History
from bench.faults.plan import OFTEN
from bench.faults.system_calls import Tried

STEPS = 6
FILE_SYSTEM_BYTES = 16 << 20
BLOCK_BYTES = 4096


def fill_files(start: History, folder: Path, every: int) -> Tried:
    """Lives whose files may not grow beyond a limit, for limits ``every`` so many bytes."""
    tried = Tried()
    largest = max(path.stat().st_size for path in start.folder.rglob("*") if path.is_file())
    for limit in range(0, 2 * largest, every):
        history = start.copied_to(folder / "run")
        with history.life(limit, STEPS, OFTEN, ["prlimit", f"--fsize={limit}"]) as process:
            process.wait()
        _count(tried, history, process.returncode)
        shutil.rmtree(folder / "run")
    return tried


def fill_file_system(start: History, folder: Path, every_blocks: int) -> Tried:
    """Lives on a file system with n free blocks, for n = 0, ``every_blocks`` and so on, until one has enough."""
    tried = Tried()
    with mounted(folder / "small") as small:
        for free_blocks in range(0, FILE_SYSTEM_BYTES // BLOCK_BYTES, every_blocks):
            history = start.copied_to(small / "run")
            filler = small / "filler"
            filler.write_bytes(bytes(max(0, free_bytes(small) - free_blocks * BLOCK_BYTES)))
            with history.life(free_blocks, STEPS, OFTEN) as process:
                process.wait()
            filler.unlink()  # whoever looks afterwards has made room
            _count(tried, history, process.returncode)
            shutil.rmtree(small / "run")
            if process.returncode == 0:
                return tried
    raise AssertionError(f"{FILE_SYSTEM_BYTES >> 20} MiB were not enough for {STEPS} steps")


def can_mount(folder: Path) -> bool:
    """Whether a file system can be mounted here: root of a container may be without the right."""
    if shutil.which("mount") is None:
        return False
    try:
        with mounted(folder / "may-mount"):
            return True
    except subprocess.CalledProcessError:
        return False


@contextmanager
def mounted(folder: Path) -> Iterator[Path]:
    folder.mkdir(exist_ok=True)
    options = f"size={FILE_SYSTEM_BYTES}"
    subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "unseen-faults", str(folder)], check=True, capture_output=True
    )
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def free_bytes(folder: Path) -> int:
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize


def _count(tried: Tried, history: History, code: int) -> None:
    tried.runs += 1
    tried.stopped += code != 0
    tried.went_on += code == 0
    history.check()
    tried.found.add(history.found)
