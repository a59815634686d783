"""The report of a run as a file of JSON lines, and what lets the next run skip what is done.

Only the owner may read it: it says which picture showed a person, and where. It stays on the device, beside the output
and not in it.

    {"format": "unseen-deid-report-1"}                                                                   first line
    {"pipeline": "<16 hex digits>", "description": {release, detector, settings}}     before the first file it made
    {"source", "outcome", "target", "covered", "facts", "code", "reason",                        one line for a file
     "pipeline", "source_sha256", "target_sha256"}

The last line about a file holds. A line "done" is written before its output gets its name, and is believed only when
the output is there with that hash: so a run that was cut off anywhere is taken up again.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import Any

from unseen.errors import InvalidInput, StoreFailed
from unseen.json_text import read_json
from unseen_client.deid.outcome import FileOutcome, Outcome
from unseen_client.deid.pipeline import Facts

FORMAT = "unseen-deid-report-1"
FINGERPRINT_DIGITS = 16


def fingerprint(description: Facts) -> str:
    """Return 16 hex digits that change with any version or setting of a pipeline."""
    text = json.dumps(description, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:FINGERPRINT_DIGITS]


class Journal:
    """The report file of a run, opened for appending. Safe for several threads."""

    def __init__(self, path: Path) -> None:
        """Read what is there and make the file if it is not; InvalidInput for a file that is no report, StoreFailed."""
        self.path = path
        self._lock = Lock()
        self._described: set[str] = set()
        self._last: dict[str, Mapping[str, Any]] = {}
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
            self._file = os.fdopen(descriptor, "r+b")
        except OSError as error:
            raise StoreFailed(f"cannot open the report {path}: {error.strerror}") from error
        try:
            self._read()
        except BaseException:
            self._file.close()
            raise

    def done_before(self, source: str, source_sha256: str, pipeline: str, folder: Path) -> FileOutcome | None:
        """Return the outcome of an earlier run that this one would repeat, or None: changed, refused or not there."""
        last = self._last.get(source, {})
        same = (last.get("outcome"), last.get("pipeline"), last.get("source_sha256"))
        if same != (Outcome.DONE, pipeline, source_sha256):
            return None
        target = str(last["target"])
        if file_sha256(folder / target) != last.get("target_sha256"):
            return None
        return FileOutcome(source, Outcome.ALREADY, target, int(last["covered"]), dict(last.get("facts", {})))

    def write(self, outcome: FileOutcome, **more: str) -> None:
        """Add the line of one file."""
        self._append({**outcome.as_dict(), **more})

    def describe(self, pipeline: str, description: Facts) -> None:
        """Add the line of a pipeline, once."""
        with self._lock:
            known = pipeline in self._described
            self._described.add(pipeline)
        if not known:
            self._append({"pipeline": pipeline, "description": dict(description)})

    def close(self) -> None:
        """Put everything on disk."""
        with self._lock:
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _append(self, fields: Mapping[str, Any]) -> None:
        with self._lock:
            try:
                self._file.write(json.dumps(fields).encode() + b"\n")
                self._file.flush()
            except OSError as error:
                raise StoreFailed(f"cannot write the report {self.path}: {error.strerror}") from error

    def _read(self) -> None:
        self._file.seek(0)
        written = self._file.read()
        if not written:
            self._append({"format": FORMAT})
            return
        for entry in entries(written, self.path):
            if "source" in entry:
                self._last[str(entry["source"])] = entry
            elif "description" in entry:
                self._described.add(str(entry["pipeline"]))
        cut = written.rpartition(b"\n")[2]
        if cut:  # a run that was cut off in the middle of a line
            self._file.truncate(len(written) - len(cut))


def entries(written: bytes, path: Path) -> list[Mapping[str, Any]]:
    """The whole lines of a report, parsed; InvalidInput for a file that is none."""
    found = [_entry(line) for line in written.split(b"\n")[:-1]]
    if not found or (found[0] or {}).get("format") != FORMAT or None in found:
        raise InvalidInput(f"{path} is no report of `unseen deid`; name another with --report")
    return [entry for entry in found if entry is not None]


def _entry(line: bytes) -> dict[str, Any] | None:
    try:
        fields = read_json(line)
    except ValueError:
        return None
    return fields if isinstance(fields, dict) and _is_sound(fields) else None


def _is_sound(fields: Mapping[str, Any]) -> bool:
    """Whether a line about a file or a pipeline says all that the next run goes by; of other lines it reads nothing."""
    match fields:
        case {"source": str(), "outcome": "done", **rest}:
            texts, facts = (rest.get(name) for name in ("target", "pipeline", "source_sha256")), rest.get("facts", {})
            return all(isinstance(text, str) for text in texts) and isinstance(facts, dict) and _is_count(rest)
        case {"source": source}:
            return isinstance(source, str)
        case {"description": _}:
            return isinstance(fields.get("pipeline"), str)
    return True


def _is_count(fields: Mapping[str, Any]) -> bool:
    return type(fields.get("covered")) is int  # JSON's true is an int to Python


def file_sha256(path: Path) -> str | None:
    """Return the SHA-256 of a file, None when it cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except (OSError, ValueError):  # a name that no file can have is a ValueError
        return None
