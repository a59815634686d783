"""Erasures: certificates that hold, repetitions that change nothing, holds that are kept."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.core.governance.written import SUBJECT, consent
from tests.noise import MOST_COSINE_ERROR
from tests.server.governance.steward import NOON, OwnServer, Steward
from unseen.entropy import random_uid
from unseen.errors import StoreFailed
from unseen.governance.canonical import canonical_bytes, parse_object
from unseen.governance.certificate import Asked, ErasureCertificate
from unseen.keys.ring_content import Destroyed
from unseen.v1 import collections_pb2, collections_pb2_grpc
from unseen_server.call import LOCAL
from unseen_server.governance import facts as kinds
from unseen_server.governance.erasing import RequestId
from unseen_server.sealed_collection import SealedCollection

Rows = Callable[..., tuple[Any, Any]]
Governed = Callable[..., Steward]
OTHER = bytes(range(100, 116))


def certificate(data: bytes, steward: Steward) -> ErasureCertificate:
    """A certificate that the server named by its info signed."""
    found, signed = ErasureCertificate.from_signed(data)
    assert signed.public_key in steward.caller.info().signing_keys
    return found


def key_tree(own_server: OwnServer, uid: bytes) -> str:
    """The tree of the key ring that a collection's rows have their keys from."""
    (tree,) = own_server.ring.trees_of(uid)
    return tree.hex()


def test_rows_erased_by_id_have_a_certificate_that_a_repetition_gets_again(
    own_server: OwnServer, governed: Governed, make_rows: Rows
) -> None:
    steward = governed()
    vectors, batch = make_rows(3)
    steward.enrol(batch, steward.consent())
    request_id = random_uid()
    reply = steward.caller.erase(steward.uid, batch.row_ids[:2], request_id)
    found = certificate(reply.certificate, steward)
    keys = (f"{key_tree(own_server, steward.uid)}:2",)
    expected = ErasureCertificate(request_id, steward.uid, Asked.ROWS, None, 2, 1, 2, NOON, keys)
    assert found == expected
    again = steward.caller.erase(steward.uid, batch.row_ids[:2], request_id)
    assert (again.certificate, again.repeated_request) == (reply.certificate, True)
    assert steward.certificates() == [expected]
    assert np.abs(steward.search(vectors[0])[:2]).max() < MOST_COSINE_ERROR


def test_collections_without_an_agreement_have_certificates_too(
    own_server: OwnServer, dial: Any, make_rows: Rows
) -> None:
    caller = dial()
    steward = Steward(caller, caller.create().uid)
    _, batch = make_rows(2)
    caller.enrol(steward.uid, batch)
    found = certificate(caller.erase(steward.uid, batch.row_ids[:1]).certificate, steward)
    assert (found.asked, found.rows) == (Asked.ROWS, 1)
    stub = collections_pb2_grpc.CollectionServiceStub(caller.channel)
    request = collections_pb2.DeleteCollectionRequest(request_id=random_uid(), collection_uid=steward.uid)
    keys = (key_tree(own_server, steward.uid),)
    first = stub.DeleteCollection(request, timeout=30)
    deleted = certificate(first.certificate, steward)
    assert (deleted.asked, deleted.rows, deleted.collection_uid) == (Asked.COLLECTION, 1, steward.uid)
    assert deleted.destroyed_keys == keys
    assert own_server.ring.why_destroyed(bytes.fromhex(keys[0])) is Destroyed.COLLECTION_DELETED
    assert stub.DeleteCollection(request, timeout=30) == first


def test_a_subject_is_erased_with_every_row_and_consent_and_nobody_else(governed: Governed, make_rows: Rows) -> None:
    steward = governed()
    one, another = steward.consent(), steward.consent(purposes=frozenset({"care"}))
    other = steward.consent(pii_principal_id=OTHER)
    vectors, batch = make_rows(6)
    steward.enrol(type(batch)(batch.row_ids[:4], batch.vectors[:4], batch.sealed_records[:4]), [one, other, one, other])
    steward.enrol(
        type(batch)(batch.row_ids[4:], batch.vectors[4:], batch.sealed_records[4:]), another, purposes=["care"]
    )
    steward.withdraw(another.record_id)
    request_id = random_uid()
    erased = steward.erase_subject(SUBJECT, request_id)
    assert (erased.asked, erased.subject, erased.rows) == (Asked.SUBJECT, SUBJECT, 4)
    assert steward.erase_subject(SUBJECT, request_id) == erased
    assert set(steward.states()) == {other.record_id}
    assert set(steward.caller.sync(steward.uid)[1]) == {batch.row_ids[1], batch.row_ids[3]}
    assert [part for part in steward.export(SUBJECT) if part.consents or part.rows or part.holds] == []
    assert steward.caller.refusal(steward.withdraw, one.record_id).code == "CONSENT_NOT_FOUND"
    assert steward.erase_subject(SUBJECT).rows == 0
    scores = steward.search(vectors[1])
    assert scores[1] == pytest.approx(1, abs=0.02)


