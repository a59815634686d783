"""Canaries in every field of every method, in metadata and tokens: logs, metrics, error details and leaves hold none.

A canary is a text that no code of ours contains. It is planted as text, as bytes and inside vectors and records, valid
where a valid message can carry one and in every single field of every method besides. Then everything that an operator
or an auditor sees is searched for it: as text, as hex, as base64.
"""

from __future__ import annotations

import base64
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import grpc
import numpy as np
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from tests.contract import methods_of_the_contract
from tests.ports import port_to_keep
from unseen import wire
from unseen.audit.leaf import leaf_fields
from unseen.audit.receipt import METADATA_KEY
from unseen.bearer import BearerToken, draw_secret, secret_hash
from unseen.entropy import random_uid
from unseen.types import RowBatch
from unseen.v1 import audit_pb2, audit_pb2_grpc, index_pb2

CANARY = b"canary-8d61f07a5"
"""Sixteen bytes: as long as a uid, and a valid name of a collection."""
TEXT = CANARY.decode()
NO_LIMITS = ("--auth", "loopback-open", "--searches-per-minute", "100000", "--bits-per-row-per-day", "1000000")
VECTOR = np.array([37, -41, 59, -61, 67, -71, 73, -53, 47, -43, 31, -29, 23, -19, 17, 83], np.int16)
FORMS = (
    CANARY,
    CANARY.hex().encode(),
    base64.b64encode(CANARY)[:20],
    CANARY[::-1],
    VECTOR.tobytes()[:16],
    VECTOR.tobytes()[:16].hex().encode(),
    b"37, -41, 59",
    b"37 -41 59",
)

Make = Callable[..., Any]
Metadata = tuple[tuple[str, str | bytes], ...]


@dataclass
class Sent:
    """What was tried, and every word that the server said in return."""

    tried: int = 0
    refused: int = 0
    details: list[bytes] = field(default_factory=list)


def canaries_in(data: bytes) -> list[bytes]:
    return [form for form in FORMS if form in data]


# Every field of every method


def messages_of(kind: Descriptor, collection_uid: bytes) -> Iterator[Message]:
    """Messages of a kind: one with a canary in every field, and for each field one with a canary there alone.

    And the same with uids that are right, so that what is checked behind them is reached as well.
    """
    for right in (False, True):
        yield righted(planted(kind, set()), collection_uid, right)
        for one in kind.fields:
            others = {other.name for other in kind.fields if other is not one}
            yield righted(planted(kind, others), collection_uid, right)


def righted(message: Message, collection_uid: bytes, right: bool) -> Message:
    """With the uid of a collection that is there, and a fresh request id."""
    holder = getattr(message, "header", message)
    for name, value in (("collection_uid", collection_uid), ("request_id", random_uid())):
        if right and name in holder.DESCRIPTOR.fields_by_name:
            setattr(holder, name, value)
    return message


def planted(kind: Descriptor, without: set[str]) -> Message:
    message = GetMessageClass(kind)()
    for one in kind.fields:
        if one.name not in without:
            plant(message, one)
    return message


def plant(message: Message, one: FieldDescriptor) -> None:
    if one.message_type is not None:
        if one.message_type.GetOptions().map_entry:
            getattr(message, one.name)[TEXT] = TEXT
        elif one.is_repeated:
            getattr(message, one.name).add().CopyFrom(planted(one.message_type, set()))
        else:
            getattr(message, one.name).CopyFrom(planted(one.message_type, set()))
        return
    by_type = {FieldDescriptor.TYPE_STRING: TEXT, FieldDescriptor.TYPE_BYTES: CANARY, FieldDescriptor.TYPE_BOOL: True}
    value: Any = by_type.get(one.type, 7)
    if one.is_repeated:
        getattr(message, one.name).append(value)
    else:
        setattr(message, one.name, value)


def try_every_method(
    channel: grpc.Channel, uid: bytes, sent: Sent, metadata: tuple[tuple[str, str | bytes], ...]
) -> None:
    for method in methods_of_the_contract():
        call = channel.stream_stream(f"/{method.containing_service.full_name}/{method.name}", bytes, bytes)
        for message in messages_of(method.input_type, uid):
            for stream in ([message], [message, message], []):
                listen(call(iter([one.SerializeToString() for one in stream]), timeout=60, metadata=metadata), sent)
        listen(call(iter([CANARY, CANARY]), timeout=60, metadata=metadata), sent)


