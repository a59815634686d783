"""Messages of governance built to hurt: each one gets a typed refusal and leaves nothing behind."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.core.governance.written import CONTROLLER, consent, policy
from tests.server.governance.steward import NOON, OwnServer, Steward
from unseen.entropy import random_uid
from unseen.governance.canonical import MOST_DOCUMENT_BYTES, canonical_bytes
from unseen.governance.policy import Policy
from unseen.governance.signed import Signed
from unseen.v1 import governance_pb2 as pb

Governed = Callable[..., Steward]


def of_everything(steward: Steward) -> list[int]:
    """How much of each kind is written down."""
    history = steward.history()
    return [
        len(history.policies),
        len(history.acceptances),
        len(steward.states()),
        len(steward.holds()),
        len(steward.emergencies()),
        len(steward.certificates()),
    ]


def signed_policy(steward: Steward, **changes: Any) -> bytes:
    return policy(steward.uid, steward.policy, **changes).signed(CONTROLLER.public_key, CONTROLLER.sign).to_bytes()


def forged(steward: Steward) -> bytes:
    """A policy with another signature than its own."""
    return Signed.make(
        "policy", policy(steward.uid, steward.policy).to_document(), CONTROLLER.public_key, lambda *_: bytes(64)
    ).to_bytes()


def hostile(steward: Steward) -> list[tuple[str, Any, str]]:
    """Method, request, code of the refusal."""
    change: dict[str, Any] = {"request_id": random_uid(), "collection_uid": steward.uid}
    nobody: dict[str, Any] = {"request_id": random_uid(), "collection_uid": bytes(16)}
    good = consent(steward.policy, record_id=random_uid(), event_time=NOON)
    bent = canonical_bytes({**good.to_document(), "extra": "field"})
    return [
        ("SetPolicy", pb.SetPolicyRequest(**nobody, policy=b"{}"), "COLLECTION_NOT_FOUND"),
        ("SetPolicy", pb.SetPolicyRequest(collection_uid=steward.uid, policy=b"{}"), "MALFORMED_MESSAGE"),
        ("SetPolicy", pb.SetPolicyRequest(**change), "LIMIT_EXCEEDED"),
        ("SetPolicy", pb.SetPolicyRequest(**change, policy=bytes(MOST_DOCUMENT_BYTES + 1)), "LIMIT_EXCEEDED"),
        ("SetPolicy", pb.SetPolicyRequest(**change, policy=b"[" * MOST_DOCUMENT_BYTES), "INVALID_DOCUMENT"),
        ("SetPolicy", pb.SetPolicyRequest(**change, policy=b"\xff\xfe"), "INVALID_DOCUMENT"),
        ("SetPolicy", pb.SetPolicyRequest(**change, policy=b'{"a":1e999}'), "INVALID_DOCUMENT"),
        ("SetPolicy", pb.SetPolicyRequest(**change, policy=b'{"a":1,"a":2}'), "INVALID_DOCUMENT"),
        ("SetPolicy", pb.SetPolicyRequest(**change, policy=signed_policy(steward) + b" "), "INVALID_DOCUMENT"),
        ("SetPolicy", pb.SetPolicyRequest(**change, policy=forged(steward)), "PROOF_BROKEN"),
        ("GetPolicy", pb.GetPolicyRequest(collection_uid=b"short"), "MALFORMED_MESSAGE"),
        ("GetPolicy", pb.GetPolicyRequest(collection_uid=steward.uid, version=2**32 - 1), "POLICY_NOT_FOUND"),
        ("AcceptPolicy", pb.AcceptPolicyRequest(**change, policy_digest=b"short"), "MALFORMED_MESSAGE"),
        ("AcceptPolicy", pb.AcceptPolicyRequest(**change, policy_digest=bytes(32)), "POLICY_NOT_ACCEPTED"),
        ("RecordConsent", pb.RecordConsentRequest(**change, consent=b"null"), "INVALID_DOCUMENT"),
        ("RecordConsent", pb.RecordConsentRequest(**change, consent=bent), "INVALID_DOCUMENT"),
        ("RecordConsent", pb.RecordConsentRequest(**change, consent=good.to_bytes()[:-1]), "INVALID_DOCUMENT"),
        ("WithdrawConsent", pb.WithdrawConsentRequest(**change, record_id=bytes(16)), "CONSENT_NOT_FOUND"),
        ("WithdrawConsent", pb.WithdrawConsentRequest(**change, record_id=bytes(17)), "MALFORMED_MESSAGE"),
        ("ListConsents", pb.ListConsentsRequest(collection_uid=steward.uid, subject=b"x"), "MALFORMED_MESSAGE"),
        ("EraseSubject", pb.EraseSubjectRequest(**change), "MALFORMED_MESSAGE"),
        ("ExportSubject", pb.ExportSubjectRequest(collection_uid=steward.uid), "MALFORMED_MESSAGE"),
        ("SetHold", pb.SetHoldRequest(**change, reason_code="a b"), "INVALID_INPUT"),
        ("SetHold", pb.SetHoldRequest(**change, reason_code="A" * 65), "INVALID_INPUT"),
        ("SetHold", pb.SetHoldRequest(**change, reason_code="A", subject=bytes(3)), "MALFORMED_MESSAGE"),
        ("SetHold", pb.SetHoldRequest(**change, reason_code="A", lift=True), "NOT_FOUND"),
        ("BreakGlass", pb.BreakGlassRequest(**change, reason_code="A", seconds=2**32 - 1), "INVALID_INPUT"),
        ("BreakGlass", pb.BreakGlassRequest(**nobody, reason_code="A", seconds=60), "COLLECTION_NOT_FOUND"),
    ]


def test_what_cannot_be_is_refused_by_name_and_nothing_is_written_down(governed: Governed) -> None:
    steward = governed()
    before = of_everything(steward)
    for method, request, code in hostile(steward):
        refusal = steward.caller.refusal(
            steward.caller.raw, f"GovernanceService/{method}", [request.SerializeToString()]
        )
        assert refusal.code == code, (method, request, refusal)
    assert of_everything(steward) == before


LONG = ["\U0001f5ff" * 230 + f"{number:04}" for number in range(60)]
"""As much as a policy's list may hold: with it a policy has 55 KiB."""


