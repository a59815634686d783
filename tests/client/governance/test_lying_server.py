"""A server that lies about agreements, receipts and certificates: the device notices, or trusts nothing of it.

The real server answers; on the way back its replies are bent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest

from tests.client.real_server import RealServer
from tests.core.governance.written import CONTROLLER, terms
from unseen.errors import (
    InvalidDocument,
    LimitExceeded,
    LogWentBack,
    MalformedMessage,
    MethodUnknown,
    Mismatch,
    PolicyNotAccepted,
    PolicyNotFound,
    ProofBroken,
    UnseenError,
)
from unseen.governance.certificate import ErasureCertificate, Receipt
from unseen.governance.keys import KeyPair, fingerprint
from unseen.governance.policy import Policy
from unseen.v1 import governance_pb2 as pb
from unseen.v1.info_pb2 import GetServerInfoResponse
from unseen_client import Client
from unseen_client.flows import consents, enrol, policies, rights
from unseen_client.keys.controller_keys import ControllerKeys
from unseen_client.session import Session
from unseen_client.steps import Exchange, Flow, Local, Progress

IMPOSTOR = KeyPair(bytes(range(1, 33)))
Bend = Callable[[Any], Any]
ONE_ROW: Any = (["a"], np.eye(1, 16, dtype=np.float32), None)


class Liar:
    """Drives flows against the real server; ``bend`` changes replies of one type as they come."""

    def __init__(self, address: str, home: Path) -> None:
        self.session = Session(address, 30.0, home)
        self._channel = grpc.insecure_channel(address)
        self.called: list[str] = []

    def close(self) -> None:
        self.session.close()
        self._channel.close()

    def __call__(self, flow: Flow[Any], bend: Bend = lambda reply: reply) -> Any:
        try:
            step = next(flow)
            while True:
                try:
                    outcome = self._carry_out(step, bend)
                except UnseenError as error:
                    step = flow.throw(error)
                else:
                    step = flow.send(outcome)
        except StopIteration as done:
            return done.value

    def _carry_out(self, step: Any, bend: Bend) -> Any:
        if isinstance(step, Local):
            return step.work()
        if isinstance(step, Progress):
            return None
        assert isinstance(step, Exchange)
        self.called.append(step.rpc.path.rpartition("/")[2])
        method = self._channel.stream_stream(
            step.rpc.path, lambda message: message.SerializeToString(), step.rpc.reply_type.FromString
        )
        for reply in method(iter(step.requests), timeout=30):
            step.receive(bend(reply))
        return None


@pytest.fixture
def liar(server: RealServer, home: Path) -> Iterator[Liar]:
    one = Liar(server.address, home)
    yield one
    one.close()


@pytest.fixture
def governed(client: Client, home: Path, name: str) -> str:
    client.create_collection(name, dimension=16)
    ControllerKeys(home).make("controller")
    client.set_policy(name, terms())
    client.record_consent(name, "anna")
    return name


def answered_with(answer: pb.GetPolicyResponse | UnseenError) -> Bend:
    """To the question for an agreement."""

    def bend(reply: Any) -> Any:
        if not isinstance(reply, pb.GetPolicyResponse):
            return reply
        if isinstance(answer, UnseenError):
            raise answer
        return answer

    return bend


def resigned(receipt: bytes) -> bytes:
    """A receipt that says the same, signed by another server."""
    return Receipt.from_signed(receipt)[0].signed(IMPOSTOR.public_key, IMPOSTOR.sign).to_bytes()


def other_policy(reply: Any, **changes: Any) -> bytes:
    """The terms changed and signed by somebody who is not the controller."""
    shown = Policy.from_signed(reply.policy.policy)[0]
    return replace(shown, **changes).signed(CONTROLLER.public_key, CONTROLLER.sign).to_bytes()


@pytest.mark.parametrize(
    ("policy", "error"),
    [
        (lambda reply: other_policy(reply, contact="mailto:other@example.org"), Mismatch),
        (lambda reply: other_policy(reply, collection_uid=bytes(16)), Mismatch),
        (lambda reply: reply.policy.policy.replace(b"Example Hospital", b"Another Hospital"), ProofBroken),
        (lambda reply: b"{}", InvalidDocument),
    ],
    ids=["changed and signed by another", "another collection's", "changed", "empty"],
)
def test_a_policy_that_the_controller_did_not_sign_is_not_shown_as_one(
    liar: Liar, governed: str, policy: Callable[[Any], bytes], error: type[Exception]
) -> None:
    def bend(reply: Any) -> Any:
        if isinstance(reply, pb.GetPolicyResponse):
            return pb.GetPolicyResponse(policy=pb.PolicyVersion(policy=policy(reply), receipt=reply.policy.receipt))
        return reply

    assert liar(policies.get(liar.session, governed)).accepted
    with pytest.raises(error):
        liar(policies.get(liar.session, governed), bend)


def test_receipts_of_another_key_and_of_other_acts_are_refused(liar: Liar, governed: str) -> None:
    def swapped(reply: Any) -> Any:
        if isinstance(reply, pb.GetPolicyResponse):
            receipt = resigned(reply.policy.receipt)
            return pb.GetPolicyResponse(policy=pb.PolicyVersion(policy=reply.policy.policy, receipt=receipt))
        return reply

    with pytest.raises(ProofBroken, match=fingerprint(IMPOSTOR.public_key)):
        liar(policies.get(liar.session, governed), swapped)
    kept: dict[str, bytes] = {}

    def another(reply: Any) -> Any:
        if isinstance(reply, pb.GetPolicyResponse):
            kept["receipt"] = reply.policy.receipt
        if isinstance(reply, pb.RecordConsentResponse):
            return pb.RecordConsentResponse(receipt=kept["receipt"])
        return reply

    validity = consents.Validity(None, None, "", "en")
    with pytest.raises(Mismatch, match="something else"):
        liar(consents.record(liar.session, governed, "ben", validity), another)


def test_a_further_key_of_the_server_is_not_believed_and_the_true_server_is_still_known(
    liar: Liar, governed: str, server: RealServer, home: Path
) -> None:
    def another_key(reply: Any) -> Any:
        if isinstance(reply, GetServerInfoResponse):
            reply.signing_keys.append(IMPOSTOR.public_key)
        return reply

    with pytest.raises(LogWentBack, match="nothing vouches for"):
        liar(policies.get(liar.session, governed), another_key)
    with Client(server.address, home=home) as client:
        assert client.policy(governed).accepted
    assert liar.session.receipts is not None
    assert IMPOSTOR.public_key not in liar.session.receipts.public_keys


def test_an_older_version_shown_as_the_one_in_force_is_noticed(liar: Liar, client: Client, governed: str) -> None:
    old: list[Any] = []

    def keep(reply: Any) -> Any:
        if isinstance(reply, pb.GetPolicyResponse):
            old.append(reply)
        return reply

    liar(policies.get(liar.session, governed), keep)
    client.set_policy(governed, terms(retention_days=30))

    def show_old(reply: Any) -> Any:
        return old[0] if isinstance(reply, pb.GetPolicyResponse) else reply

    collection = client.collection(governed)
    with pytest.raises(Mismatch, match=r"version 1 .* version 2"):
        liar(policies.require_accepted(liar.session, collection), show_old)
    trusted = client.policy(governed).fingerprint
    for new_key in (None, trusted):  # to name the key that is trusted anyway is no way around
        with pytest.raises(Mismatch, match=r"version 1 .* version 2 .* set the terms again until they are version 2"):
            liar(policies.accept(liar.session, governed, new_key), show_old)


def test_what_came_into_force_meanwhile_is_not_accepted_for_what_was_set(
    liar: Liar, server: RealServer, governed: str, tmp_path: Path
) -> None:
    """Between setting and asking another steward sets a version, or the server shows one: neither is this device's."""
    key = liar.session.controller_keys.get("controller").key.public_key
    folder = tmp_path / "other"
    ControllerKeys(folder).make("theirs")

    def between(reply: Any) -> Any:
        if isinstance(reply, pb.SetPolicyResponse):
            with Client(server.address, home=folder) as other:
                other.set_policy(governed, terms(retention_days=9), key="theirs")
        return reply

    with pytest.raises(Mismatch, match="came into force meanwhile"):
        liar(policies.set_policy(liar.session, governed, terms(retention_days=30), "controller"), between)
    collection = liar.session.known(governed)
    assert collection is not None
    agreed = liar.session.agreements.of(collection.uid)
    assert agreed is not None
    assert (agreed.controller_key, [one.version for one in agreed.accepted]) == (key, [1])
    shown: list[Any] = []

    def stale(reply: Any) -> Any:
        if isinstance(reply, pb.GetPolicyResponse):
            shown.append(reply)
            return shown[0]
        return reply

    with pytest.raises(Mismatch, match="came into force meanwhile"):
        liar(policies.set_policy(liar.session, governed, terms(retention_days=30), "controller"), stale)
    assert liar.session.agreements.of(collection.uid) == agreed


