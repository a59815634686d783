"""Rows of side blocks moved into whole blocks: fewer replies to a search, and room for further single rows.

Only the owner can, who encrypts the blocks anew from the copies in the records. The server learns which rows moved.
"""

from __future__ import annotations

import itertools
from functools import partial

import numpy as np
from google.protobuf.message import Message

from unseen import wire
from unseen.entropy import random_uid
from unseen.errors import BlockChanged, InvalidInput, RowNotFound
from unseen.types import RowBatch
from unseen.v1 import index_pb2
from unseen_client import rpcs
from unseen_client.flows import collections, owner
from unseen_client.flows.enrol_stream import MOST_TRIES
from unseen_client.flows.sync import Place, look_again, open_current, sync
from unseen_client.retry import ask_one
from unseen_client.session import Session
from unseen_client.steps import Flow, local

MOST_ROWS = 1000
"""That move in one stream."""


def pack(session: Session, name: str) -> Flow[int]:
    """Move every row of the side blocks; gives how many moved."""
    place = yield from open_current(session, name)
    if not place.is_owner:
        raise InvalidInput(f"collection {name!r} is sealed: its server packs it by itself")
    return (yield from move_side_rows(session, place))


def move_side_rows(session: Session, place: Place) -> Flow[int]:
    """The same for a collection whose mirror is about as new as the server."""
    server = yield from collections.server_info(session)
    most = min(MOST_ROWS, server.max_rows_per_enrolment)
    count, tries = 0, itertools.count(1)
    while True:
        moved = yield from local(partial(owner.moved, place, most))
        if not moved.row_ids:
            return count
        try:
            reply = yield from ask_one(
                session.patience, rpcs.ENROL_ROWS, _messages(place, moved), index_pb2.EnrolRowsResponse
            )
        except (BlockChanged, RowNotFound):
            if next(tries) == MOST_TRIES:
                raise
            yield from look_again(session, place)
        else:
            count += len(moved.row_ids)
            yield from sync(session, place, wire.require_epoch(reply.epoch, "a move"))


def _messages(place: Place, moved: owner.Moved) -> list[Message]:
    collection, count = place.collection, len(moved.row_ids)
    header = index_pb2.EnrolHeader(
        request_id=random_uid(),
        collection_uid=collection.uid,
        parameter_id=collection.parameter_id,
        model_id=collection.model_id,
        row_count=count,
        moves=True,
    )
    batch = RowBatch(moved.row_ids, np.zeros((count, 0), np.int16), (), (), moved.placed.slots)
    return [
        index_pb2.EnrolRowsRequest(header=header),
        *(index_pb2.EnrolRowsRequest(block=wire.block_to_message(block)) for block in moved.placed.blocks),
        index_pb2.EnrolRowsRequest(batch=wire.batch_to_message(batch)),
    ]