def listen(call: Any, sent: Sent) -> None:
    sent.tried += 1
    try:
        list(call)
    except grpc.RpcError as error:
        sent.refused += 1
        sent.details.append((error.details() or "").encode())
    for key, value in call.trailing_metadata() or ():
        if key != METADATA_KEY:
            sent.details.append(key.encode() + b" " + (value if isinstance(value, bytes) else str(value).encode()))


# What a real client of canaries does


def live(caller: Any, make_rows: Make, enrolment_of: Make, sent: Sent) -> bytes:
    """Everything that works, and everything that nearly does; gives the uid of a collection with rows."""

    def refused(*attempt: Any, **fields: Any) -> None:
        sent.details.append(caller.refusal(*attempt, **fields).message.encode())

    collection = caller.create(TEXT)
    refused(caller.create, TEXT)
    refused(caller.create, "another", model_id=f" {TEXT}")
    refused(caller.create, "another", parameter_id=TEXT)
    vectors, batch = make_rows(3)
    holding = RowBatch((CANARY, *batch.row_ids[1:]), np.tile(VECTOR, (3, 1)), (CANARY * 4, CANARY, b"x"))
    caller.enrol(collection.uid, holding)
    refused(caller.enrol, collection.uid, holding)
    collection = caller.collection(TEXT)
    caller.search(collection, vectors[0])
    caller.sync(collection.uid)
    caller.erase(collection.uid, [CANARY])
    refused(caller.erase, collection.uid, [CANARY])
    refused(caller.collection, TEXT + TEXT)
    bad = wire.batch_to_message(holding)
    bad.vectors = bad.vectors[:-1]
    header = enrolment_of(collection.uid, holding, random_uid())[0]
    stream = [header.SerializeToString(), index_pb2.EnrolRowsRequest(batch=bad).SerializeToString()]
    refused(caller.raw, "IndexService/EnrolRows", stream)
    refused(caller.enrol, collection.uid, batch, model_id=TEXT)
    refused(caller.enrol, collection.uid, batch, parameter_id=TEXT)
    uid: bytes = collection.uid
    return uid


def exported(caller: Any) -> list[bytes]:
    """Every leaf of the caller's tenant."""
    parts = audit_pb2_grpc.AuditServiceStub(caller.channel).ExportLeaves(audit_pb2.ExportLeavesRequest(), timeout=60)
    return [leaf for part in parts for leaf in part.page.leaves]


def test_no_canary_is_found_in_logs_metrics_error_details_or_leaves(
    make_server: Make, call: Make, make_rows: Make, enrolment_of: Make
) -> None:
    address = f"127.0.0.1:{port_to_keep()}"
    server = make_server("--metrics", address, "--metrics-by-tenant", *NO_LIMITS).start()
    sent = Sent()
    local = call(server)
    collection = live(local, make_rows, enrolment_of, sent)
    try_every_method(local.channel, collection, sent, (("x-canary", TEXT), (f"{TEXT}-bin", CANARY)))
    secret = draw_secret()
    roles = ["reader", "contributor", "steward", "auditor", "operator"]
    uid = local.create_token(TEXT, roles, name=TEXT, secret_hash=secret_hash(secret))
    named = call(server, token=BearerToken(uid, secret).text())
    collection = live(named, make_rows, enrolment_of, sent)
    try_every_method(named.channel, collection, sent, ())
    stranger = call(server, token=f"unseen_{TEXT}")
    try_every_method(stranger.channel, collection, sent, ())
    assert sent.tried > 600
    assert sent.refused > 500

    with urllib.request.urlopen(f"http://{address}/metrics", timeout=30) as page:
        metrics = page.read()
    leaves = exported(local)
    stops = server.stop()
    on_disk = b"".join(path.read_bytes() for path in (server.data / "audit").rglob("*") if path.is_file())
    names = "\n".join(str(path.relative_to(server.data)) for path in (server.data / "audit").rglob("*")).encode()

    assert stops == 0
    assert canaries_in(server.log().encode()) == []
    assert canaries_in(metrics) == []
    assert sorted({said for said in sent.details if canaries_in(said)}) == []
    assert canaries_in(on_disk) == []
    assert canaries_in(names) == []
    for leaf in leaves:
        said = leaf_fields(leaf)
        for uid_field in ("collection", "request"):  # the two that a leaf names as they came: they are uids
            said.pop(uid_field, None)
        if said["who"] == TEXT:
            said.pop("who")  # a token's name, given by whoever made the token: the auditor has to know it
        assert canaries_in(repr(said).encode()) == [], said
    print(f"canaries: {sent.tried} calls, {sent.refused} refused, {len(leaves)} leaves, 0 found")