def test_a_device_that_forgot_what_it_accepted_accepts_again_first(liar: Liar, client: Client, governed: str) -> None:
    collection = client.collection(governed)
    assert liar(policies.require_accepted(liar.session, collection)).accepted
    (liar.session.home / "agreements" / f"{collection.uid.hex()}.json").unlink()
    with pytest.raises(PolicyNotAccepted):
        liar(policies.require_accepted(liar.session, collection))


def test_a_device_to_which_an_agreement_is_new_sends_no_row_before_it_accepted(
    liar: Liar, client: Client, governed: str
) -> None:
    """What the agreement asks of devices, noise for one, would else come too late: the server had the vectors."""
    client.set_policy(governed, terms(noise={"mechanism": "privunit", "max_epsilon": "64"}))
    agreements = liar.session.home / "agreements"
    for path in agreements.iterdir():
        path.unlink()
    for given in (consents.NOTHING, consents.Given("anna", None, None), consents.Given("anna", None, "research")):
        with pytest.raises(PolicyNotAccepted):
            liar(enrol.enrol_vectors(liar.session, governed, ["a"], np.eye(1, 16, dtype=np.float32), None, None, given))
    assert "EnrolRows" not in liar.called
    assert client.count(governed) == 0


@pytest.mark.parametrize("answer", [pb.GetPolicyResponse(), PolicyNotFound("none")], ids=["without one", "not found"])
def test_a_device_that_accepted_an_agreement_sends_no_row_when_it_is_said_to_be_gone(
    liar: Liar, governed: str, answer: pb.GetPolicyResponse | UnseenError
) -> None:
    with pytest.raises(PolicyNotFound):
        liar(enrol.enrol_vectors(liar.session, governed, *ONE_ROW), answered_with(answer))
    assert "EnrolRows" not in liar.called


