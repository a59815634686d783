"""The models that ship with Unseen.

For the device only. Reading this list opens no weights: a manifest of a few lines is all it touches.
"""

from __future__ import annotations

from unseen.embed.bundled import bundled_entry
from unseen.embed.model import Registry


def default_registry() -> Registry:
    """Return the models every installation holds; add your own with ``.adding(entry)``."""
    return Registry([bundled_entry()])
