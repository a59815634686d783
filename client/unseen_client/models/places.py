"""What somebody names on the command line, as a place to pull from.

Runs where the images are. A short name, an address with a manifest, a folder, or OWNER/NAME on a hub: in this order.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from unseen.errors import InvalidInput
from unseen.weights import MANIFEST_NAME
from unseen_client.models.hub import REPOSITORY, HubSource
from unseen_client.models.known import known_model
from unseen_client.models.pull import OpenRepository, Wish
from unseen_client.models.sources import AddressSource, FolderSource, Source


def place_of(what: str, hub: str, wish: Wish) -> tuple[Source, Wish]:
    """Return the source, and the wish with what its kind fills in; raises InvalidInput for none of the four."""
    if known := known_model(what):
        source = HubSource(hub, known.repository, wish.revision or "main")
        return source, replace(wish, name=wish.name or known.name, adapter=wish.adapter or known.adapter)
    if what.startswith(("https://", "http://")):
        return AddressSource(what), wish
    if Path(what).is_dir():
        folder = FolderSource(Path(what))
        if MANIFEST_NAME in folder.names():
            return folder, wish
        return folder, replace(wish, name=wish.name or Path(what).resolve().name.lower())
    if REPOSITORY.fullmatch(what):
        return HubSource(hub, what, wish.revision or "main"), replace(
            wish, name=wish.name or what.split("/")[1].lower()
        )
    raise InvalidInput(
        f"got {what!r}, expected a name that `unseen models list` shows, OWNER/NAME on a hub, a folder, or an https "
        "address under which a manifest.toml lies"
    )


def repositories_beside(source: Source, hub: str) -> OpenRepository:
    """Return what opens a repository that a model's configuration names: the hub that the model is from, no other."""

    def on_hub(repository: str) -> Source:
        if not isinstance(source, HubSource):
            raise InvalidInput(
                f"got a model whose text half is {repository[:80]!r}, expected the config.json of that as "
                "text_config.json beside the other files"
            )
        return HubSource(hub, repository)

    return on_hub
