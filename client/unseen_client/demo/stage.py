"""A server of its own for a demo or a bench: a real process on loopback, everything in a private folder, nothing left.

The server is started as `python -P -m unseen_server`; this side imports nothing of it. Its master key lies beside the
data directory, never in it. Whatever happens in the ``with`` block, the process ends and the folder goes.
"""

from __future__ import annotations

import contextlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType, TracebackType

from unseen.errors import ServerUnavailable
from unseen_client.server_program import require_server

LOOPBACK = "127.0.0.1"
START_TIMEOUT_S = 120.0
"""The first start compiles the scan for this machine."""
STOP_TIMEOUT_S = 15.0
LOOK_EVERY_S = 0.05
LOG_LINES_SHOWN = 15
READY = re.compile(rb"unseen server listening on \S+:(\d+)\n")
"""What the server says when it serves; its port takes connections before that, and lets them wait."""


class Stage:
    """A private folder and one server over it. Starts and stops the server; removes the folder at the end."""

    def __init__(self, *options: str) -> None:
        """``options`` are the server's, beside those that say where its files lie."""
        self._options = options
        self.folder = Path(tempfile.mkdtemp(prefix="unseen-demo-"))
        self.data = self.folder / "server" / "data"
        self.master_key = self.folder / "server-secret" / "master.key"
        self.home = self.folder / "device"
        """For the client: record keys and mirrors."""
        self.scratch = self.folder / "scratch"
        self.log = self.folder / "server.log"
        for folder in (self.data.parent, self.master_key.parent, self.scratch):
            folder.mkdir(mode=0o700)
        self.port = 0
        self._server: subprocess.Popen[bytes] | None = None

    @property
    def process_id(self) -> int:
        """The running server's, for those who measure it."""
        if self._server is None:
            raise ServerUnavailable("the stage's server is not running; call start()")
        return self._server.pid

    def start(self) -> float:
        """Start the server and wait until it serves; gives the seconds that took.

        A second start serves the same data on the same port. InvalidConfiguration where no server is installed.
        """
        require_server()
        began = time.monotonic()
        command = [sys.executable, "-P", "-m", "unseen_server", "--data", str(self.data)]
        command += ["--listen", f"{LOOPBACK}:{self.port}", "--master-key", str(self.master_key), *self._options]
        with self.log.open("ab") as log:
            said_before = log.tell()
            self._server = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        while not (ready := READY.search(self.log.read_bytes(), said_before)):
            if self._server.poll() is not None or time.monotonic() - began > START_TIMEOUT_S:
                self.stop()
                raise ServerUnavailable(f"the server did not start; its last words:\n{self._last_words()}")
            time.sleep(LOOK_EVERY_S)
        self.port = int(ready[1])
        return time.monotonic() - began

    def stop(self) -> None:
        """Ask the server to end, and make it when it does not."""
        if self._server is None:
            return
        server, self._server = self._server, None
        server.terminate()
        try:
            server.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()

    def close(self) -> None:
        """Stop the server and remove every file."""
        try:
            self.stop()
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> Stage:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def on_disk(self) -> dict[str, bytes]:
        """Every file the server keeps, and its log."""
        files = [path for path in sorted(self.data.rglob("*")) if path.is_file()]
        return {str(path.relative_to(self.folder)): path.read_bytes() for path in (*files, self.log)}

    def _last_words(self) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-LOG_LINES_SHOWN:])


@contextlib.contextmanager
def ending_cleanly() -> Iterator[None]:
    """Turn the signals that end a program into an exception, so that ``with`` blocks run their ends."""
    ends = [signal.SIGTERM] + ([signal.SIGHUP] if hasattr(signal, "SIGHUP") else [])
    before = {number: signal.signal(number, _leave) for number in ends}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _leave(number: int, frame: FrameType | None) -> None:
    raise SystemExit(128 + number)
