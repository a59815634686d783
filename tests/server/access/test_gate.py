"""The gate lets in who holds a token that stands, and nobody else; services learn who it is."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from grpc_health.v1 import health_pb2, health_pb2_grpc

from tests.key_rings import rings_beside
from tests.server.in_process import config, in_thread
from unseen.entropy import random_uid
from unseen.errors import NotAuthenticated, NotPermitted, ServerUnavailable
from unseen.store.sqlite import SqliteStore
from unseen_server import app
from unseen_server.access.gate import Entry, Gate
from unseen_server.access.grants import Grants
from unseen_server.access.signed_tokens import JwtSettings
from unseen_server.call import LOCAL, Caller, Role

Make = Callable[..., Any]
READER = Caller("ward", "alice", frozenset({Role.READER}))
CONTRIBUTOR = replace(READER, name="scanner", roles=frozenset({Role.CONTRIBUTOR}))
INFO, SEARCH = "/unseen.v1.InfoService/GetServerInfo", "/unseen.v1.SearchService/Search"


# A real server


async def test_without_any_token_this_machine_may_do_everything(running: app.RunningServer, call: Make) -> None:
    caller = call(running)
    await in_thread(caller.create)
    assert (await in_thread(caller.collection)).rows == 0
    access = (await in_thread(caller.access)).access
    assert (access.tenant, access.name, len(access.roles)) == ("", "local", len(Role))


async def test_once_a_token_was_made_every_call_but_health_needs_one(
    running: app.RunningServer, call: Make, new_grant: Make
) -> None:
    given, text = new_grant(CONTRIBUTOR)
    running.grants.add(given, random_uid())
    stranger = call(running)
    refusal = await in_thread(stranger.refusal, stranger.info)
    assert (refusal.status, refusal.code) == ("UNAUTHENTICATED", "NOT_AUTHENTICATED")
    assert "token" in refusal.message
    health = await in_thread(health_pb2_grpc.HealthStub(stranger.channel).Check, health_pb2.HealthCheckRequest())
    assert health.status == health_pb2.HealthCheckResponse.SERVING
    holder = call(running, token=text)
    await in_thread(holder.create)
    running.grants.revoke(given.uid, int(time.time()), random_uid())
    assert (await in_thread(holder.refusal, holder.info)).message.startswith("this token was revoked")
    assert (await in_thread(stranger.refusal, stranger.info)).code == "NOT_AUTHENTICATED", "never open again"


async def test_first_token_made_over_loopback_closes_the_server(running: app.RunningServer, call: Make) -> None:
    caller = call(running)
    await in_thread(caller.create_token)
    assert (await in_thread(caller.refusal, caller.info)).code == "NOT_AUTHENTICATED"


async def test_refused_caller_is_refused_before_its_message_is_read(
    running: app.RunningServer, call: Make, new_grant: Make
) -> None:
    """What is no message at all is answered with the caller's trouble, not with the message's."""
    given, text = new_grant(READER)
    running.grants.add(given, random_uid())
    for token, code in ((None, "NOT_AUTHENTICATED"), (text, "NOT_PERMITTED")):
        caller = call(running, token=token)
        refusal = await in_thread(caller.refusal, caller.raw, "CollectionService/CreateCollection", [b"\xff" * 100])
        assert refusal.code == code


async def test_issuers_token_lets_its_bearer_in(tmp_path: Path, call: Make) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    file = tmp_path / "issuer.pem"
    file.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    server = await app.start(config(tmp_path, signed_tokens=JwtSettings("https://issuer.example", "unseen", file)))
    claims = {"iss": "https://issuer.example", "aud": "unseen", "sub": "alice", "exp": int(time.time()) + 60}
    claims |= {"unseen_tenant": "ward", "unseen_roles": ["reader"]}
    holder = call(server, token=jwt.encode(claims, key, "ES256"))
    assert (await in_thread(holder.access)).access.name == "alice"
    stranger = call(server, token=jwt.encode(claims, ec.generate_private_key(ec.SECP256R1()), "ES256"))
    assert (await in_thread(stranger.refusal, stranger.info)).code == "NOT_AUTHENTICATED"
    nobody = call(server)
    assert (await in_thread(nobody.refusal, nobody.info)).code == "NOT_AUTHENTICATED", "an issuer closes loopback too"
    await server.stop()


async def test_no_token_comes_into_a_log_or_an_answer(
    running: app.RunningServer, call: Make, new_grant: Make, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    (good, good_text), (ended, ended_text) = new_grant(READER), new_grant(READER, -1)
    running.grants.add(good, random_uid())
    running.grants.add(ended, random_uid())
    strangers_text = new_grant(READER)[1]
    canaries = [good_text, ended_text, strangers_text, strangers_text[:-9], "canary-" + "x" * 60, "ey.canary.ey"]
    said = []
    for text in canaries:
        caller = call(running, token=text)
        for ask in (caller.info, caller.create):
            refusal = await in_thread(caller.refusal_if_any, ask)
            said.append(str(refusal))
    said += [caplog.text, repr(running.grants), repr(good), repr(READER)]
    for canary in canaries:
        assert not any(canary in words or canary[-20:] in words for words in said)


# The gate alone


@dataclass
class Context:
    """What the gate looks at of a call."""

    metadata: tuple[tuple[str, str], ...] = ()
    common_names: tuple[bytes, ...] | None = None

    def invocation_metadata(self) -> tuple[tuple[str, str], ...]:
        return self.metadata

    def auth_context(self) -> dict[str, Any]:
        if self.common_names is None:
            return {}
        return {"x509_pem_cert": [b"..."], "x509_common_name": list(self.common_names)}


def bearing(*values: str) -> Any:
    return Context(tuple(("authorization", value) for value in values))


@pytest.fixture
def grants(tmp_path: Path) -> Any:
    store = SqliteStore(tmp_path, rings_beside(tmp_path))
    yield Grants(store)
    store.close()


def gate_over(grants: Grants, entry: Entry = Entry.AUTO, on_loopback: bool = True) -> Gate:
    gate = Gate(entry, on_loopback, None)
    gate.open(grants)
    return gate


@pytest.mark.parametrize("entry", list(Entry))
@pytest.mark.parametrize("on_loopback", [True, False])
@pytest.mark.parametrize("given_before", [False, True])
@pytest.mark.parametrize("certificate", [False, True])
def test_who_comes_without_a_token_is_let_in_as_the_page_says(
    grants: Grants, new_grant: Make, entry: Entry, on_loopback: bool, given_before: bool, certificate: bool
) -> None:
    """Spelled out: the whole of what docs/access.md says under "Without a token"."""
    if given_before:
        grants.add(new_grant(READER)[0], random_uid())
    context: Any = Context((), (b"device-7",) if certificate else None)
    expected: Caller | None = None
    if entry is Entry.AUTO and not given_before:
        if certificate:
            expected = Caller("", "device-7", frozenset(Role))
        elif on_loopback:
            expected = LOCAL
    if entry is Entry.LOOPBACK_OPEN and on_loopback:
        expected = LOCAL
    gate = gate_over(grants, entry, on_loopback)
    if expected is None:
        with pytest.raises(NotAuthenticated):
            gate.admit(INFO, context)
    else:
        assert gate.admit(INFO, context) == expected


@pytest.mark.parametrize("entry", list(Entry))
def test_token_that_does_not_hold_is_never_overlooked(grants: Grants, new_grant: Make, entry: Entry) -> None:
    """Also where nobody needs one: who shows a token means it."""
    gate = gate_over(grants, entry)
    for value in ("Bearer ", "Bearer nonsense", f"Bearer {new_grant(READER)[1]}", "Basic YTpi", "bearer x", ""):
        with pytest.raises(NotAuthenticated):
            gate.admit(INFO, bearing(value))


def test_two_tokens_are_none(grants: Grants, new_grant: Make) -> None:
    given, text = new_grant(READER)
    grants.add(given, random_uid())
    gate = gate_over(grants)
    assert gate.admit(SEARCH, bearing(f"Bearer {text}")) == READER
    with pytest.raises(NotAuthenticated, match="one header"):
        gate.admit(SEARCH, bearing(f"Bearer {text}", f"Bearer {text}"))


def test_nobody_is_let_in_before_the_tokens_were_read() -> None:
    with pytest.raises(ServerUnavailable):
        Gate(Entry.AUTO, True, None).admit(INFO, bearing())


def test_method_that_stands_in_no_table_is_for_nobody(grants: Grants) -> None:
    with pytest.raises(NotPermitted, match="no table"):
        gate_over(grants).admit("/unseen.v1.SearchService/Peek", bearing())


def test_facts_of_tokens_are_readable_json(grants: Grants, new_grant: Make) -> None:
    """A tripwire: what lies on disks must go on being read."""
    caller = replace(READER, collections=frozenset({"scans"}))
    grants.add(new_grant(caller, made_at=1_800_000_000, made_by="head")[0], random_uid())
    content = json.loads(grants._store.facts("grant")[0].body)
    assert len(content.pop("secret_hash")) == 64
    assert content == {
        "format": 1,
        "tenant": "ward",
        "name": "alice",
        "roles": ["reader"],
        "collections": ["scans"],
        "made_at": 1_800_000_000,
        "expires_at": 1_800_086_400,
        "certificate": "",
        "made_by": "head",
        "allowance": {
            "calls_at_once": None,
            "bytes_per_minute": None,
            "searches_per_minute": None,
            "bits_per_row_per_day": None,
        },
    }
