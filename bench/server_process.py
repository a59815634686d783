"""A real server in a process of its own, for benches: it has an address, or there is an error that says why not."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

READY_LINE = "unseen server listening on "
LAST_LINES = 5
MOST_S_TO_END = 60


@dataclass(frozen=True)
class Serving:
    """A server that listens."""

    address: str
    process: subprocess.Popen[str]


@contextmanager
def serving(command: Sequence[str], log: Path, environment: Mapping[str, str] | None = None) -> Iterator[Serving]:
    """Run a server as long as the block; ChildProcessError, with its last words, when it does not come to listen."""
    with (
        log.open("wb") as written,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=written, text=True, env=environment) as process,
    ):
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            if not line.startswith(READY_LINE):
                last = "\n".join([line.rstrip(), *log.read_text(errors="replace").splitlines()[-LAST_LINES:]])
                raise ChildProcessError(f"the server did not start: {last.strip()}")
            yield Serving(line.split()[-1], process)
        finally:
            _end(process)


def _end(process: subprocess.Popen[str]) -> None:
    process.terminate()
    try:
        process.wait(MOST_S_TO_END)
    except subprocess.TimeoutExpired:
        process.kill()
