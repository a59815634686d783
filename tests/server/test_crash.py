"""Kill -9 during enrolment, again and again on one store: nothing acknowledged is missing, nothing is there by half.

UNSEEN_KILLS sets how often (10 here, 1,000 in a night).
"""

from __future__ import annotations

import os
import random
import signal
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import grpc
import numpy as np

from unseen.entropy import random_uid
from unseen.types import RowBatch

Make = Callable[..., Any]

KILLS = int(os.environ.get("UNSEEN_KILLS", "10"))
ROWS = 40
LONGEST_LIFE_S = 0.25
"""The kill comes somewhere in here: an enrolment takes a few milliseconds."""


@dataclass
class Sent:
    """What a client knows of its own requests."""

    batches: list[RowBatch] = field(default_factory=list)
    request_ids: list[bytes] = field(default_factory=list)
    acknowledged: set[int] = field(default_factory=set)
    erased: set[int] = field(default_factory=set)
    """Asked for."""
    gone: set[int] = field(default_factory=set)
    """Acknowledged."""
    ends: set[grpc.StatusCode] = field(default_factory=set)


def change_until_the_server_dies(caller: Any, uid: bytes, sent: Sent, make_rows: Make) -> None:
    try:
        while True:
            sent.batches.append(make_rows(ROWS, 16, 300)[1])
            sent.request_ids.append(random_uid())
            caller.enrol(uid, sent.batches[-1], sent.request_ids[-1])
            sent.acknowledged.add(len(sent.batches) - 1)
            if len(sent.batches) % 3 == 0:
                victim = random.choice(sorted(sent.acknowledged - sent.erased))
                sent.erased.add(victim)
                caller.erase(uid, sent.batches[victim].row_ids)
                sent.gone.add(victim)
    except grpc.RpcError as error:
        sent.ends.add(error.code())


def check(caller: Any, collection: Any, sent: Sent) -> None:
    epoch, entries, _ = caller.sync(collection.uid)
    now = caller.collection(collection.name)
    assert (now.epoch, now.rows) == (epoch, len(entries))
    for number, batch in enumerate(sent.batches):
        there = [row_id in entries for row_id in batch.row_ids]
        assert all(there) or not any(there), "a batch is there by half"
        assert not (number in sent.gone and any(there)), "an erased batch is back"
        if number in sent.acknowledged - sent.erased:
            assert all(there), "an acknowledged batch is missing"
            assert [entries[row_id].sealed_record for row_id in batch.row_ids] == list(batch.sealed_records)
    assert len({entry.slot for entry in entries.values()}) == len(entries)


def test_acknowledged_rows_survive_kill_nine_at_any_moment(make_server: Make, call: Make, make_rows: Make) -> None:
    server = make_server()
    sent = Sent()
    name = "photos"
    for life in range(KILLS):
        caller = call(server.start())
        collection = caller.create(name) if life == 0 else caller.collection(name)
        check(caller, collection, sent)
        kill = threading.Timer(random.uniform(0, LONGEST_LIFE_S), server.process.send_signal, [signal.SIGKILL])
        kill.start()
        change_until_the_server_dies(caller, collection.uid, sent, make_rows)
        kill.join()
        assert server.stop(signal.SIGKILL) == -signal.SIGKILL
        caller.close()
    caller = call(server.start())
    collection = caller.collection(name)
    check(caller, collection, sent)
    assert sent.ends <= {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED}
    retry_what_was_not_answered(caller, collection, sent)
    check(caller, collection, sent)
    scores_are_those_of_the_rows(caller, collection, sent)


def retry_what_was_not_answered(caller: Any, collection: Any, sent: Sent) -> None:
    for number in set(range(len(sent.batches))) - sent.acknowledged:
        caller.enrol(collection.uid, sent.batches[number], sent.request_ids[number])
        sent.acknowledged.add(number)


def scores_are_those_of_the_rows(caller: Any, collection: Any, sent: Sent) -> None:
    _, entries, _ = caller.sync(collection.uid)
    batch = sent.batches[max(sent.acknowledged - sent.erased)]
    query = batch.vectors[0].astype(np.float32)
    scores = caller.search(caller.collection(collection.name), query)
    assert scores[entries[batch.row_ids[0]].slot] > 0.98
    taken = [entry.slot for entry in entries.values()]
    free = np.setdiff1d(np.arange(scores.size), taken)
    assert np.abs(scores[free]).max(initial=0) < 0.02, "a slot without a row scores"
