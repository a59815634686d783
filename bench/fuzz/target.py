"""What is fuzzed: a function of bytes, the errors that it declares, and right inputs to begin from."""

from __future__ import annotations

import atexit
import json
import os
import shutil
import tempfile
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.measure import memory_folder
from unseen.errors import UnseenError

Run = Callable[[bytes], object]


@dataclass(frozen=True)
class Target:
    """One parser."""

    name: str
    run: Run
    """Parses; returns when the input is taken."""
    declared: tuple[type[UnseenError], ...]
    """What it may raise, as its docstring has it."""
    seeds: tuple[bytes, ...]
    """Inputs that it takes, or nearly."""
    dress: Callable[[bytes], bytes] | None = None
    """Puts a right signature, seal or checksum around what would never be reached behind a wrong one."""
    dressed_seeds: tuple[bytes, ...] = ()
    """What it is put around."""
    most_bytes: int = 4096
    is_json: bool = False
    """Whether documents are changed as trees, too, behind the first ``mode_bytes`` bytes."""

    def __post_init__(self) -> None:
        assert self.seeds, self.name
        assert bool(self.dress) == bool(self.dressed_seeds), self.name

    @property
    def mode_bytes(self) -> int:
        """Where there is something to dress, the first byte says how the rest comes: even, as it is; odd, dressed."""
        return 0 if self.dress is None else 1

    @property
    def inputs(self) -> tuple[bytes, ...]:
        """What to begin from, modes included."""
        if self.dress is None:
            return self.seeds
        return (*(b"\0" + seed for seed in self.seeds), *(b"\1" + seed for seed in self.dressed_seeds))

    def execute(self, data: bytes) -> None:
        """Parse one input, whatever it raises."""
        if self.dress is None:
            self.run(data)
            return
        mode, rest = data[:1], data[1:]
        self.run(self.dress(rest) if mode and mode[0] & 1 else rest)


@dataclass
class Outcome:
    """What became of the executions of one target."""

    taken: int = 0
    refused: int = 0
    found: dict[str, str] = field(default_factory=dict)
    """Undeclared exceptions by kind and place, each with the first input that raised it, in hex."""

    @property
    def executions(self) -> int:
        return self.taken + self.refused

    def execute(self, target: Target, data: bytes) -> None:
        """One execution: the input is taken, refused as declared, or found to break something."""
        try:
            target.execute(data)
        except target.declared:
            self.refused += 1
        except Exception as error:  # noqa: BLE001 - these are what is looked for
            self.refused += 1
            self.found.setdefault(where(error), data.hex())
        else:
            self.taken += 1


def where(error: Exception) -> str:
    """The kind of an exception and the last line of our own that it passed."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if "/unseen" in frame.filename and "site-packages" not in frame.filename]
    last = (own or frames)[-1]
    return f"{type(error).__name__} at {Path(last.filename).name}:{last.lineno} ({last.name})"


def as_tree(data: bytes) -> Any:
    """What JSON says, None for what is none: for wrappings that begin from a document."""
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        return None


def as_text(data: bytes) -> str:
    """Text as JSON may name it, halves of characters included; marks in place of what is no text."""
    try:
        return data.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        return data.decode("utf-8", "replace")


def scratch_folder() -> Path:
    """A folder for files that are read again at once, gone with the process; in memory where there is such a place."""
    folder = Path(tempfile.mkdtemp(prefix="unseen-fuzz-", dir=memory_folder() if "TMPDIR" not in os.environ else None))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder
