"""What a collection with an agreement takes, and from whom; every refusal leaves nothing behind."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tests.core.governance.written import CONTROLLER, policy
from tests.server.governance.steward import NOON, OwnServer, Steward
from unseen.entropy import random_uid
from unseen.governance.certificate import Act
from unseen.governance.keys import KeyPair
from unseen_server import limits
from unseen_server.governance import facts as kinds

Rows = Callable[..., tuple[Any, Any]]
Governed = Callable[..., Steward]


def refused(steward: Steward, call: Any, *args: Any, **fields: Any) -> str | None:
    return steward.caller.refusal(call, *args, **fields).code


# Agreements


def test_a_policy_is_countersigned_and_a_repeated_request_gives_the_same_receipt(governed: Governed) -> None:
    steward = governed()
    before, request_id = steward.policy, random_uid()
    first = steward.set_policy(request_id, retention_days=10)
    assert (first.act, first.collection_uid, first.about) == (Act.POLICY_SET, steward.uid, steward.digest)
    data = policy(steward.uid, before, retention_days=10).signed(CONTROLLER.public_key, CONTROLLER.sign).to_bytes()
    assert steward.send_policy(data, request_id) == first
    assert refused(steward, steward.send_policy, data) == "INVALID_DOCUMENT"
    other = policy(steward.uid, before, retention_days=9).signed(CONTROLLER.public_key, CONTROLLER.sign).to_bytes()
    assert refused(steward, steward.send_policy, other, request_id) == "REQUEST_REPLAYED"


def test_policies_that_do_not_follow_are_refused(governed: Governed) -> None:
    steward = governed()
    assert steward.policy is not None
    sign = CONTROLLER.sign
    for wrong in (
        policy(steward.uid, None),
        policy(steward.uid, policy(steward.uid, contact="")),
        policy(steward.uid, policy(steward.uid, steward.policy)),
        policy(random_uid(), steward.policy),
    ):
        data = wrong.signed(CONTROLLER.public_key, sign).to_bytes()
        assert refused(steward, steward.send_policy, data) == "INVALID_DOCUMENT"
    good = policy(steward.uid, steward.policy)
    forged = good.signed(CONTROLLER.public_key, KeyPair.make().sign).to_bytes()
    assert refused(steward, steward.send_policy, forged) == "PROOF_BROKEN"
    assert refused(steward, steward.send_policy, b"{}") == "INVALID_DOCUMENT"
    assert refused(steward, steward.send_policy, b"") == "LIMIT_EXCEEDED"
    assert refused(steward, steward.send_policy, b"x" * 70_000) == "LIMIT_EXCEEDED"


def test_only_the_version_in_force_can_be_accepted(governed: Governed) -> None:
    steward = governed()
    first = steward.digest
    steward.set_policy()
    assert refused(steward, steward.accept, first) == "POLICY_NOT_ACCEPTED"
    assert refused(steward, steward.accept, b"short") == "MALFORMED_MESSAGE"
    request_id = random_uid()
    assert steward.accept(request_id=request_id) == steward.accept(request_id=request_id)


def test_who_accepts_again_and_again_does_not_fill_the_disk(
    own_server: OwnServer, governed: Governed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "MAX_ACCEPTANCES", 3)
    steward = governed()
    assert own_server.running is not None
    written = own_server.running.store
    for _ in range(3 - len(written.facts(kinds.ACCEPTANCE))):
        steward.accept()
    assert refused(steward, steward.accept) == "LIMIT_EXCEEDED"
    assert len(written.facts(kinds.ACCEPTANCE)) == 3
    assert [one.version for one in steward.history().acceptances] == [1]
    steward.set_policy()
    steward.accept()


# Rows


def test_rows_need_acceptance_purpose_and_a_valid_consent_for_each(governed: Governed, make_rows: Rows) -> None:
    steward = governed()
    _, batch = make_rows(2)
    research, everything = steward.consent(), steward.consent(purposes=frozenset({"research", "care"}))
    gone, short = steward.consent(), steward.consent(validity_duration=60)
    steward.withdraw(gone.record_id)
    enrol = steward.enrol
    for code, fields in (
        ("CONSENT_NOT_VALID", {"consents": None}),
        ("CONSENT_NOT_VALID", {"consents": [research, None]}),
        ("CONSENT_NOT_VALID", {"consents": gone}),
        ("CONSENT_NOT_VALID", {"consents": research, "purposes": ["research", "care"]}),
        ("CONSENT_NOT_VALID", {"consents": research, "purposes": ["care"]}),
        ("CONSENT_NOT_FOUND", {"consents": random_uid()}),
        ("PURPOSE_NOT_ALLOWED", {"consents": everything, "purposes": []}),
        ("PURPOSE_NOT_ALLOWED", {"consents": everything, "purposes": ["marketing"]}),
        ("PURPOSE_NOT_ALLOWED", {"consents": everything, "purposes": ["emergency"]}),
        ("POLICY_NOT_ACCEPTED", {"consents": everything, "policy_digest": b""}),
        ("POLICY_NOT_ACCEPTED", {"consents": everything, "policy_digest": bytes(32)}),
        ("MALFORMED_MESSAGE", {"consents": everything, "policy_digest": b"short"}),
        ("LIMIT_EXCEEDED", {"consents": everything, "purposes": ["x"] * 65}),
    ):
        assert refused(steward, enrol, batch, **fields) == code, fields
    assert (steward.info().rows, steward.info().epoch) == (0, 0)
    assert enrol(batch, [research, everything]).epoch == 1
    assert enrol(make_rows(1)[1], short).epoch == 2
    steward.set_policy()
    assert refused(steward, enrol, make_rows(1)[1], research) == "POLICY_NOT_ACCEPTED"


def test_a_consent_that_ends_takes_no_more_rows_from_that_second_on(
    own_server: Any, governed: Governed, make_rows: Rows
) -> None:
    steward = governed()
    short = steward.consent(validity_duration=60)
    own_server.hands.pass_s(59)
    steward.enrol(make_rows(1)[1], short)
    own_server.hands.pass_s(1)
    assert refused(steward, steward.enrol, make_rows(1)[1], short) == "CONSENT_NOT_VALID"


def test_other_bases_need_a_purpose_and_no_consent(governed: Governed, make_rows: Rows) -> None:
    steward = governed(lawful_basis="eu-gdpr:A6-1-e")
    vectors, batch = make_rows(3)
    steward.enrol(batch, [None, steward.consent(purposes=frozenset({"care"})), None], purposes=["care"])
    scores = steward.search(vectors[1], "care")
    assert scores[1] == pytest.approx(1, abs=0.02)


def test_collections_without_an_agreement_take_no_purposes(dial: Any, make_rows: Rows) -> None:
    caller = dial()
    steward = Steward(caller, caller.create().uid)
    steward.policy = policy(steward.uid)
    assert refused(steward, steward.enrol, make_rows(1)[1]) == "INVALID_INPUT"
    assert refused(steward, steward.search, make_rows(1)[0][0]) == "PURPOSE_NOT_ALLOWED"
    assert refused(steward, steward.accept) == "POLICY_NOT_FOUND"
    assert refused(steward, steward.erase_subject, bytes(16)) == "POLICY_NOT_FOUND"
    caller.enrol(steward.uid, make_rows(1)[1])
    data = steward.policy.signed(CONTROLLER.public_key, CONTROLLER.sign).to_bytes()
    assert refused(steward, steward.send_policy, data) == "POLICY_REFUSED"


def test_a_repeated_enrolment_is_answered_again_whatever_became_of_its_consent(
    governed: Governed, make_rows: Rows
) -> None:
    steward = governed()
    given, request_id = steward.consent(), random_uid()
    _, batch = make_rows(3)
    first = steward.enrol(batch, given, request_id=request_id)
    steward.withdraw(given.record_id)
    steward.set_policy()
    again = steward.caller.enrol(
        steward.uid,
        replace(batch, consents=(given.record_id,) * 3),
        request_id,
        policy_digest=steward.policy.previous,  # type: ignore[union-attr]
        purposes=["research"],
    )
    assert (again.epoch, again.repeated_request) == (first.epoch, True)
    assert steward.info().rows == 0


# Consents


def test_consents_that_do_not_fit_are_refused(governed: Governed) -> None:
    steward = governed()
    good = steward.consent()
    for code, wrong in (
        ("ALREADY_EXISTS", good),
        ("INVALID_DOCUMENT", replace(good, record_id=random_uid(), purposes=frozenset({"marketing"}))),
        ("INVALID_DOCUMENT", replace(good, record_id=random_uid(), privacy_notice=bytes(32))),
        ("INVALID_DOCUMENT", replace(good, record_id=random_uid(), collection_uid=bytes(16))),
        ("INVALID_DOCUMENT", replace(good, record_id=random_uid(), event_time=NOON + 90_000)),
        ("CONSENT_NOT_VALID", replace(good, record_id=random_uid(), event_time=NOON - 3600)),
    ):
        assert refused(steward, steward.record, wrong) == code, code
    assert steward.states() == {good.record_id: "dpv:ConsentGiven"}


def test_a_repeated_consent_and_withdrawal_give_the_same_receipts(governed: Governed, make_rows: Rows) -> None:
    steward = governed()
    record_id, withdraw_id = random_uid(), random_uid()
    given = steward.consent()
    again = replace(given, record_id=random_uid())
    assert steward.record(again, record_id) == steward.record(again, record_id)
    steward.enrol(make_rows(4)[1], given)
    first = steward.withdraw(given.record_id, withdraw_id)
    assert (first.act, first.rows, first.about) == (Act.CONSENT_WITHDRAWN, 4, given.digest)
    assert steward.withdraw(given.record_id, withdraw_id) == first
    assert refused(steward, steward.withdraw, given.record_id) == "CONSENT_NOT_VALID"
    assert refused(steward, steward.withdraw, random_uid()) == "CONSENT_NOT_FOUND"