def test_a_history_too_long_for_one_answer_is_refused_by_name_and_its_versions_are_shown(governed: Governed) -> None:
    steward = governed(recipients=LONG)
    for _ in range(21):
        steward.set_policy(recipients=LONG)
    assert steward.caller.refusal(steward.history).code == "LIMIT_EXCEEDED"
    assert [steward.shown(version).version for version in (1, 22)] == [1, 22]


def test_a_history_of_any_length_is_shown_page_by_page(governed: Governed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("unseen_server.limits.MAX_MESSAGE_BYTES", 1 << 18)
    steward = governed(recipients=LONG)
    for _ in range(6):
        steward.set_policy(recipients=LONG)
        steward.accept()
        steward.accept()
    versions, acceptances, pages, more = [], [], 0, True
    while more:
        request = pb.GetPolicyHistoryRequest(
            collection_uid=steward.uid, first_version=len(versions) + 1, skipped_acceptances=len(acceptances)
        )
        page = steward.stub.GetPolicyHistory(request, timeout=30)
        assert page.ByteSize() <= 1 << 18
        versions += [Policy.from_signed(one.policy)[0].version for one in page.policies]
        acceptances += [one.version for one in page.acceptances]
        pages, more = pages + 1, page.more
    assert versions == [1, 2, 3, 4, 5, 6, 7]
    assert acceptances == sorted(set(acceptances)), "of one caller's acceptances of a version the first is shown"
    assert set(acceptances) >= {2, 3, 4, 5, 6, 7}
    assert pages > 1


def test_what_is_held_of_a_subject_is_exported_however_long_its_documents_are(governed: Governed) -> None:
    steward = governed(recipients=LONG)
    texts = {"collection_method": "\U0001f5ff" * 2000, "withdrawal_method": "\U0001f5ff" * 2000}
    given = []
    for _ in range(21):
        given += [
            steward.consent(**texts),
            steward.consent(**texts),
            steward.consent(**texts),
            steward.consent(**texts),
        ]
        steward.set_policy(recipients=LONG)
    pages = steward.export(given[0].pii_principal_id)
    assert sum(len(page.consents) for page in pages) == len(given)
    assert sum(len(page.policies) for page in pages) == 21
    assert len(steward.states()) == len(given)


def test_a_collection_without_an_agreement_has_nothing_to_ask_for(
    own_server: OwnServer, dial: Callable[[], Any]
) -> None:
    caller = dial()
    steward = Steward(caller, caller.create("free").uid)
    asked: list[Callable[[], Any]] = [
        lambda: steward.shown(1),
        steward.history,
        steward.states,
        steward.holds,
        steward.emergencies,
        lambda: steward.export(bytes(16)),
        lambda: steward.erase_subject(bytes(16)),
        lambda: steward.hold("CASE-1"),
        lambda: steward.break_glass(),
        lambda: steward.withdraw(bytes(16)),
        lambda: steward.accept(bytes(32)),
    ]
    assert [caller.refusal(ask).code for ask in asked] == ["POLICY_NOT_FOUND"] * len(asked)
    assert not steward.stub.GetPolicy(pb.GetPolicyRequest(collection_uid=steward.uid), timeout=30).HasField("policy")
