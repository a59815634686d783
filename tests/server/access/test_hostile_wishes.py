"""Messages of the access service that nobody should send: each is refused with a type, and none makes a token."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from google.protobuf.message import Message

from unseen.entropy import random_uid
from unseen.v1 import access_pb2
from unseen_server import limits
from unseen_server.call import Caller, Role

Make = Callable[..., Any]
SERVICE = "AccessService"
EVERYTHING = {"INVALID_INPUT", "MALFORMED_MESSAGE", "NOT_PERMITTED"}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, write_grants: Make, new_server: Make) -> Iterator[Any]:
    """A server and a token that may hand on all that its tenant has."""
    folder = tmp_path_factory.mktemp("wishes")
    text = write_grants(folder, {"": Caller("ward", "head", frozenset(Role))})[""]
    server = new_server(folder).start()
    yield server, text
    assert server.stop() == 0, server.log()


def wish(**fields: Any) -> access_pb2.CreateTokenRequest:
    access = access_pb2.Access(tenant="ward", name="x", roles=["reader"], every_collection=True)
    request = access_pb2.CreateTokenRequest(
        request_id=random_uid(), access=access, expires_at_s=int(time.time()) + 3600, secret_hash=bytes(32)
    )
    for path, value in fields.items():
        *outer, last = path.split("__")
        message: Any = request
        for name in outer:
            message = getattr(message, name)
        if isinstance(value, list):
            del getattr(message, last)[:]
            getattr(message, last).extend(value)
        else:
            setattr(message, last, value)
    return request


def wishes() -> dict[str, access_pb2.CreateTokenRequest]:
    """As they are now: some are about when a token ends."""
    now = int(time.time())
    return {
        "no request id": wish(request_id=b""),
        "a short request id": wish(request_id=bytes(15)),
        "no hash": wish(secret_hash=b""),
        "a short hash": wish(secret_hash=bytes(31)),
        "a long hash": wish(secret_hash=bytes(33)),
        "a hash and a certificate": wish(certificate="d"),
        "a certificate": wish(certificate="d", secret_hash=b""),
        "no end": wish(expires_at_s=0),
        "an end that is over": wish(expires_at_s=now - 1),
        "an end after a year": wish(expires_at_s=now + limits.MAX_TOKEN_LIFE_S + 3600),
        "an end after all times": wish(expires_at_s=(1 << 64) - 1),
        "no role": wish(access__roles=[]),
        "a role that there is not": wish(access__roles=["king"]),
        "a role in capitals": wish(access__roles=["READER"]),
        "no name": wish(access__name=""),
        "a long name": wish(access__name="x" * 129),
        "a name of two lines": wish(access__name="a\nb"),
        "a name with a null": wish(access__name="a\0b"),
        "another tenant": wish(access__tenant="lab"),
        "the first tenant": wish(access__tenant=""),
        "a tenant that cannot be": wish(access__tenant="../ward"),
        "every collection and one": wish(access__collections=["a"]),
        "no collection at all": wish(access__every_collection=False),
        "a collection that cannot be": wish(access__every_collection=False, access__collections=["A"]),
        "too many collections": wish(
            access__every_collection=False, access__collections=[f"c{at}" for at in range(101)]
        ),
        "more calls than the giver's": wish(allowance__calls_at_once=33),
        "more bits than the giver's": wish(allowance__bits_per_row_per_day=(1 << 64) - 1),
    }


@pytest.mark.parametrize("name", sorted(wishes()))
def test_wish_is_refused_and_makes_nothing(world: Any, call: Make, name: str) -> None:
    server, text = world
    caller = call(server, token=text)
    before = len(caller.tokens())
    refusal = caller.refusal(caller.raw, f"{SERVICE}/CreateToken", [wishes()[name].SerializeToString()])
    assert refusal.code in EVERYTHING, refusal
    assert len(caller.tokens()) == before


def test_most_that_may_be_wished_is_given(world: Any, call: Make) -> None:
    """The cases above fail for their own reason: their neighbour inside the limit is taken."""
    server, text = world
    caller = call(server, token=text)
    before = len(caller.tokens())
    good: list[Message] = [
        wish(),
        wish(expires_at_s=int(time.time()) + limits.MAX_TOKEN_LIFE_S),
        wish(access__name="x" * 128),
        wish(access__every_collection=False, access__collections=[f"c{at}" for at in range(100)]),
        wish(allowance__calls_at_once=32, allowance__bits_per_row_per_day=1),
        wish(access__roles=list(Role)),
    ]
    for message in good:
        caller.raw(f"{SERVICE}/CreateToken", [message.SerializeToString()])
    assert len(caller.tokens()) == before + len(good)


def test_repeated_wish_is_one_token_and_an_altered_one_is_refused(world: Any, call: Make) -> None:
    server, text = world
    caller = call(server, token=text)
    before, message = len(caller.tokens()), wish()
    replies = {caller.raw(f"{SERVICE}/CreateToken", [message.SerializeToString()])[0] for _ in range(3)}
    assert len(replies) == 1
    message.secret_hash = bytes(31) + b"\1"
    refusal = caller.refusal(caller.raw, f"{SERVICE}/CreateToken", [message.SerializeToString()])
    assert (refusal.status, refusal.code) == ("FAILED_PRECONDITION", "REQUEST_REPLAYED")
    assert len(caller.tokens()) == before + 1


def test_repeated_revocation_is_one_and_no_other_request_goes_by_its_id(world: Any, call: Make) -> None:
    server, text = world
    caller = call(server, token=text)
    revoked, standing = caller.create_token("ward"), caller.create_token("ward")
    request_id = random_uid()
    for unfit in (b"", bytes(15), bytes(17)):
        message = access_pb2.RevokeTokenRequest(request_id=unfit, token_uid=standing)
        refusal = caller.refusal(caller.raw, f"{SERVICE}/RevokeToken", [message.SerializeToString()])
        assert refusal.code == "MALFORMED_MESSAGE"
    for _ in range(2):
        caller.revoke(revoked, request_id)
    assert caller.refusal(caller.revoke, standing, request_id).code == "REQUEST_REPLAYED"
    assert caller.refusal(caller.create_token, "ward", request_id=request_id).code == "REQUEST_REPLAYED"
    found = {token.uid: token.revoked_at_s for token in caller.tokens()}
    assert (found[revoked] > 0, found[standing]) == (True, 0)
    caller.revoke(revoked)
    assert {token.uid: token.revoked_at_s for token in caller.tokens()} == found


def test_every_truncation_of_a_wish_is_refused_or_means_less(world: Any, call: Make) -> None:
    server, text = world
    caller = call(server, token=text)
    whole = wish(access__roles=["reader", "contributor"]).SerializeToString()
    before = {token.uid for token in caller.tokens()}
    for length in range(len(whole)):
        refusal = caller.refusal_if_any(caller.raw, f"{SERVICE}/CreateToken", [whole[:length]])
        assert refusal is None or refusal.code in EVERYTHING | {"REQUEST_REPLAYED"}, (length, refusal)
    for token in caller.tokens():
        if token.uid not in before:
            assert set(token.access.roles) <= {"reader", "contributor"}
            assert token.access.tenant == "ward"
