"""The adapters that this device has: files that somebody taught and shared, each under the hash that names it.

Public weights in the device's home. A collection that was made with one is refused by every device that lacks it.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from unseen.embed.adapter import LARGEST_FILE_BYTES, adapter_entry, adapter_hash, read_adapter
from unseen.embed.model import ModelEntry, Registry
from unseen.embed.registry import default_registry
from unseen.errors import IntegrityError, InvalidInput, ModelMismatch
from unseen_client.adapt.card import read_card
from unseen_client.home import private_folder, write_private

FOLDER_NAME = "adapters"
SUFFIX = ".safetensors"


@dataclass(frozen=True)
class HeldAdapter:
    """One adapter of this device."""

    entry: ModelEntry
    card: str
    """JSON, as ``unseen_client.adapt.card`` reads it."""


class AdapterShelf:
    """Adapters in ``home/adapters``, by hash."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._folder = home / FOLDER_NAME

    def add(self, path: Path) -> HeldAdapter:
        """Take in an adapter's file; the same one again is fine.

        Raises InvalidInput for a file that cannot be read, IntegrityError for one that is no adapter, ModelMismatch for
        one that belongs to another release's model.
        """
        data = _read(path)
        held = _held(data)
        private_folder(self._home)
        write_private(private_folder(self._folder) / (adapter_hash(data) + SUFFIX), data)
        return held

    def all(self) -> list[HeldAdapter]:
        """Every adapter that fits this release; raises IntegrityError for a file that was altered."""
        if not self._folder.exists():
            return []
        found = []
        for path in sorted(self._folder.glob("*" + SUFFIX)):
            data = _read(path)
            if adapter_hash(data) + SUFFIX != path.name:
                raise IntegrityError(f"{path} is not what its name says: remove it, and add the adapter again")
            with suppress(ModelMismatch):  # one of another release: kept for the day that is used again
                found.append(_held(data))
        return found

    def registry(self) -> Registry:
        """The models that come with Unseen, and these."""
        registry = default_registry()
        for held in self.all():
            registry = registry.adding(held.entry)
        return registry


def _held(data: bytes) -> HeldAdapter:
    card = read_adapter(data).card
    read_card(card)
    return HeldAdapter(adapter_entry(data), card)


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(LARGEST_FILE_BYTES + 1)
    except OSError as error:
        raise InvalidInput(f"cannot read {path}: {error.strerror}; give the file that `unseen adapt` wrote") from error
