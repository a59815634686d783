"""Pictures whose right answers are known: a folder with sub-folders for labels, or a manifest. On the device only."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from unseen.errors import ImageRefused, InvalidInput
from unseen_client.bring.manifest import SUFFIXES, read_manifest
from unseen_client.bring.sources import images_in
from unseen_client.flows.survey import is_passed_over, sources_of

if TYPE_CHECKING:
    from unseen_client.dicom.source import DicomSource

LABEL_FIELD = "label"
SEED = 20
"""The same pictures and the same questions every time."""


@dataclass(frozen=True)
class Item:
    """One picture, with what is right about it."""

    path: Path
    label: str = ""
    caption: str = ""
    study: str = ""
    """Pseudonym of the study of a DICOM object; the others of it are no answers, right or wrong."""


def read_material(source: Path, root: Path | None, most: int) -> list[Item]:
    """The pictures of a folder or manifest, a fixed sample of ``most`` where there are more; raises InvalidInput."""
    if source.is_dir():
        items = [Item(path, path.relative_to(source).parts[0]) for path in images_in(source) if path.parent != source]
    elif source.suffix.lower() in SUFFIXES:
        pictures = read_manifest(source, root).pictures
        items = [
            Item(path, record.extra.get(LABEL_FIELD, ""), record.caption)
            for path, record in pictures
            if isinstance(path, Path)
        ]
    else:
        raise InvalidInput(f"cannot evaluate {source}: give a folder or a manifest ({', '.join(sorted(SUFFIXES))})")
    return _sample([item for item in items if item.label or item.caption], source, most)


def read_objects(folder: Path, most: int) -> list[Item]:
    """The DICOM objects of a folder with a sub-folder for each label, found as `unseen enrol-dicom` finds them.

    A fixed sample of ``most`` where there are more; raises InvalidInput.
    """
    if not folder.is_dir():
        raise InvalidInput(f"cannot evaluate {folder}: of DICOM objects give a folder with a sub-folder for each label")
    found = [(source, Path(source.name)) for source, _ in sources_of([folder])]
    items = [
        Item(path, path.relative_to(folder).parts[0])
        for source, path in found
        if path.parent != folder and not _is_passed_over(source)
    ]
    return _sample(items, folder, most)


def _is_passed_over(source: DicomSource) -> bool:
    try:
        return is_passed_over(source)
    except ImageRefused:
        return False  # refused again, and told, when it is to be prepared


def _sample(items: list[Item], source: Path, most: int) -> list[Item]:
    if len(items) < 2:
        raise InvalidInput(
            f"{source} has {len(items)} pictures of which the right answers are known; give a folder with a sub-folder "
            "for each label, or a manifest with the columns path and label or caption; DICOM objects are read with "
            "--model bundled+dicom"
        )
    chosen = np.sort(np.random.default_rng(SEED).permutation(len(items))[:most])
    return [items[at] for at in chosen.tolist()]
