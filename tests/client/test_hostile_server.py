"""A server that lies gets a typed error and nothing of the device: no key, no other collection, no memory."""

from __future__ import annotations

from dataclasses import replace

import pytest

from unseen import params, wire
from unseen.errors import (
    DeadlineExceeded,
    IntegrityError,
    MalformedMessage,
    Mismatch,
    ParameterMismatch,
    SealBroken,
    UnseenError,
)
from unseen.v1 import index_pb2, search_pb2, types_pb2

pytestmark = pytest.mark.usefixtures("locked_keys")


@pytest.fixture
def filled(device, unit_vectors):
    for name in ("plants", "others"):
        device(device.protocol.create_collection(name, None, 16, None, True))
        device(device.protocol.enrol_vectors(name, [f"{name}-{at}" for at in range(5)], unit_vectors(5), None))
    device(device.protocol.list("plants", None, 0))
    return device


def lie(device, method, change):
    """Let the paper server's replies to a method pass through ``change``."""
    honest = getattr(device.server, method)
    setattr(device.server, method, lambda requests: change(list(honest(requests))))


def search(device, unit_vectors):
    return device(device.protocol.search_vector("plants", unit_vectors(1)[0], 3))


def header(**fields):
    return search_pb2.SearchResponse(header=search_pb2.SearchReplyHeader(**fields))


@pytest.mark.parametrize(
    "change",
    [
        lambda replies: replies[1:],
        lambda replies: [replies[0], *replies],
        lambda replies: [*replies, replies[-1]],
        lambda replies: [header(epoch=1, slots=5, blocks=2), *replies[1:]],
        lambda replies: [header(epoch=1, slots=1 << 40, blocks=(1 << 31)), *replies[1:]],
        lambda replies: [header(epoch=1, slots=(1 << 28) + 1, blocks=(1 << 19) + 1), *replies[1:]],
        lambda replies: [replies[0], search_pb2.SearchResponse(blocks=replies[1].blocks[:-1])],
        lambda replies: [replies[0], search_pb2.SearchResponse(blocks=b"")],
        lambda replies: [replies[0], search_pb2.SearchResponse()],
        lambda replies: [search_pb2.SearchResponse(), *replies],
    ],
)
def test_replies_that_do_not_fit_are_malformed(filled, unit_vectors, change):
    lie(filled, "on_search", change)
    with pytest.raises(MalformedMessage):
        search(filled, unit_vectors)


def test_a_missing_block_counts_as_cut_and_is_asked_for_again(filled, unit_vectors):
    cuts = iter([True, False])
    lie(filled, "on_search", lambda replies: replies[:-1] if next(cuts) else replies)
    assert len(search(filled, unit_vectors)) == 3


def test_noise_for_blocks_gives_hits_of_rows_that_are_there_and_no_crash(filled, unit_vectors):
    lie(filled, "on_search", lambda r: [r[0], search_pb2.SearchResponse(blocks=b"\xa5" * len(r[1].blocks))])
    assert {hit.id for hit in search(filled, unit_vectors)} <= {f"plants-{at}" for at in range(5)}


def test_another_collection_under_the_name_asked_for_is_refused(filled, unit_vectors):
    other = filled.server.collections["others"].info()

    def swap(replies):
        replies[0].collection.CopyFrom(wire.collection_to_message(other))
        return replies

    lie(filled, "on_get_collection", swap)
    filled.server.received = b""
    with pytest.raises(Mismatch):
        filled(filled.protocol.enrol_vectors("plants", ["new"], unit_vectors(1), None))
    assert "EnrolRows" not in filled.server.log[-2:]


def under_the_name_asked_for(device):
    """Let the server give the uid of another collection under the name asked for."""
    other = device.server.collections["others"].info()

    def swap(replies):
        replies[0].collection.CopyFrom(wire.collection_to_message(other))
        replies[0].collection.name = "plants"
        return replies

    lie(device, "on_get_collection", swap)


@pytest.mark.parametrize("known", [True, False])
def test_no_record_is_sealed_under_the_key_of_another_collection(filled, unit_vectors, known):
    under_the_name_asked_for(filled)
    if not known:
        filled.session.forget("plants")
    filled.server.log.clear()
    for flow in (
        filled.protocol.enrol_vectors("plants", ["secret plant"], unit_vectors(1), None),
        filled.protocol.list("plants", None, 0),
        filled.protocol.erase("plants", ["others-1"]),
    ):
        with pytest.raises(Mismatch, match="'others'"):
            filled(flow)
    assert set(filled.server.log) == {"GetCollection"}
    assert len(filled.server.collections["others"].rows) == 5


