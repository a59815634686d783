"""The models that this device has beside the bundled one: a folder each, named by the id that its manifest gives.

Public weights in the device's home, in folders that only their owner can write. A collection that was made with one is
refused by every device that lacks it. Several revisions of one model may be here; then each goes by NAME@HASH. Listing
reads manifests and no weights.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

from unseen.embed.model import ModelEntry, Registry
from unseen.embed.pulled.embedder import pulled_entry, pulled_manifest
from unseen.errors import IntegrityError, InvalidInput, UnseenError
from unseen.weights import Manifest

FOLDER_NAME = "models"
STAGING_PREFIX = ".pull-"


@dataclass(frozen=True)
class HeldModel:
    """One model of this device."""

    entry: ModelEntry
    manifest: Manifest


@dataclass(frozen=True)
class BrokenModel:
    """A folder among the models that holds none."""

    name: str
    reason: str


def folder_name(model_id: str) -> str:
    """NAME@HASH: what a folder is named for a model's id."""
    return model_id.replace(":", "@")


def _told_apart(one: HeldModel | BrokenModel) -> HeldModel | BrokenModel:
    if isinstance(one, BrokenModel):
        return one
    return replace(one, entry=replace(one.entry, name=folder_name(one.entry.model_id)))


def name_of(one: HeldModel | BrokenModel) -> str:
    """The name of the folder."""
    return one.entry.name if isinstance(one, HeldModel) else one.name


class ModelShelf:
    """Models in ``home/models``, by name."""

    def __init__(self, home: Path) -> None:
        self.folder = home / FOLDER_NAME

    def every(self) -> list[HeldModel | BrokenModel]:
        """Every folder among the models, in order of names."""
        if not self.folder.is_dir():
            return []
        paths = (path for path in self.folder.iterdir() if path.is_dir() and not path.name.startswith(STAGING_PREFIX))
        found = [self._read(path) for path in sorted(paths)]
        count = Counter(name_of(one) for one in found)
        return [_told_apart(one) if count[name_of(one)] > 1 else one for one in found]

    def folder_of(self, model_id: str) -> Path:
        """Where the model of that id lies."""
        return self.folder / folder_name(model_id)

    def held(self, name: str) -> HeldModel:
        """The model of that name or id; raises InvalidInput when it is not here, or what is wrong with it."""
        every = {name_of(one): one for one in self.every()}
        every |= {one.entry.model_id: one for one in every.values() if isinstance(one, HeldModel)}
        found = every.get(name)
        if found is None:
            raise InvalidInput(
                f"no model named {name!r} was pulled to this device; `unseen models list` shows those here"
            )
        if isinstance(found, BrokenModel):
            raise IntegrityError(f"model {name!r} cannot be used: {found.reason}")
        return found

    def added_to(self, registry: Registry) -> Registry:
        """A registry with these models too. A broken one is left out: collections made with it are refused by id."""
        for one in self.every():
            if isinstance(one, HeldModel):
                registry = registry.adding(one.entry)
        return registry

    @staticmethod
    def _read(folder: Path) -> HeldModel | BrokenModel:
        try:
            entry = pulled_entry(folder)
            if folder_name(entry.model_id) != folder.name:
                return BrokenModel(folder.name, f"its manifest is that of {entry.model_id!r}; pull it again")
            return HeldModel(entry, pulled_manifest(folder))
        except UnseenError as error:
            return BrokenModel(folder.name, str(error))