def test_erasure_of_a_subject_under_a_used_request_id_erases_nothing(governed: Governed) -> None:
    steward = governed()
    request_id = random_uid()
    given = consent(steward.policy, record_id=random_uid(), event_time=NOON)
    steward.record(given, request_id)
    assert steward.caller.refusal(steward.erase_subject, SUBJECT, request_id).code == "REQUEST_REPLAYED"
    erased = random_uid()
    steward.erase_subject(OTHER, erased)
    assert steward.caller.refusal(steward.erase_subject, SUBJECT, erased).code == "REQUEST_REPLAYED"
    assert list(steward.states()) == [given.record_id]


def test_nothing_of_an_erased_subjects_consents_is_left_after_a_restart(
    own_server: OwnServer, dial: Any, governed: Governed
) -> None:
    steward = governed()
    steward.consent()
    steward.erase_subject(SUBJECT)
    assert own_server.running is not None
    assert own_server.running.store.facts(kinds.CONSENT) == ()
    own_server.stop()
    own_server.start()
    assert Steward(dial(), steward.uid).states() == {}


def test_data_from_before_an_erasure_brings_neither_rows_nor_consents_back_with_todays_keys(
    own_server: OwnServer, dial: Any, governed: Governed, make_rows: Rows, tmp_path: Path
) -> None:
    steward = governed()
    given, other = steward.consent(), steward.consent(pii_principal_id=OTHER)
    _, batch = make_rows(4)
    steward.enrol(batch, [given, other, given, other])
    own_server.stop()
    shutil.copytree(own_server.data, tmp_path / "copy")
    own_server.start()
    again = Steward(dial(), steward.uid)
    assert again.states() == {given.record_id: "dpv:ConsentGiven", other.record_id: "dpv:ConsentGiven"}
    again.erase_subject(SUBJECT)
    own_server.stop()
    shutil.rmtree(own_server.data)
    shutil.copytree(tmp_path / "copy", own_server.data)
    own_server.start()
    restored = Steward(dial(), steward.uid)
    assert restored.states() == {other.record_id: "dpv:ConsentGiven"}
    assert restored.info().rows == 2


def test_collection_that_is_deleted_takes_every_subjects_consents_with_it(
    own_server: OwnServer, governed: Governed, make_rows: Rows
) -> None:
    steward = governed()
    for number in range(3):
        steward.consent(pii_principal_id=bytes([number]) * 16)
    stub = collections_pb2_grpc.CollectionServiceStub(steward.caller.channel)
    request = collections_pb2.DeleteCollectionRequest(request_id=random_uid(), collection_uid=steward.uid)
    stub.DeleteCollection(request, timeout=30)
    assert own_server.running is not None
    assert own_server.running.store.facts(kinds.CONSENT) == ()


