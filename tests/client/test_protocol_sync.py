"""Synchronisation by hand against a paper server: mirrors that lag, are cut, start over, outlive a restored store."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from unseen import wire
from unseen.errors import ServerUnavailable
from unseen.v1 import index_pb2
from unseen_client import StoreWentBack

IDS = [f"row-{at}" for at in range(40)]


@pytest.fixture
def filled(device, unit_vectors):
    """A device that has enrolled forty rows of sixteen numbers."""
    device(device.protocol.create_collection("plants", None, 16, None, True))
    device(device.protocol.enrol_vectors("plants", IDS, unit_vectors(40), None))
    return device


def test_an_erased_row_that_is_enrolled_again_is_found_by_every_device(filled, new_device, unit_vectors) -> None:
    other = new_device(filled.server)
    other.session.keys.put(filled.session.keys.all()[0])
    assert len(other(other.protocol.list("plants", None, 0))) == 40
    filled(filled.protocol.erase("plants", ["row-7", "row-3"]))
    filled(filled.protocol.enrol_vectors("plants", ["row-7"], unit_vectors(1, seed=77), None))
    assert other(other.protocol.search_vector("plants", unit_vectors(1, seed=77)[0], 1))[0].id == "row-7"
    assert len(other(other.protocol.list("plants", None, 0))) == 39


def test_a_slot_reused_after_the_reply_does_not_lend_its_score(filled, unit_vectors) -> None:
    """Between the reply and the synchronisation row-7 is erased and a stranger gets its slot."""
    second = filled(filled.protocol.search_vector("plants", unit_vectors(40)[7], 2))[1]
    server = filled.server.collections["plants"]
    swapped = []

    def swap(exchange):
        if exchange.rpc.path.endswith("SyncCatalogue") and not swapped:
            swapped.append(True)
            server.epoch += 2
            name = next(row_id for row_id, (entry, _) in server.rows.items() if entry.slot == 7)
            entry, vector = server.rows.pop(name)
            server.erased.append((server.epoch - 1, name))
            server.rows[b"x" * 16] = (type(entry)(b"x" * 16, 7, server.epoch, entry.sealed_record), vector)

    filled.faults = swap
    server.epoch += 1  # something else changed: the reply's epoch makes the device synchronise after it
    hits = filled(filled.protocol.search_vector("plants", unit_vectors(40)[7], 1))
    assert swapped
    assert [hit.id for hit in hits] == [second.id]


def test_a_cut_synchronisation_changes_nothing_and_is_repeated(filled, new_device) -> None:
    other = new_device(filled.server)
    other.session.keys.put(filled.session.keys.all()[0])
    broken = iter([0, 3, 9])
    other.faults = lambda exchange: next(broken, None) if exchange.rpc.path.endswith("SyncCatalogue") else None
    assert len(other(other.protocol.list("plants", None, 0))) == 40
    assert other.server.log.count("SyncCatalogue") >= 4


def test_a_stream_that_ends_without_its_last_message_counts_as_cut(filled, new_device) -> None:
    other = new_device(filled.server, timeout_s=1.0)
    other.session.keys.put(filled.session.keys.all()[0])
    whole = filled.server.on_sync_catalogue
    filled.server.on_sync_catalogue = lambda requests: list(whole(requests))[:-1]
    with pytest.raises(ServerUnavailable, match="last message"):
        other(other.protocol.list("plants", None, 0))
    mirror = other.session.mirror(filled.server.store_uid, filled.server.collections["plants"].uid)
    assert (mirror.epoch, mirror.rows) == (0, 0)


def test_a_store_restored_from_a_backup_makes_the_mirror_start_over(filled) -> None:
    server = filled.server.collections["plants"]
    filled(filled.protocol.enrol_vectors("plants", ["later"], np.ones((1, 16)), None))
    assert len(filled(filled.protocol.list("plants", None, 0))) == 41
    later = next(row_id for row_id, (entry, _) in server.rows.items() if entry.epoch == server.epoch)
    del server.rows[later]
    server.epoch -= 1
    with pytest.warns(StoreWentBack, match="went back in time"):
        assert len(filled(filled.protocol.list("plants", None, 0))) == 40
    assert len(filled(filled.protocol.list("plants", None, 0))) == 40  # said once


def epoch_of_yesterday(device):
    """The next answers about the collection name the epoch before: they were made before the last change."""
    honest = device.server.on_get_collection

    def earlier(requests):
        for reply in honest(requests):
            reply.collection.epoch -= 1
            yield reply

    device.server.on_get_collection = earlier


def test_an_answer_that_names_an_earlier_epoch_empties_no_mirror(filled) -> None:
    """Answers to calls side by side come in any order: that is not a server that went back in time."""
    filled(filled.protocol.enrol_vectors("plants", ["later"], np.ones((1, 16)), None))
    filled(filled.protocol.list("plants", None, 0))
    epoch_of_yesterday(filled)
    filled.server.received = b""
    for _ in range(2):
        assert len(filled(filled.protocol.list("plants", None, 0))) == 41
    asked = [one for one in filled.exchanges if one.rpc.path.endswith("SyncCatalogue")]
    assert all(one.requests[0].since_epoch for one in asked[-2:])
    assert (
        len(filled.session.mirror(filled.server.store_uid, filled.server.collections["plants"].uid).page(-1, 0)) == 41
    )


def test_a_refill_that_is_cut_leaves_the_mirror_as_it_was(filled) -> None:
    server = filled.server.collections["plants"]
    filled(filled.protocol.enrol_vectors("plants", ["later"], np.ones((1, 16)), None))
    filled(filled.protocol.list("plants", None, 0))
    server.epoch -= 1
    filled.session.patience = replace(filled.session.patience, timeout_s=0.5)
    filled.faults = lambda exchange: 3 if getattr(exchange.requests[0], "since_epoch", 1) == 0 else None
    with pytest.raises(ServerUnavailable):
        filled(filled.protocol.list("plants", None, 0))
    mirror = filled.session.mirror(filled.server.store_uid, server.uid)
    assert (mirror.rows, mirror.epoch) == (41, server.epoch + 1)


def test_a_search_waits_for_a_mirror_that_another_call_has_just_started_over(filled, unit_vectors, monkeypatch) -> None:
    server = filled.server.collections["plants"]
    mirror = filled.session.mirror(filled.server.store_uid, server.uid)
    best, moments = mirror.best, []

    def just_before(*arguments):
        if not moments:
            moments.append(mirror.apply(mirror.epoch, 0, (), (), replace_all=True))
        return best(*arguments)

    monkeypatch.setattr(mirror, "best", just_before)
    assert len(filled(filled.protocol.search_vector("plants", unit_vectors(1)[0], 3))) == 3
    assert moments == [True]


def test_a_synchronisation_in_many_short_streams_comes_through(filled, new_device, unit_vectors) -> None:
    """A server may end a stream at an epoch before its last: what it sent is kept, and the rest is asked for."""
    for at in range(5):
        filled(filled.protocol.enrol_vectors("plants", [f"more-{at}"], unit_vectors(1, seed=at + 9), None))
    server = filled.server.collections["plants"]

    def short(requests):
        since = requests[0].since_epoch
        added = [wire.entry_to_message(one) for one, _ in server.rows.values() if one.epoch == since + 1]
        yield index_pb2.SyncCatalogueResponse(epoch=since + 1, added=added, last=True)

    filled.server.on_sync_catalogue = short
    other = new_device(filled.server)
    other.session.keys.put(filled.session.keys.all()[0])
    assert len(other(other.protocol.list("plants", None, 0))) == 45
