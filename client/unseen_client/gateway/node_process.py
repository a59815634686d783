"""The gateway's side of the process that listens: started, watched, started again, ended with the gateway.

Runs at the edge of the site. Hands the node the key of the queue, over a pipe.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

from unseen.errors import InvalidConfiguration
from unseen.json_text import read_json
from unseen_client.gateway.node_settings import NodeSettings

MODULE = "unseen_client.gateway.node_child"
NEEDS = "'unseen[gateway]'"
PAUSE_S = 1.0
END_S = 10.0


class NodeProcess:
    """A DICOM node in a process of its own, for as long as the block that it was made for."""

    def __init__(self, settings: NodeSettings, folder: Path, key: bytes, most_bytes: int) -> None:
        """Start it, and wait until it listens; InvalidConfiguration when it cannot."""
        self._start = {"folder": str(folder), "key": key.hex(), "most_bytes": most_bytes}
        self._settings = settings
        self._ending = threading.Event()
        self.restarts = 0
        self._process, self.port = self._started(settings)
        self._settings = replace(settings, port=self.port)
        self._watching = threading.Thread(target=self._watch, name="unseen-node", daemon=True)
        self._watching.start()

    @property
    def is_running(self) -> bool:
        """Whether it listens now, as far as the system knows."""
        return self._process.poll() is None

    @property
    def process_id(self) -> int:
        """Of the process that listens now."""
        return self._process.pid

    def close(self) -> None:
        """End it; what it has not answered was not accepted."""
        self._ending.set()
        _end(self._process)
        self._watching.join(END_S)

    def _watch(self) -> None:
        while not self._ending.is_set():
            self._process.wait()
            _end(self._process)
            if self._ending.wait(PAUSE_S):
                return
            try:
                self._process, _ = self._started(self._settings)
                self.restarts += 1
            except InvalidConfiguration:  # the port is not free yet, or the memory is short: look again
                continue
            if self._ending.is_set():
                _end(self._process)

    def _started(self, settings: NodeSettings) -> tuple[subprocess.Popen[bytes], int]:
        # -P: without it, code that lies in the working directory would run beside the key.
        command = [sys.executable, "-P", "-m", MODULE]
        try:
            process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        except OSError as error:
            raise InvalidConfiguration(
                f"the system starts no process for the node: {error.strerror}; look at its memory and its limits"
            ) from error
        told = _asked(process, json.dumps(self._start | {"node": settings.as_dict()}).encode() + b"\n")
        if "port" in told:
            return process, int(told["port"])
        _end(process)
        raise InvalidConfiguration(
            str(told.get("error") or f"the node did not start; is {NEEDS} installed here? pip install {NEEDS}")
        )


def _asked(process: subprocess.Popen[bytes], start: bytes) -> dict[str, Any]:
    if process.stdin is None or process.stdout is None:
        return {}
    try:
        process.stdin.write(start)
        process.stdin.flush()
        told = read_json(process.stdout.readline() or b"{}")
    except (OSError, ValueError):
        return {}
    return told if isinstance(told, dict) else {}


def _end(process: subprocess.Popen[bytes]) -> None:
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()
    try:
        process.wait(END_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
