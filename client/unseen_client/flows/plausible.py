"""Whether a reply can be the scores of an owner-encrypted collection's rows, looked at behind the device's own door.

A server may answer a query with anything, and its ciphertexts prove nothing. But the device holds every row, in its
mirror's sealed copies, so every row is a canary. Of each reply it looks at

    places    no score is larger than two vectors of unit length give; a place without a row scores zero
    rows      of every block the row that was written last, and one drawn by lot, score what their copies give
    hits      what is shown to the user scores what its copy gives
    versions  nothing is scored as of an epoch before the one that this device had seen, and no row is left out

A block from before its last change has the row that was written last wrong, or an erased row in an empty place. What
is drawn by lot is known to nobody beforehand. Holds scores and vectors while it runs; sends nothing, and comes after
the last request: see ``search``.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from unseen.entropy import keystream
from unseen.errors import ReplyRefused
from unseen.he.owner.layout import SIDE_BLOCKS, Layout
from unseen.he.owner.noise import QUERY_NORM_SLACK, score_error_std
from unseen.he.quantise import to_cosines
from unseen_client.flows.owner import OwnerReply, layout_of
from unseen_client.flows.sync import Place
from unseen_client.report import Hit
from unseen_client.retrieval.fuse import Fused

BoolArray = npt.NDArray[np.bool_]
Float32Array = npt.NDArray[np.float32]
Float64Array = npt.NDArray[np.float64]
Int64Array = npt.NDArray[np.int64]

DEVIATIONS = 7
"""An honest score is off by more than this many standard deviations once in 10^11 times."""
ROUNDING = 1e-6
"""Of float32, in parts of a query's length and offset."""


def require_plausible(
    place: Place, query: Fused, reply: OwnerReply, raw: Int64Array, hits: Sequence[Hit], seen_epoch: int
) -> None:
    """Raise ReplyRefused, with the same words whatever is wrong, for a reply that no honest server gives.

    ``raw``: what the reply decrypted to; ``hits``: what would be shown of it; ``seen_epoch``: where the mirror stood
    before the question.
    """
    layout = layout_of(place)
    cosines, slack = to_cosines(layout.parameters, raw), _slack(layout, len(raw))
    if not (
        _places_fit(place, layout, reply, cosines, slack, seen_epoch)
        and _rows_fit(place, layout, query, reply, cosines, slack)
        and _hits_fit(query, hits, float(slack.max(initial=0)))
    ):
        raise ReplyRefused(
            f"what the server answered cannot be the scores of collection {place.collection.name!r}; nothing of it is "
            "shown, and the server was told nothing. Do not let a program ask again: it would tell. Ask its operator "
            "whether older data was put back"
        )


def _slack(layout: Layout, places: int) -> Float64Array:
    """How far each decrypted score, in cosine, may lie from the exact one: (places,)."""
    slack = np.empty(places, np.float64)
    chunks = layout.whole.chunks  # of which a side block's query is the sum
    slack[: layout.side_slots] = DEVIATIONS * score_error_std(layout.parameters, layout.side, query_chunks=chunks)
    slack[layout.side_slots :] = DEVIATIONS * score_error_std(layout.parameters, layout.whole)
    return slack


def _places_fit(
    place: Place, layout: Layout, reply: OwnerReply, cosines: Float32Array, slack: Float64Array, seen_epoch: int
) -> bool:
    """Every place of every block: no score beyond any row's, none where no row stands, no row without a score."""
    epoch, epochs = place.mirror.standing()
    if epoch > reply.epoch and seen_epoch > reply.epoch:
        return False  # older than what this device had seen when it asked
    largest = layout.parameters.row_norm_slack * QUERY_NORM_SLACK
    if (np.abs(cosines) > largest + slack).any():
        return False
    scored = reply.scored(len(cosines))
    rows = np.flatnonzero((epochs > 0) & (epochs <= reply.epoch))
    if len(rows) and (rows[-1] >= len(scored) or not scored[rows].all()):
        return False
    if epoch > reply.epoch:
        return True  # another call looked meanwhile: of what was erased since, nobody knows where it stood
    empty = np.ones(len(cosines), np.bool_)
    empty[rows] = False
    return not (np.abs(cosines[empty]) > slack[empty]).any()


def _rows_fit(
    place: Place, layout: Layout, query: Fused, reply: OwnerReply, cosines: Float32Array, slack: Float64Array
) -> bool:
    """Some rows of every block, which score what their sealed copies give."""
    _, epochs = place.mirror.standing()
    rows = np.flatnonzero((epochs > 0) & (epochs <= reply.epoch))
    chosen = looked_at(layout, rows, epochs[rows])
    for slot, epoch, row, sealed in place.mirror.standing_at(chosen.tolist()):
        if epoch <= reply.epoch:  # else it has been written since the reply
            exact = _cosine(query, place.opened(row, sealed).vector)
            if slot >= len(cosines) or not abs(cosines[slot] - exact) <= slack[slot]:
                return False
    return True


def looked_at(layout: Layout, slots: Int64Array, epochs: Int64Array) -> Int64Array:
    """Of rows, in rising slots, those to look at: of each block one that was written last, and one by lot."""
    side = layout.side_slots
    blocks = np.where(
        slots < side, slots // layout.side.rows_per_block, SIDE_BLOCKS + (slots - side) // layout.whole.rows_per_block
    )
    lots = np.frombuffer(keystream(8 * len(slots)), np.uint64)
    ends = np.flatnonzero(np.diff(blocks, append=-1))
    newest, drawn = np.lexsort((lots, epochs, blocks))[ends], np.lexsort((lots, blocks))[ends]
    return slots[np.union1d(newest, drawn)]


def _hits_fit(query: Fused, hits: Sequence[Hit], slack: float) -> bool:
    most = slack * abs(query.length) + ROUNDING * (abs(query.length) + abs(query.offset))
    return all(abs(hit.score - query.length * _cosine(query, hit.record.vector) - query.offset) <= most for hit in hits)


def _cosine(query: Fused, vector: Float32Array | None) -> float:
    """What a row scores before the query's length and offset; not a number, which fits nothing, without its vector."""
    if vector is None or vector.shape != query.direction.shape:
        return float("nan")
    wide = vector.astype(np.float64)
    return float(wide @ query.direction.astype(np.float64) / np.linalg.norm(wide))
