"""What the process asked of the system before it held a secret, and how it ends."""

from __future__ import annotations

import asyncio
import ctypes
import os
import resource
import signal
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.server.server_process import ServerProcess
from unseen_server import process

Make = Callable[..., Any]


def test_process_leaves_no_core_dump_and_no_file_for_others(server: ServerProcess) -> None:
    assert server.process
    limits = Path(f"/proc/{server.process.pid}/limits").read_text()
    line = next(line for line in limits.splitlines() if line.startswith("Max core file size"))
    assert line.split()[4:6] == ["0", "0"]
    for path in (server.data, server.master_key, *server.data.iterdir()):
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path


def test_memory_is_closed_to_other_processes_of_the_same_user(server: ServerProcess) -> None:
    """What Linux shows of a process that is not dumpable belongs to root, so that only root may attach."""
    assert server.process
    memory = Path(f"/proc/{server.process.pid}/mem")
    assert memory.stat().st_uid == 0
    assert os.access(memory, os.R_OK) == (os.getuid() == 0)


def test_help_waits_for_no_compiled_step_and_those_are_loaded_without_scipy() -> None:
    """numba would load SciPy where it finds it, as it does here, for nothing: a quarter of a second of every start."""
    program = """
import contextlib, importlib.metadata, sys
from unseen_server import __main__
with contextlib.suppress(SystemExit):
    __main__.main()
print(sorted({"numba", "llvmlite"} & set(sys.modules)))
from unseen_server.warm_up import warm_up
warm_up()
print(importlib.metadata.version("scipy"), [name for name, module in sys.modules.items() if module and "scipy" in name])
"""
    command = [sys.executable, "-c", program, "--help"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    before, after = done.stdout.splitlines()[-2:]
    assert before == "[]"
    assert after.split(maxsplit=1)[1] == "[]"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_asked_to_stop_it_ends_with_0_and_leaves_the_store_and_the_audit_log(make_server: Make, number: int) -> None:
    server = make_server().start()
    assert server.stop(number) == 0
    assert sorted(path.name for path in server.data.iterdir()) == ["audit", "unseen.sqlite"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_asked_to_stop_while_it_loads_it_ends_with_0(make_server: Make, number: int) -> None:
    """The signal comes in the middle of a load that would never end by itself; the store is closed under it."""
    endless = f"""
import os, sys
from unseen_server import __main__, engine
def load(self):
    os.kill(os.getpid(), {int(number)})
    while True:
        self._store.collections()
engine.Engine.load = load
sys.exit(__main__.main())
"""
    server = make_server()
    command = [sys.executable, "-c", endless, *server.command()[3:]]
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert (result.returncode, result.stdout) == (0, ""), result.stderr
    assert [path.name for path in server.data.iterdir()] == ["unseen.sqlite"]


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="only glibc hands memory back when asked")
def test_freed_memory_goes_back_to_the_system_when_asked() -> None:
    """64 MiB are freed in pieces that the process would otherwise keep, as it keeps the arrays of packed blocks."""
    freeing = """
from pathlib import Path
import numpy
from unseen_server.process import hand_back_freed_memory, prepare_process
def pages():
    return int(Path("/proc/self/statm").read_text().split()[1])
prepare_process()
pieces = [b"x" * 65536 for _ in range(1024)]
full = pages()
del pieces
kept = pages()
hand_back_freed_memory()
print(full - kept, full - pages())
"""
    result = subprocess.run([sys.executable, "-c", freeing], capture_output=True, text=True, check=True)
    kept_back, handed_back = map(int, result.stdout.split())
    assert kept_back < 1024
    assert handed_back * resource.getpagesize() > 48 << 20


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="only glibc hands memory back when asked")
def test_what_a_burst_of_calls_frees_goes_back_by_itself() -> None:
    """Pieces that stay in use lie between those that are freed: without being asked the C library keeps the holes."""
    waiting = """
import asyncio
from pathlib import Path
from unseen_server import process
def pages():
    return int(Path("/proc/self/statm").read_text().split()[1])
process.prepare_process()
pieces = [b"x" * 65536 for _ in range(1024)]
burst, stays = pieces[::2], pieces[1::2]
full = pages()
del pieces, burst
kept = pages()
async def wait_for_it():
    process.HANDED_BACK_EVERY_S = 0.01
    handing_back = asyncio.create_task(process.keep_handing_back())
    while pages() > full - 4096:
        await asyncio.sleep(0.01)
    handing_back.cancel()
asyncio.run(wait_for_it())
print(full - kept, len(stays))
"""
    result = subprocess.run([sys.executable, "-c", waiting], capture_output=True, text=True, check=True, timeout=60)
    assert int(result.stdout.split()[0]) < 1024, "the C library gave it back unasked: the task proves nothing"


async def test_a_server_goes_on_where_no_thread_is_to_be_had(monkeypatch: pytest.MonkeyPatch) -> None:
    tried = asyncio.Event()

    async def refuse(work: Callable[[], None]) -> None:
        if tried.is_set():
            await asyncio.sleep(3600)
        tried.set()
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(process, "HANDED_BACK_EVERY_S", 0.0)
    monkeypatch.setattr(asyncio, "to_thread", refuse)
    handing_back = asyncio.create_task(process.keep_handing_back())
    await tried.wait()
    await asyncio.sleep(0)
    assert not handing_back.done()
    handing_back.cancel()
