"""A right call of every method: what hostile ones are made of. Fresh ids each time: each would be carried out."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, TypeAlias

from google.protobuf.message import Message

from bench.hostile.cast import Cast
from bench.hostile.stage import FREE
from bench.right_query import right_query
from bench.terms import PURPOSE, TERMS
from unseen import params
from unseen.bearer import draw_secret, secret_hash
from unseen.entropy import random_bytes, random_uid
from unseen.governance.policy import Policy
from unseen.he.owner.layout import SIDE_BLOCKS, Layout
from unseen.he.owner.uniform import SEED_BYTES
from unseen.he.packing import Packing
from unseen.v1 import (
    access_pb2,
    audit_pb2,
    collections_pb2,
    governance_pb2,
    index_pb2,
    info_pb2,
    operations_pb2,
    search_pb2,
    types_pb2,
)

Right: TypeAlias = Callable[[Cast], Sequence[Message]]
PARAMETERS = params.DEFAULT


def search(collection: types_pb2.CollectionInfo, purpose: str) -> list[search_pb2.SearchRequest]:
    packing = Packing(PARAMETERS.ring_degree, collection.dimension, collection.packing_factor)
    return asked(collection, purpose, right_query(PARAMETERS, packing))


def owned_search(cast: Cast) -> list[search_pb2.SearchRequest]:
    return asked(cast.owned, "", _ciphertexts(layout_of(cast.owned).query_bytes))


def asked(collection: types_pb2.CollectionInfo, purpose: str, query: bytes) -> list[search_pb2.SearchRequest]:
    """A search in three messages."""
    header = search_pb2.SearchHeader(
        collection_uid=collection.uid,
        parameter_id=collection.parameter_id,
        packing_factor=collection.packing_factor,
        purpose=purpose,
    )
    half = len(query) // 2
    chunks = [search_pb2.SearchRequest(query=part) for part in (query[:half], query[half:])]
    return [search_pb2.SearchRequest(header=header), *chunks]


def enrolment(cast: Cast, collection: types_pb2.CollectionInfo, **governed: Any) -> list[index_pb2.EnrolRowsRequest]:
    header = index_pb2.EnrolHeader(
        request_id=random_uid(),
        collection_uid=collection.uid,
        parameter_id=collection.parameter_id,
        model_id="none",
        row_count=3,
        **governed,
    )
    consents = cast.consent.record_id * 3 if governed else b""
    batch = index_pb2.EnrolBatch(
        row_ids=random_bytes(48),
        vectors=3 * (b"\5\0" + bytes(2 * collection.dimension - 2)),
        sealed_records=[random_bytes(40)] * 3,
        consents=consents,
    )
    return [index_pb2.EnrolRowsRequest(header=header), index_pb2.EnrolRowsRequest(batch=batch)]


def layout_of(collection: types_pb2.CollectionInfo) -> Layout:
    return Layout.of(params.owner_by_id(collection.parameter_id), collection.dimension, collection.packing_factor)


def _ciphertexts(length: int) -> bytes:
    """Such as a server takes: whether they encrypt anything it cannot tell."""
    return random_bytes(SEED_BYTES) + b"\1" * (length - SEED_BYTES)


def block_of(collection: types_pb2.CollectionInfo, number: int) -> index_pb2.EncryptedBlock:
    ciphertexts = _ciphertexts(layout_of(collection).block_bytes(number))
    return index_pb2.EncryptedBlock(number=number, known_epoch=collection.epoch, ciphertexts=ciphertexts)


def owned_enrolment(cast: Cast) -> list[index_pb2.EnrolRowsRequest]:
    """A row into a side block that the stage left empty, so that it is refused only where another caller was first."""
    header, rows = enrolment(cast, cast.owned)
    number = 1 + random_bytes(1)[0] % (SIDE_BLOCKS - 1)
    rows.batch.vectors = b""
    rows.batch.slots.extend(layout_of(cast.owned).slots_of(number)[: len(rows.batch.sealed_records)])
    return [header, index_pb2.EnrolRowsRequest(block=block_of(cast.owned, number)), rows]


def owned_erasure(cast: Cast) -> list[index_pb2.EraseRowsRequest]:
    return [
        index_pb2.EraseRowsRequest(
            request_id=random_uid(),
            collection_uid=cast.owned.uid,
            row_ids=cast.owned_row[0],
            block=block_of(cast.owned, layout_of(cast.owned).block_of(cast.owned_row[1])),
        )
    ]


def _governed(cast: Cast) -> dict[str, Any]:
    return {"policy_digest": cast.policy.digest, "purposes": [PURPOSE]}


def _token(cast: Cast) -> Message:
    access = access_pb2.Access(tenant="rogue", name="friend", roles=["reader"], every_collection=True)
    return access_pb2.CreateTokenRequest(
        request_id=random_uid(),
        access=access,
        allowance=access_pb2.Allowance(calls_at_once=4),
        expires_at_s=int(time.time()) + 3600,
        secret_hash=secret_hash(draw_secret()),
    )


def _next_policy(cast: Cast) -> bytes:
    later = Policy.from_terms(
        dict(TERMS), collection_uid=cast.agreed.uid, previous=cast.policy, issued_at=int(time.time())
    )
    return later.signed(cast.key.public_key, cast.key.sign).to_bytes()


def _new_consent(cast: Cast) -> bytes:
    """Of somebody new, to the agreement as it stands."""
    return replace(
        cast.consent,
        record_id=random_uid(),
        pii_principal_id=random_uid(),
        privacy_notice=cast.policy.digest,
        policy_version=cast.policy.version,
    ).to_bytes()


def _asking(kind: type[Any], **fields: Any) -> Right:
    """A message about the agreed collection; fields may be functions of the cast."""
    return lambda cast: [
        kind(
            collection_uid=cast.agreed.uid,
            **{name: value(cast) if callable(value) else value for name, value in fields.items()},
        )
    ]


def _changing(kind: type[Any], **fields: Any) -> Right:
    """The same for a mutation."""
    return _asking(kind, request_id=lambda _: random_uid(), **fields)


def _replacing(uid: bytes, replaced_uid: bytes) -> Message:
    return collections_pb2.ReplaceCollectionRequest(
        request_id=random_uid(), collection_uid=uid, replaced_uid=replaced_uid, name="renamed"
    )


_G = governance_pb2
RIGHT: dict[str, tuple[Right, ...]] = {
    "InfoService/GetServerInfo": (lambda _: [info_pb2.GetServerInfoRequest()],),
    "CollectionService/CreateCollection": (
        lambda _: [
            collections_pb2.CreateCollectionRequest(
                request_id=random_uid(), name="made", dimension=8, parameter_id=PARAMETERS.id, model_id="none"
            )
        ],
    ),
    "CollectionService/GetCollection": (lambda _: [collections_pb2.GetCollectionRequest(name=FREE)],),
    "CollectionService/ListCollections": (lambda _: [collections_pb2.ListCollectionsRequest()],),
    "CollectionService/DeleteCollection": (
        lambda cast: [collections_pb2.DeleteCollectionRequest(request_id=random_uid(), collection_uid=cast.foreign[0])],
        lambda cast: [collections_pb2.DeleteCollectionRequest(request_id=random_uid(), collection_uid=cast.made)],
    ),
    "CollectionService/ReplaceCollection": (
        lambda cast: [_replacing(cast.foreign[2], cast.owned.uid)],
        lambda cast: [_replacing(cast.owned.uid, random_uid())],  # gone already, so it takes the name alone
    ),
    "IndexService/EnrolRows": (
        lambda cast: enrolment(cast, cast.free),
        lambda cast: enrolment(cast, cast.agreed, **_governed(cast)),
        owned_enrolment,
    ),
    "IndexService/EraseRows": (
        lambda cast: [
            index_pb2.EraseRowsRequest(
                request_id=random_uid(), collection_uid=cast.free.uid, row_ids=cast.foreign[-1] + random_uid()
            )
        ],
        lambda cast: [
            index_pb2.EraseRowsRequest(
                request_id=random_uid(), collection_uid=cast.free.uid, row_ids=b"".join(cast.row_ids[:2])
            )
        ],
        owned_erasure,
    ),
    "IndexService/SyncCatalogue": (
        lambda cast: [index_pb2.SyncCatalogueRequest(collection_uid=cast.free.uid, since_epoch=1)],
        _asking(index_pb2.SyncCatalogueRequest),
    ),
    "SearchService/Search": (
        lambda cast: search(cast.free, ""),
        lambda cast: search(cast.agreed, PURPOSE),
        owned_search,
    ),
    "AccessService/GetAccess": (lambda _: [access_pb2.GetAccessRequest(collection_name=FREE)],),
    "AccessService/CreateToken": (lambda cast: [_token(cast)],),
    "AccessService/ListTokens": (lambda _: [access_pb2.ListTokensRequest()],),
    "AccessService/RevokeToken": (
        lambda _: [access_pb2.RevokeTokenRequest(request_id=random_uid(), token_uid=random_uid())],
    ),
    "AuditService/GetTreeHead": (lambda _: [audit_pb2.GetTreeHeadRequest(known_size=1)],),
    "AuditService/ProveInclusion": (lambda _: [audit_pb2.ProveInclusionRequest(index=1)],),
    "AuditService/ExportLeaves": (
        lambda _: [audit_pb2.ExportLeavesRequest(first_index=1, since_ms=int(time.time() * 1000))],
    ),
    "OperatorService/GetStatus": (lambda _: [operations_pb2.GetStatusRequest()],),
    "OperatorService/CreateBackup": (lambda _: [operations_pb2.CreateBackupRequest()],),
    "GovernanceService/SetPolicy": (_changing(_G.SetPolicyRequest, policy=_next_policy),),
    "GovernanceService/GetPolicy": (_asking(_G.GetPolicyRequest, version=1),),
    "GovernanceService/AcceptPolicy": (
        _changing(_G.AcceptPolicyRequest, policy_digest=lambda cast: cast.policy.digest),
    ),
    "GovernanceService/GetPolicyHistory": (_asking(_G.GetPolicyHistoryRequest),),
    "GovernanceService/RecordConsent": (_changing(_G.RecordConsentRequest, consent=_new_consent),),
    "GovernanceService/WithdrawConsent": (
        _changing(_G.WithdrawConsentRequest, record_id=lambda _: random_uid()),
        _changing(_G.WithdrawConsentRequest, record_id=lambda cast: cast.later.record_id if cast.has_later else b""),
    ),
    "GovernanceService/ListConsents": (_asking(_G.ListConsentsRequest, subject=lambda cast: cast.subject),),
    "GovernanceService/EraseSubject": (_changing(_G.EraseSubjectRequest, subject=lambda cast: cast.subject),),
    "GovernanceService/ExportSubject": (_asking(_G.ExportSubjectRequest, subject=lambda cast: cast.subject),),
    "GovernanceService/ListCertificates": (_asking(_G.ListCertificatesRequest),),
    "GovernanceService/SetHold": (
        _changing(_G.SetHoldRequest, reason_code="CASE-1"),
        _changing(_G.SetHoldRequest, reason_code="CASE-1", lift=True),
    ),
    "GovernanceService/ListHolds": (_asking(_G.ListHoldsRequest),),
    "GovernanceService/BreakGlass": (
        _changing(_G.BreakGlassRequest, reason_code="CASE-1", seconds=60),
        _changing(_G.BreakGlassRequest, end=True),
    ),
    "GovernanceService/ListBreakGlass": (_asking(_G.ListBreakGlassRequest),),
}
"""By method: what would be answered, or refused for one reason of the caller's own (a foreign uid, no such row)."""