def test_an_erasure_that_was_cut_before_its_certificate_is_taken_up_by_the_repetition(
    own_server: OwnServer, dial: Any, governed: Governed, make_rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    steward = governed()
    steward.enrol(make_rows(3)[1], steward.consent())
    assert own_server.running is not None
    request_id = random_uid()

    def cut(*_: object) -> bytes:
        raise StoreFailed("as if the disk had failed here")

    with monkeypatch.context() as patched:
        patched.setattr(own_server.running.governance.erasing, "_certify", cut)
        assert steward.caller.refusal(steward.erase_subject, SUBJECT, request_id).code == "STORE_FAILED"
    own_server.stop()
    own_server.start()
    again = Steward(dial(), steward.uid)
    assert again.erase_subject(SUBJECT, request_id).rows == 3
    assert own_server.running.store.facts(kinds.ERASING) == ()


# Holds


def test_held_rows_are_kept_and_every_erasure_of_them_names_the_reason_code(
    own_server: OwnServer, governed: Governed, make_rows: Rows
) -> None:
    steward = governed()
    held, free = steward.consent(validity_duration=100), steward.consent(pii_principal_id=OTHER, validity_duration=100)
    vectors, batch = make_rows(4)
    steward.enrol(batch, [held, free, held, free])
    steward.hold("CASE-17", SUBJECT)
    for call, args in (
        (steward.caller.erase, (steward.uid, batch.row_ids[:1])),
        (steward.caller.erase, (steward.uid, batch.row_ids)),
        (steward.erase_subject, (SUBJECT,)),
        (steward.caller.delete, (steward.uid,)),
    ):
        refusal = steward.caller.refusal(call, *args)
        assert refusal.code == "ON_LEGAL_HOLD"
        assert "CASE-17" in refusal.message
    own_server.hands.pass_s(100)
    assert own_server.run_retention() == 2
    assert np.abs(steward.search(vectors[0])[:4]).max() < MOST_COSINE_ERROR
    assert own_server.running is not None
    kept = {row.row_id for row in own_server.running.store.withheld(steward.uid)}
    assert kept == {batch.row_ids[0], batch.row_ids[2]}
    assert own_server.run_retention() == 0
    steward.hold("CASE-17", lift=True)
    assert own_server.run_retention() == 2
    assert own_server.running.store.withheld(steward.uid) == ()


def test_a_hold_on_a_whole_collection_keeps_every_row(
    own_server: OwnServer, governed: Governed, make_rows: Rows
) -> None:
    steward = governed(lawful_basis="eu-gdpr:A6-1-e", retention_days=1)
    _, batch = make_rows(3)
    steward.enrol(batch)
    steward.hold("COURT/4-26")
    assert steward.caller.refusal(steward.caller.erase, steward.uid, batch.row_ids[:1]).code == "ON_LEGAL_HOLD"
    own_server.hands.pass_s(86_400)
    assert own_server.run_retention() == 0
    assert steward.info().rows == 0
    steward.hold("COURT/4-26", lift=True)
    assert own_server.run_retention() == 3


def test_holds_survive_a_restart_and_are_told_apart(own_server: OwnServer, dial: Any, governed: Governed) -> None:
    steward = governed()
    request_id = random_uid()
    first = steward.hold("A", SUBJECT, request_id=request_id)
    assert steward.hold("A", SUBJECT, request_id=request_id) == first
    assert steward.caller.refusal(steward.hold, "A").code == "ALREADY_EXISTS"
    assert steward.caller.refusal(steward.hold, "B", lift=True).code == "NOT_FOUND"
    assert steward.caller.refusal(steward.hold, "no prose here").code == "INVALID_INPUT"
    steward.hold("A", lift=True)
    second = steward.hold("A")
    own_server.stop()
    own_server.start()
    holds = Steward(dial(), steward.uid).holds()
    assert [(hold.reason_code, bool(hold.lifted_at)) for hold in holds] == [("A", True), ("A", False)]
    assert holds[1] == second


@pytest.mark.parametrize("cut_at", ["_certify", "erase"])
def test_a_job_that_was_cut_leaves_nothing_without_a_certificate(
    own_server: OwnServer,
    dial: Any,
    governed: Governed,
    make_rows: Rows,
    monkeypatch: pytest.MonkeyPatch,
    cut_at: str,
) -> None:
    steward = governed()
    given = steward.consent()
    steward.enrol(make_rows(3)[1], given)
    steward.withdraw(given.record_id)
    assert own_server.running is not None

    def cut(*_: object) -> bytes:
        raise StoreFailed("as if the disk had failed here")

    with monkeypatch.context() as patched:
        patched.setattr(SealedCollection if cut_at == "erase" else own_server.running.governance.erasing, cut_at, cut)
        with pytest.raises(StoreFailed):
            own_server.run_retention()
    own_server.stop()
    own_server.start()
    again = Steward(dial(), steward.uid)
    assert [(one.asked, one.rows) for one in again.certificates()] == [(Asked.RETENTION, 3)]
    (certificate,) = again.certificates()
    assert certificate.epoch_before < certificate.epoch_after <= again.info().epoch
    assert own_server.running.store.facts(kinds.ERASING) == ()
    assert own_server.running.store.withheld(steward.uid) == ()


def test_a_row_that_was_enrolled_again_before_a_cut_job_is_finished_stays_and_holds_nothing_up(
    own_server: OwnServer, governed: Governed, make_rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    steward = governed()
    given = steward.consent()
    batch = make_rows(3)[1]
    steward.enrol(batch, given)
    steward.withdraw(given.record_id)
    assert own_server.running is not None

    def cut(*_: object) -> bytes:
        raise MemoryError

    with monkeypatch.context() as patched:
        patched.setattr(own_server.running.governance.erasing, "_certify", cut)
        with pytest.raises(MemoryError):
            own_server.run_retention()
    steward.enrol(batch, steward.consent())
    own_server.run_retention()
    assert [(one.asked, one.rows) for one in steward.certificates()] == [(Asked.RETENTION, 3)]
    assert own_server.running.store.facts(kinds.ERASING) == ()
    assert steward.info().rows == 3


def test_a_deletion_that_an_earlier_build_began_gets_its_certificate(
    own_server: OwnServer, governed: Governed, make_rows: Rows
) -> None:
    steward = governed()
    assert own_server.running is not None
    erasing, store = own_server.running.governance.erasing, own_server.running.store
    request_id = RequestId.make()
    erasing.begin_collection(own_server.running.engine.by_uid(LOCAL, steward.uid), request_id)
    (begun,) = [parse_object(fact.body) for fact in store.facts(kinds.ERASING)]
    store.forget_facts(kinds.ERASING, request_id.own)
    del begun["key_tree"]
    store.append_fact(kinds.ERASING, request_id.own, canonical_bytes(begun))
    assert ErasureCertificate.from_signed(erasing.collection_gone(steward.uid, request_id))[0].destroyed_keys == ()
