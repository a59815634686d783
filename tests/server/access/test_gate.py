"""The gate lets in who holds a token that stands, and nobody else; services learn who it is."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from unseen.bearer import BearerToken, draw_secret, secret_hash
from unseen.entropy import random_uid
from unseen_server import app
from unseen_server.access.gate import Entry
from unseen_server.access.grants import Grant
from unseen_server.call import Caller, Role
from unseen_server.config import Config
from unseen_server.keys.choice import MasterKeyChoice

Make = Callable[..., Any]
DAY_S = 86400


def config(folder: Path, entry: Entry = Entry.AUTO) -> Config:
    return Config(folder / "data", "127.0.0.1", 0, MasterKeyChoice.of_file(folder / "key"), None, 1, entry)


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[app.RunningServer]:
    server = await app.start(config(tmp_path))
    yield server
    await server.stop()


def grant(caller: Caller, life_s: int = DAY_S) -> tuple[Grant, str]:
    """A grant and the text of its token."""
    token, now = BearerToken(random_uid(), draw_secret()), int(time.time())
    return Grant(token.uid, caller, now, now + life_s, secret_hash(token.secret)), token.text()


READER = Caller("ward", "alice", frozenset({Role.READER}))
CONTRIBUTOR = replace(READER, name="scanner", roles=frozenset({Role.CONTRIBUTOR}))


async def in_thread(work: Callable[..., Any], *args: Any) -> Any:
    import asyncio

    return await asyncio.to_thread(work, *args)


async def test_without_any_token_this_machine_may_do_everything(running: app.RunningServer, call: Make) -> None:
    caller = call(running)
    await in_thread(caller.create)
    assert (await in_thread(caller.collection)).rows == 0


async def test_once_a_token_was_made_every_call_but_health_needs_one(running: app.RunningServer, call: Make) -> None:
    given, text = grant(CONTRIBUTOR)
    running.grants.add(given)
    stranger = call(running)
    refusal = await in_thread(stranger.refusal, stranger.info)
    assert (refusal.status, refusal.code) == ("UNAUTHENTICATED", "NOT_AUTHENTICATED")
    assert "token" in refusal.message
    health = await in_thread(health_pb2_grpc.HealthStub(stranger.channel).Check, health_pb2.HealthCheckRequest())
    assert health.status == health_pb2.HealthCheckResponse.SERVING
    holder = call(running, token=text)
    await in_thread(holder.create)
    running.grants.revoke(given.uid, int(time.time()))
    assert (await in_thread(holder.refusal, holder.info)).message.startswith("this token was revoked")
    assert (await in_thread(stranger.refusal, stranger.info)).code == "NOT_AUTHENTICATED", "never open again"


async def test_role_decides_what_a_token_is_good_for(running: app.RunningServer, call: Make) -> None:
    (reader, reader_text), (contributor, contributor_text) = grant(READER), grant(CONTRIBUTOR)
    running.grants.add(reader)
    running.grants.add(contributor)
    await in_thread(call(running, token=contributor_text).create)
    holder = call(running, token=reader_text)
    assert (await in_thread(holder.collection)).name == "photos"
    refusal = await in_thread(holder.refusal, holder.create, "another")
    assert (refusal.status, refusal.code) == ("PERMISSION_DENIED", "NOT_PERMITTED")