def test_no_key_of_another_collection_is_destroyed(filled):
    under_the_name_asked_for(filled)
    with pytest.raises(Mismatch, match="'others'"):
        filled(filled.protocol.delete_collection("plants"))
    assert {key.name for key in filled.session.keys.all()} == {"plants", "others"}
    assert "DeleteCollection" not in filled.server.log


def test_another_store_with_the_same_names_and_uids_is_refused(filled, new_device, unit_vectors):
    filled.server.store_uid = b"t" * 16
    later = new_device(filled.server, filled.session.home)  # the same device, started again
    with pytest.raises(Mismatch, match="another store"):
        later(later.protocol.enrol_vectors("plants", ["new"], unit_vectors(1), None))
    assert "EnrolRows" not in filled.server.log[-3:]


def test_a_collection_made_other_than_asked_is_refused(device):
    def change(replies):
        replies[0].collection.dimension = 8
        return replies

    lie(device, "on_create_collection", change)
    with pytest.raises(Mismatch, match="asked"):
        device(device.protocol.create_collection("plants", None, 16, None, True))


def test_an_old_uid_for_a_new_collection_does_not_replace_its_key(filled):
    before = {key.name: key.record_key for key in filled.session.keys.all()}

    def old_uid(replies):
        replies[0].collection.uid = filled.server.collections["plants"].uid
        return replies

    lie(filled, "on_create_collection", old_uid)
    with pytest.raises(IntegrityError) as caught:
        filled(filled.protocol.create_collection("third", None, 16, None, True))
    assert any("delete it" in note for note in caught.value.__notes__)
    assert {key.name: key.record_key for key in filled.session.keys.all()} == before


def test_an_unknown_parameter_set_is_never_encrypted_with(filled, unit_vectors):
    def weak(replies):
        replies[0].collection.parameter_id = "0" * 16
        return replies

    lie(filled, "on_get_collection", weak)
    filled.session.forget("plants")
    with pytest.raises(ParameterMismatch):
        search(filled, unit_vectors)
    assert "Search" not in filled.server.log


@pytest.mark.parametrize("factor", [0, 3, 64, 1 << 31])
def test_a_packing_that_cannot_be_is_never_encrypted_for(filled, unit_vectors, factor):
    def impossible(replies):
        replies[0].collection.packing_factor = factor
        return replies

    lie(filled, "on_get_collection", impossible)
    filled.session.forget("plants")
    with pytest.raises(UnseenError):
        search(filled, unit_vectors)
    assert "Search" not in filled.server.log


def sync_lie(device, change):
    """Lie in the next synchronisation, which an erasure makes necessary."""
    lie(device, "on_sync_catalogue", change)
    device.server.collections["plants"].epoch += 1


def changed(field, value):
    def change(replies):
        for reply in replies:
            setattr(reply, field, value)
        return replies

    return change


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (changed("erased_row_ids", b"123"), MalformedMessage),
        (changed("epoch", 0), IntegrityError),
    ],
)
def test_catalogues_that_do_not_fit_change_nothing(filled, change, error):
    sync_lie(filled, change)
    with pytest.raises(error):
        filled(filled.protocol.list("plants", None, 0))
    mirror = filled.session.mirror(filled.server.store_uid, filled.server.collections["plants"].uid)
    assert mirror.rows == 5


def test_a_server_that_names_an_epoch_it_never_reaches_is_left(filled):
    """Rows or not: a stream without a row does not move, one with a row a time does not last for ever."""

    def far(replies):
        replies[0].collection.epoch = 1 << 60
        return replies

    def one_epoch_more(requests):
        yield index_pb2.SyncCatalogueResponse(epoch=requests[0].since_epoch + 1, last=True)

    def one_row_more(requests):
        filled.now_s += 0.5
        entry = types_pb2.CatalogueEntry(row_id=b"r" * 16, slot=9, epoch=1, sealed_record=b"x")
        yield index_pb2.SyncCatalogueResponse(epoch=requests[0].since_epoch + 1, added=[entry], last=True)

    lie(filled, "on_get_collection", far)
    filled.server.on_sync_catalogue = one_epoch_more
    with pytest.raises(IntegrityError, match="the server named"):
        filled(filled.protocol.list("plants", None, 0))
    filled.server.on_sync_catalogue = one_row_more
    began = filled.now_s
    with pytest.raises(DeadlineExceeded):
        filled(filled.protocol.list("plants", None, 0))
    assert filled.now_s - began < 2 * filled.session.patience.timeout_s


