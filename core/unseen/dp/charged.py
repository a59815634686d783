"""The one way in which a vector leaves with noise: charge the ledger, wait for the disk, then release.

Runs on the device. A retry of a sending must send the same released vector again: to release anew is to pay anew.
"""

from __future__ import annotations

from collections.abc import Sequence

from unseen.dp.event import Event
from unseen.dp.ledger import Ledger
from unseen.dp.mechanism import Float32Array, Mechanism, require_vectors
from unseen.dp.normal import compiled
from unseen.errors import InvalidInput


def release_charged(
    mechanism: Mechanism, vectors: Float32Array, ledger: Ledger, device: str, subjects: Sequence[str], at: str = ""
) -> tuple[Float32Array, Event]:
    """Noise vectors (n, d), each charged to the subject at its place and to the device; (n, d) and the event of each.

    ``at``: see ``Ledger.charge``, whose errors this raises; before anything is charged InvalidVector, and
    InvalidConfiguration where noise cannot be drawn.
    """
    require_vectors(vectors)
    compiled()
    if len(subjects) != len(vectors):
        raise InvalidInput(f"got {len(subjects)} subjects for {len(vectors)} vectors, expected one each")
    ledger.charge(mechanism.event(vectors.shape[1]), device, subjects, at)
    return mechanism.release_batch(vectors)
