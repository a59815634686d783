"""Images that a run has looked at already: one that is killed before its first step goes on with the others.

In the run's folder, on the device, for its owner alone: vectors of private pictures, removed with the folder. Nothing
is spent by it: privacy is counted from the first step on. A file is known again by its path, size and time of change,
and only where model and settings are the same. Refused images are not kept: they are looked at again.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import numpy as np
import numpy.typing as npt

from unseen.errors import IntegrityError
from unseen_client.adapt.run_folder import RunFolder

IMAGES_PER_PART = 50
"""What a kill costs at most: images that were looked at and not kept."""


@dataclass(frozen=True, eq=False)
class Seen:
    """What a run needs of one image."""

    content_id: str
    vector: npt.NDArray[np.float32]


class LookedAt:
    """The images of one run, in parts on disk."""

    def __init__(self, folder: RunFolder, settings: str) -> None:
        """settings: whatever decides a vector beside the file."""
        self._folder, self._settings = folder, settings
        self._keys: dict[Path, str] = {}
        self._seen: dict[str, Seen] = {}
        self._not_kept: list[str] = []
        self._parts = 0
        self._read()

    def find(self, path: Path) -> Seen | None:
        """What was seen of this file, None when it was not looked at or has changed since."""
        return self._seen.get(self._key(path))

    def add(self, path: Path, seen: Seen) -> None:
        """Remember one image; on disk with the fiftieth, or at ``keep``."""
        self._seen[self._key(path)] = seen
        self._not_kept.append(self._key(path))
        if len(self._not_kept) >= IMAGES_PER_PART:
            self.keep()

    def keep(self) -> None:
        """Put on disk what is not there yet."""
        if not self._not_kept:
            return
        seen = [self._seen[key] for key in self._not_kept]
        arrays = {
            "keys": np.array(self._not_kept),
            "content_ids": np.array([one.content_id for one in seen]),
            "vectors": np.stack([one.vector for one in seen]),
        }
        self._folder.keep(_name(self._parts), arrays)
        self._parts += 1
        self._not_kept = []

    def _read(self) -> None:
        for part in count():
            if (arrays := self._folder.kept(_name(part))) is None:
                return
            try:
                keys, ids, vectors = (arrays[name] for name in ("keys", "content_ids", "vectors"))
                found = zip(keys.tolist(), ids.tolist(), np.asarray(vectors, np.float32), strict=True)
                self._seen |= {key: Seen(content_id, vector) for key, content_id, vector in found}
            except (KeyError, ValueError):
                raise IntegrityError("what this run looked at is damaged: remove its folder and begin anew") from None
            self._parts = part + 1

    def _key(self, path: Path) -> str:
        """Taken once, so that a file that changes under way stays what it was when it was looked at first."""
        if path not in self._keys:
            try:
                status = path.stat()
                state = [status.st_size, status.st_mtime_ns]
            except OSError:
                state = []
            told = json.dumps([str(path.resolve()), state, self._settings])
            self._keys[path] = hashlib.sha256(told.encode()).hexdigest()
        return self._keys[path]


def _name(part: int) -> str:
    return f"looked-at-{part}.npz"
