"""Agreements: shown, set, accepted. What the server shows is believed for its signatures only.

The server learns who asks for an agreement and who accepts which version when.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from unseen.dp.text import require_policy
from unseen.entropy import random_uid
from unseen.errors import (
    LimitExceeded,
    MalformedMessage,
    MethodUnknown,
    Mismatch,
    PolicyNotAccepted,
    PolicyNotFound,
)
from unseen.governance.certificate import Act, Receipt
from unseen.governance.fields import require_plain
from unseen.governance.policy import Policy
from unseen.types import CollectionInfo
from unseen.v1 import governance_pb2
from unseen_client import rpcs
from unseen_client.agreements import Accepted, Agreed, require_signed_by
from unseen_client.flows import collections
from unseen_client.governed import Acceptance, Agreement
from unseen_client.retry import ask_one
from unseen_client.session import Session
from unseen_client.steps import Flow, local

MOST_PAGES = 256
"""A server fills each page but the last: that is room for every version it takes, and for millions of acceptances."""


def get(session: Session, name: str, version: int = 0) -> Flow[Agreement]:
    """One version of a collection's agreement, 0 for the one in force; PolicyNotFound when there is none.

    Raises ProofBroken when a signature does not hold, Mismatch when it is another collection's.
    """
    collection = yield from collections.get(session, name)
    return (yield from of(session, collection, version))


def of(session: Session, collection: CollectionInfo, version: int = 0) -> Flow[Agreement]:
    """The same for a collection that is known."""
    request = governance_pb2.GetPolicyRequest(collection_uid=collection.uid, version=version)
    try:
        reply = yield from ask_one(session.patience, rpcs.GET_POLICY, [request], governance_pb2.GetPolicyResponse)
    except MethodUnknown:
        if (yield from signing_keys(session)):
            raise  # it keeps a log, so it keeps agreements too: something on the way does not let the question through
        raise PolicyNotFound(
            "this server is of a release without agreements, so no collection there has one; upgrade it first"
        ) from None
    if not reply.HasField("policy"):
        raise PolicyNotFound(
            f"collection {collection.name!r} has no agreement; a steward gives it one with `unseen policy set` before "
            "any row is in"
        )
    return (yield from _checked(session, collection, reply.policy))


def history(session: Session, name: str) -> Flow[tuple[list[Agreement], list[Acceptance]]]:
    """Every version, each named by the one after it, and every acceptance; nothing of a history that does not end."""
    collection = yield from collections.get(session, name)
    agreements: list[Agreement] = []
    acceptances: list[Acceptance] = []
    for _ in range(MOST_PAGES):
        request = governance_pb2.GetPolicyHistoryRequest(
            collection_uid=collection.uid, first_version=len(agreements) + 1, skipped_acceptances=len(acceptances)
        )
        page = yield from ask_one(
            session.patience, rpcs.GET_POLICY_HISTORY, [request], governance_pb2.GetPolicyHistoryResponse
        )
        for message in page.policies:
            agreements.append((yield from _next_version(session, collection, agreements, message)))
        acceptances += [_acceptance(one) for one in page.acceptances]
        if not page.more:
            return agreements, acceptances
        if not (page.policies or page.acceptances):
            raise MalformedMessage("the server says that the history goes on and sends nothing of it; do not trust it")
    raise LimitExceeded(
        f"the server's history of the agreement of {collection.name!r} does not end within {MOST_PAGES} pages; look at "
        f"one version after the other with `unseen policy show {collection.name} --version NUMBER`"
    )


def _next_version(
    session: Session, collection: CollectionInfo, before: Sequence[Agreement], message: governance_pb2.PolicyVersion
) -> Flow[Agreement]:
    agreement = yield from _checked(session, collection, message)
    previous = before[-1].policy.digest if before else None
    if (agreement.policy.version, agreement.policy.previous) != (len(before) + 1, previous):
        raise Mismatch("the server's history of this agreement has a gap: a version does not name the one before")
    return agreement


def _acceptance(message: governance_pb2.Acceptance) -> Acceptance:
    return Acceptance(require_plain(message.caller, "the name of who accepted"), message.version, message.at)


def set_policy(session: Session, name: str, terms: Mapping[str, object], key_name: str) -> Flow[Agreement]:
    """Sign terms as the next version and put them in force; this device accepts what it signed.

    Raises KeyMissing without the controller's key, InvalidDocument for terms that are none, Mismatch when another
    version came into force meanwhile: that one is not accepted.
    """
    key = yield from local(lambda: session.controller_keys.get(key_name))
    collection = yield from collections.get(session, name)
    try:
        before = (yield from of(session, collection)).policy
    except PolicyNotFound:
        before = None
    policy = Policy.from_terms(
        terms, collection_uid=collection.uid, previous=before, issued_at=int(session.wall_clock_s())
    )
    if policy.noise is not None:  # a text that no device could read would keep every device from enrolling
        require_policy(f"{policy.noise.mechanism}:{policy.noise.max_epsilon}")
    signed = policy.signed(key.key.public_key, key.key.sign)
    request = governance_pb2.SetPolicyRequest(
        request_id=random_uid(), collection_uid=collection.uid, policy=signed.to_bytes()
    )
    yield from ask_one(session.patience, rpcs.SET_POLICY, [request], governance_pb2.SetPolicyResponse)
    agreement = yield from of(session, collection)
    if (agreement.policy.digest, agreement.controller_key) != (policy.digest, key.key.public_key):
        raise Mismatch(
            f"another version of the agreement of {name!r} came into force meanwhile; look at it with "
            f"`unseen policy show {name}`, then accept it, or set yours again"
        )
    return (yield from _accept(session, collection, agreement))


def accept(session: Session, name: str, new_key: str | None) -> Flow[Agreement]:
    """Accept the version in force, and trust its controller's key if none was trusted before.

    ``new_key`` is the fingerprint of another key to trust from now on. Raises ControllerChanged for an unknown one,
    Mismatch for a version older than one that was accepted under the same key.
    """
    collection = yield from collections.get(session, name)
    agreement = yield from of(session, collection)
    agreed = yield from local(lambda: session.agreements.of(collection.uid))
    if agreed is not None and agreed.controller_key == agreement.controller_key:
        agreed.require_no_older(agreement.policy.version)
    elif agreed is not None and _digits(new_key) != _digits(agreement.fingerprint):
        agreed.require_controller(agreement.controller_key)
    return (yield from _accept(session, collection, agreement))


def require_accepted(session: Session, collection: CollectionInfo) -> Flow[Agreement]:
    """The agreement in force, which this device has accepted; PolicyNotAccepted, ControllerChanged, PolicyNotFound."""
    agreement = yield from of(session, collection)
    agreed = yield from local(lambda: session.agreements.of(collection.uid))
    if agreed is not None:
        agreed.require_controller(agreement.controller_key)
        agreed.require_no_older(agreement.policy.version)
    if not agreement.accepted:
        raise PolicyNotAccepted(
            f"version {agreement.policy.version} of the agreement of {collection.name!r} is not accepted on this "
            f"device; `unseen policy show {collection.name}`, then `unseen policy accept {collection.name}`"
        )
    return agreement


def _accept(session: Session, collection: CollectionInfo, agreement: Agreement) -> Flow[Agreement]:
    policy = agreement.policy
    request = governance_pb2.AcceptPolicyRequest(
        request_id=random_uid(), collection_uid=collection.uid, policy_digest=policy.digest
    )
    reply = yield from ask_one(session.patience, rpcs.ACCEPT_POLICY, [request], governance_pb2.AcceptPolicyResponse)
    yield from require_receipt(session, reply.receipt, Act.POLICY_ACCEPTED, collection.uid, policy.digest)
    accepted = Accepted(policy.version, policy.digest, reply.receipt.decode())
    yield from local(lambda: session.agreements.accept(collection.uid, agreement.controller_key, accepted))
    return Agreement(policy, agreement.controller_key, agreement.receipt, accepted=True, known_controller=True)


def _checked(session: Session, collection: CollectionInfo, message: governance_pb2.PolicyVersion) -> Flow[Agreement]:
    policy, signed = Policy.from_signed(message.policy)
    if policy.collection_uid != collection.uid:
        raise Mismatch(
            f"the server shows the agreement of another collection for {collection.name!r}; do not accept it"
        )
    yield from require_receipt(session, message.receipt, Act.POLICY_SET, collection.uid, policy.digest)
    agreed: Agreed | None = yield from local(lambda: session.agreements.of(collection.uid))
    known = None if agreed is None else signed.public_key == agreed.controller_key
    accepted = agreed is not None and bool(known) and agreed.has(policy.digest)
    return Agreement(policy, signed.public_key, message.receipt, accepted, known)


def require_receipt(session: Session, data: bytes, act: Act, collection_uid: bytes, about: bytes) -> Flow[Receipt]:
    """A receipt for this very act, signed by the server as this device knows it; ProofBroken or Mismatch."""
    receipt, signed = Receipt.from_signed(data)
    keys = yield from signing_keys(session)
    require_signed_by(keys, signed.public_key, "a receipt")
    if (receipt.act, receipt.collection_uid, receipt.about) != (act, collection_uid, about):
        raise Mismatch("the server's receipt is for something else than what was asked; do not trust it")
    return receipt


def signing_keys(session: Session) -> Flow[tuple[bytes, ...]]:
    """The keys that this device knows the server by: those of its audit log. None for a server that keeps no log."""
    yield from collections.server_info(session)
    book = session.receipts
    return () if book is None else (yield from local(lambda: book.public_keys))


def _digits(text: str | None) -> str:
    return "".join((text or "").lower().split())