def test_rows_named_and_never_sent_buy_no_time(filled):
    def many(replies):
        replies[0].collection.rows = replies[0].collection.slots = 1 << 62
        replies[0].collection.epoch += 1
        return replies

    lie(filled, "on_get_collection", many)
    with pytest.raises(IntegrityError):
        filled(filled.protocol.list("plants", None, 0))
    assert filled.exchanges[-1].timeout_s < 11_000


@pytest.mark.parametrize("method", ["on_get_collection", "on_sync_catalogue", "on_search", "an entry", "on_erase_rows"])
def test_epochs_that_no_store_can_hold_are_malformed(filled, unit_vectors, method):
    def change(replies):
        if method == "on_get_collection":
            replies[0].collection.epoch = 1 << 63
        elif method == "on_search":
            replies[0].header.epoch = 1 << 63
        elif method == "an entry":
            replies[0].added.add(row_id=b"n" * 16, slot=9, epoch=1 << 63)
        else:
            replies[-1].epoch = 1 << 63
        return replies

    lie(filled, "on_sync_catalogue" if method == "an entry" else method, change)
    if method in ("on_sync_catalogue", "an entry"):
        filled.server.collections["plants"].epoch += 1
    searching = filled.protocol.search_vector("plants", unit_vectors(1)[0], 3)
    with pytest.raises(MalformedMessage, match="epoch"):
        filled(searching if method == "on_search" else filled.protocol.erase("plants", ["plants-1"]))


@pytest.mark.parametrize("field", ["max_rows_per_enrolment", "max_message_bytes", "max_record_bytes"])
def test_a_server_that_takes_nothing_is_malformed(filled, unit_vectors, field):
    filled.session.server = None
    lie(filled, "on_get_server_info", changed(field, 0))
    with pytest.raises(MalformedMessage, match="takes nothing"):
        filled(filled.protocol.enrol_vectors("plants", ["x"], unit_vectors(1), None))


def test_a_catalogue_with_a_crooked_row_changes_nothing(filled, unit_vectors):
    def crooked(replies):
        for entry in replies[0].added:
            entry.row_id = b"short"
        return replies

    filled(filled.protocol.enrol_vectors("plants", ["new"], unit_vectors(1), None))
    lie(filled, "on_sync_catalogue", crooked)
    with pytest.raises(MalformedMessage):
        filled(filled.protocol.list("plants", None, 0))
    mirror = filled.session.mirror(filled.server.store_uid, filled.server.collections["plants"].uid)
    assert mirror.rows == 5


def test_records_swapped_between_rows_do_not_open(filled, unit_vectors):
    def swap(replies):
        entries = [entry for reply in replies for entry in reply.added]
        if len(entries) >= 2:
            entries[0].sealed_record, entries[1].sealed_record = entries[1].sealed_record, entries[0].sealed_record
        return replies

    filled(filled.protocol.enrol_vectors("plants", ["new-1", "new-2"], unit_vectors(2), None))
    lie(filled, "on_sync_catalogue", swap)
    with pytest.raises(SealBroken):
        filled(filled.protocol.list("plants", None, 0))


@pytest.mark.parametrize("says", ["sealed", "owner-encrypted"])
def test_server_that_names_another_protection_gets_no_vector_and_no_query(filled, unit_vectors, says):
    """Believing it, a device would send the rows of an owner-encrypted collection in a form that a server reads."""
    uid = filled.server.collections["plants"].uid
    if says == "sealed":
        held = filled.session.keys.get(uid)
        filled.session.keys.forget(uid)
        filled.session.keys.put(replace(held, owner_key=bytes(32)))
    else:
        filled.server.collections["plants"].parameter_id = params.OWNER_DEFAULT.id
        filled.session.forget("plants")
    before = filled.server.log.count("EnrolRows")
    with pytest.raises(Mismatch, match=f"is {says}"):
        filled(filled.protocol.enrol_vectors("plants", ["new"], unit_vectors(1), None))
    with pytest.raises(Mismatch, match=f"is {says}"):
        search(filled, unit_vectors)
    assert "Search" not in filled.server.log
    assert filled.server.log.count("EnrolRows") == before
