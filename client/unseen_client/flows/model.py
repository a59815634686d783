"""The model of a collection: what makes vectors for it, on this device."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from unseen.errors import ModelMismatch
from unseen.types import CollectionInfo
from unseen_client.flows import collections
from unseen_client.session import Session
from unseen_client.steps import Flow, local

if TYPE_CHECKING:
    from unseen_client.prepare import Preparer


def preparer_of(session: Session, collection: CollectionInfo) -> Flow[Preparer]:
    """What makes vectors for a collection: with the very model that made its rows; raises ModelMismatch."""
    if collection.model_id == collections.NO_MODEL:
        raise ModelMismatch(
            f"collection {collection.name!r} holds vectors of its owner's own: use search_vector and enrol_vectors, "
            "or create a collection with model='bundled' for images and words"
        )
    return (yield from local(partial(session.preparer, collection.model_id)))