def test_a_server_that_keeps_a_log_is_not_believed_to_know_no_agreements(liar: Liar, client: Client, name: str) -> None:
    """Something on the way that lets some methods through only would else keep what an agreement asks from a device."""
    client.create_collection(name, dimension=16)
    unknown = MethodUnknown("does not speak this release's contract")
    with pytest.raises(MethodUnknown):
        liar(enrol.enrol_vectors(liar.session, name, *ONE_ROW), answered_with(unknown))
    assert "EnrolRows" not in liar.called


@pytest.mark.parametrize(
    "change", [{"rows": 9}, {"request_id": bytes(16)}, {"collection_uid": bytes(16)}], ids=["rows", "request", "uid"]
)
def test_a_certificate_for_something_else_is_refused(liar: Liar, governed: str, change: dict[str, Any]) -> None:
    def bend(reply: Any) -> Any:
        if isinstance(reply, pb.EraseSubjectResponse):
            true = ErasureCertificate.from_signed(reply.certificate)[0]
            forged = replace(true, **change).signed(IMPOSTOR.public_key, IMPOSTOR.sign).to_bytes()
            return pb.EraseSubjectResponse(certificate=forged, epoch=reply.epoch)
        return reply

    with pytest.raises(ProofBroken, match="erasure certificate"):
        liar(rights.erase_subject(liar.session, governed, "anna"), bend)


