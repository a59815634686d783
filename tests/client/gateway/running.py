"""The gateway as a process of its own, for tests and benches to send to, kill and start again."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.client.real_server import ENVIRONMENT
from tests.ports import port_to_keep
from tests.waiting import until

COMMAND = [sys.executable, "-P", "-c", "from unseen_client.cli import main; main()", "gateway"]


class RunningGateway:
    """`unseen gateway run` on loopback, with senders STORESCU, ECHOSCU and PYNETDICOM."""

    def __init__(self, home: Path, server: str, name: str, *options: str) -> None:
        self.home = home
        self._command = [
            *(*COMMAND, "run", name, "--server", server, "--home", str(home), "--json", "--timeout", "15"),
            *("--sender", "STORESCU", "--sender", "ECHOSCU", "--sender", "PYNETDICOM"),
            *options,
        ]
        self._ports = [str(port_to_keep()), str(port_to_keep())]
        self.start()

    @property
    def dicom_port(self) -> int:
        return int(self._ports[0])

    @property
    def process_id(self) -> int:
        return self._process.pid

    def start(self) -> None:
        """Start, on the same ports each time, and wait until both are listened on."""
        ports = ["--listen", f"127.0.0.1:{self._ports[0]}", "--rest-port", self._ports[1]]
        with (self.home.parent / "gateway.log").open("ab") as log:
            self._process = subprocess.Popen(
                [*self._command, *ports], stdout=subprocess.PIPE, stderr=log, text=True, env=ENVIRONMENT
            )
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, (self.home.parent / "gateway.log").read_text()
        told = json.loads(line)
        assert [str(told["dicom_port"]), str(told["rest_port"])] == self._ports

    def kill(self) -> None:
        """End it as a power cut would, and wait until its port is free."""
        node = self.node_ids()
        self._process.kill()
        self._process.communicate()
        until("the node has ended", lambda: not any(Path(f"/proc/{one}").exists() for one in node))

    def stop(self) -> None:
        """Ask it to stop, and wait."""
        self._process.send_signal(signal.SIGTERM)
        self._process.communicate(timeout=120)

    def node_ids(self) -> list[int]:
        """Process ids of the node: one, but in the moment in which it is started again."""
        tasks = Path(f"/proc/{self.process_id}/task").glob("*/children")
        children = [int(one) for task in tasks for one in told(task).split()]
        return [one for one in children if b"node_child" in told(Path(f"/proc/{one}/cmdline"))]

    def ask(self, path: str, fields: object = None, token: str | None = None) -> tuple[int, Any]:
        """Status and answer of a request, JSON read."""
        held = (self.home / "gateway-token").read_text() if token is None else token
        data = None if fields is None else fields if isinstance(fields, bytes) else json.dumps(fields).encode()
        headers = {"Authorization": f"Bearer {held}"}
        request = urllib.request.Request(f"http://127.0.0.1:{self._ports[1]}{path}", data=data, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                status, body = answer.status, answer.read()
        except urllib.error.HTTPError as error:
            with error:
                status, body = error.code, error.read()
        return status, body.decode() if path == "/metrics" else json.loads(body)

    def count(self, name: str) -> float:
        """One number of /metrics."""
        _, text = self.ask("/metrics")
        return float(next(line.split()[1] for line in text.splitlines() if line.startswith(f"unseen_gateway_{name} ")))

    def wait_until_enrolled(self, timeout_s: float = 400) -> None:
        """Until nothing waits; asked seldom, for benches time it."""
        until("nothing waits", lambda: self.count("objects_waiting") == 0, timeout_s, pause_s=0.1)


def told(path: Path) -> bytes:
    """What the system says of a process or thread; nothing when it has ended meanwhile."""
    try:
        return path.read_bytes()
    except OSError:
        return b""


def storescu(port: int, files: Sequence[Path], *options: str) -> subprocess.CompletedProcess[str]:
    """dcmtk's sender; with +rn accepted files are renamed to .done, others to .bad."""
    command = ["storescu", *options, "-to", "20", "-aet", "STORESCU", "-aec", "UNSEEN", "127.0.0.1", str(port)]
    return subprocess.run([*command, *map(str, files)], capture_output=True, text=True, timeout=300)
