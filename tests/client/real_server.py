"""The real server on loopback, as a process of its own, for tests to use, kill and restart."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.ports import port_to_keep
from unseen_client.keys.passphrase import VARIABLE

ROOT = Path(__file__).parents[2]
ENVIRONMENT = os.environ | {
    "PYTHONPATH": os.pathsep.join(str(ROOT / part) for part in ("core", "client", "server")),
    "OMP_NUM_THREADS": "1",
}


def surroundings() -> dict[str, str]:
    """ENVIRONMENT, and the passphrase of the fixture ``locked_keys`` where a test has it."""
    return ENVIRONMENT | {VARIABLE: os.environ[VARIABLE]} if VARIABLE in os.environ else ENVIRONMENT


class RealServer:
    """``python -m unseen_server`` on loopback, as a process of its own."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.data = folder / "data"
        self._folder = folder
        self._options = options
        self._port = port_to_keep()
        self.start()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self._port}"

    @property
    def log(self) -> str:
        """What it logged so far."""
        return (self._folder / "server.log").read_text()

    def start(self) -> None:
        """Start, on the same port each time, and wait until it listens."""
        command = [
            sys.executable, "-m", "unseen_server", "--data", str(self.data), "--listen", self.address,
            "--master-key", str(self._folder / "master.key"), "--threads", "1", *self._options,
        ]  # fmt: skip
        with (self._folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True, env=ENVIRONMENT)
        assert self._process.stdout is not None
        assert f"listening on {self.address}" in self._process.stdout.readline(), self.log

    def kill(self) -> None:
        """End it as a power cut would."""
        self._process.kill()
        self._process.communicate()

    def stop(self) -> None:
        """Ask it to stop, and wait."""
        self._process.terminate()
        self._process.communicate(timeout=120)