def test_a_certificate_of_an_earlier_erasure_is_not_taken_for_this_one(
    liar: Liar, client: Client, governed: str
) -> None:
    earlier = client.erase_subject(governed, "ben")

    def replay(reply: Any) -> Any:
        if isinstance(reply, pb.EraseSubjectResponse):
            return pb.EraseSubjectResponse(certificate=earlier.signed, epoch=reply.epoch)
        return reply

    with pytest.raises(Mismatch, match="another request"):
        liar(rights.erase_subject(liar.session, governed, "anna"), replay)


def test_a_withdrawal_of_another_consent_is_not_taken_for_this_one(liar: Liar, client: Client, governed: str) -> None:
    first, second = (client.record_consent(governed, "ben") for _ in range(2))
    assert client.withdraw_consent(governed, consent=first) == 0

    def swapped(reply: Any) -> Any:
        if isinstance(reply, pb.WithdrawConsentResponse):
            return pb.WithdrawConsentResponse(receipt=reply.receipt, epoch=reply.epoch, consent=first.to_bytes())
        return reply

    with pytest.raises(Mismatch, match="another consent"):
        liar(consents.withdraw(liar.session, governed, None, second), swapped)


@pytest.mark.parametrize("text", ["\x1b]0;title\x07", "two\nlines", "\u202egrant", "x" * 2001])
@pytest.mark.parametrize(
    ("asked", "field"),
    [
        (rights.holds, "reason_code"),
        (rights.holds, "set_by"),
        (rights.emergencies, "grantee"),
        (rights.emergencies, "reason_code"),
        (rights.emergencies, "granted_by"),
        (policies.history, "caller"),
    ],
)
def test_names_and_reasons_that_would_reach_the_terminal_are_plain(
    liar: Liar, client: Client, governed: str, asked: Callable[..., Flow[Any]], field: str, text: str
) -> None:
    client.set_hold(governed, "CASE-17")
    client.open_emergency(governed, "ER-1", hours=1.0)

    def bent(reply: Any) -> Any:
        for shown in (
            *getattr(reply, "holds", ()),
            *getattr(reply, "grants", ()),
            *getattr(reply, "acceptances", ()),
        ):
            setattr(shown, field, text)
        return reply

    with pytest.raises(MalformedMessage, match="on one line"):
        liar(asked(liar.session, governed), bent)
    liar(asked(liar.session, governed))


def test_a_history_without_end_is_not_read_for_ever(liar: Liar, governed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def goes_on(reply: Any) -> Any:
        if isinstance(reply, pb.GetPolicyHistoryResponse):
            del reply.acceptances[:]
            reply.acceptances.add(caller="somebody", version=1, at=1)
            reply.more = True
        return reply

    monkeypatch.setattr(policies, "MOST_PAGES", 5)
    with pytest.raises(LimitExceeded, match=r"does not end within 5 pages.*policy show"):
        liar(policies.history(liar.session, governed), goes_on)
    assert liar.called.count("GetPolicyHistory") == 5


def test_a_history_that_goes_on_with_nothing_and_one_that_begins_anew_are_refused_at_once(
    liar: Liar, governed: str
) -> None:
    shown: list[bytes] = []

    def nothing_more(reply: Any) -> Any:
        return pb.GetPolicyHistoryResponse(more=True) if isinstance(reply, pb.GetPolicyHistoryResponse) else reply

    def again(reply: Any) -> Any:
        if isinstance(reply, pb.GetPolicyHistoryResponse):
            shown.append(reply.SerializeToString())
            return pb.GetPolicyHistoryResponse.FromString(
                shown[0] + pb.GetPolicyHistoryResponse(more=True).SerializeToString()
            )
        return reply

    with pytest.raises(MalformedMessage, match="sends nothing of it"):
        liar(policies.history(liar.session, governed), nothing_more)
    liar.called.clear()
    with pytest.raises(Mismatch, match="has a gap"):
        liar(policies.history(liar.session, governed), again)
    assert liar.called.count("GetPolicyHistory") == 2
