"""Pictures whose right answers are known: a folder with sub-folders for labels, or a manifest. On the device only."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from unseen.errors import InvalidInput
from unseen_client.bring.manifest import SUFFIXES, read_manifest
from unseen_client.bring.sources import images_in

LABEL_FIELD = "label"
SEED = 20
"""The same pictures and the same questions every time."""


@dataclass(frozen=True)
class Item:
    """One picture, with what is right about it."""

    path: Path
    label: str = ""
    caption: str = ""


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
    items = [item for item in items if item.label or item.caption]
    if len(items) < 2:
        raise InvalidInput(
            f"{source} has {len(items)} pictures of which the right answers are known; give a folder with a sub-folder "
            "for each label, or a manifest with the columns path and label or caption"
        )
    chosen = np.sort(np.random.default_rng(SEED).permutation(len(items))[:most])
    return [items[at] for at in chosen.tolist()]
