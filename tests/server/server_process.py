"""A real server in a process of its own."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from bench.process import peak_resident_bytes, resident_bytes

READY_LINE = "unseen server listening on "


class ServerProcess:
    """``python -m unseen_server`` with a folder of its own; started and stopped as often as a test likes."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.master_key = folder / "master.key"
        self.options = options
        self.port = 0
        self.process: subprocess.Popen[str] | None = None

    def command(self, *options: str) -> list[str]:
        """What is run."""
        command = [sys.executable, "-m", "unseen_server", "--data", str(self.data), "--listen", "127.0.0.1:0"]
        return [*command, "--master-key", str(self.master_key), *self.options, *options]

    def start(self, **popen: Any) -> ServerProcess:
        """Start it and wait until it serves."""
        with (self.folder / "log").open("a") as log:
            self.process = subprocess.Popen(self.command(), stdout=subprocess.PIPE, stderr=log, text=True, **popen)
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line.startswith(READY_LINE), (line, self.log())
        self.port = int(line.rpartition(":")[2])
        return self

    def log(self) -> str:
        """Everything it said about itself so far."""
        return (self.folder / "log").read_text()

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send a signal and wait for the end; the exit code."""
        assert self.process is not None
        assert self.process.stdout is not None
        self.process.send_signal(number)
        code = self.process.wait(timeout=60)
        self.process.stdout.close()
        return code

    def run(self, module: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        """One of the server's other commands, with its key unless another one is named."""
        command = [sys.executable, "-m", f"unseen_server.{module}", *map(str, arguments)]
        if "--master-key" not in arguments:
            command += ["--master-key", str(self.master_key)]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    def end(self) -> None:
        """Leave nothing running."""
        if self.process is not None and self.process.poll() is None:
            self.stop(signal.SIGKILL)

    @property
    def memory_bytes(self) -> int:
        """Resident memory now."""
        assert self.process is not None
        return resident_bytes(self.process.pid)

    @property
    def peak_memory_bytes(self) -> int:
        """The most resident memory it ever had."""
        assert self.process is not None
        return peak_resident_bytes(self.process.pid)
