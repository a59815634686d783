"""Quotas as a caller meets them: refused with the right code and time, nobody else's, also after a restart."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.server.in_process import config, in_thread
from unseen.audit.leaf import leaf_fields
from unseen.entropy import random_uid
from unseen.errors import QuotaExceeded, ServerBusy
from unseen.params import DEFAULT
from unseen_client import Client
from unseen_server import app
from unseen_server.call import Allowance, Caller, Role
from unseen_server.workers import ScanPlace

Make = Callable[..., Any]
EVERYBODY = Allowance(calls_at_once=2, bytes_per_minute=1 << 20, searches_per_minute=5, bits_per_row_per_day=27)
"""Three searches a day and collection: 8.8 bits each."""
ALICE = Caller("ward", "alice", frozenset(Role))


@pytest.fixture
def everybody() -> Allowance:
    return EVERYBODY


@pytest.fixture
def token(running: app.RunningServer, new_grant: Make) -> str:
    grant, text = new_grant(ALICE)
    running.grants.add(grant, random_uid())
    return str(text)


@pytest.fixture
def still(running: app.RunningServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """No time passes for what is counted by the minute: a slow machine gives nothing back."""
    now = time.monotonic()
    monkeypatch.setattr(running.quotas, "_monotonic_s", lambda: now)


ONES = np.ones(16, np.float32)


async def test_search_beyond_its_bits_is_refused_with_the_time_and_other_collections_are_not(
    running: app.RunningServer, call: Make, token: str, make_rows: Make
) -> None:
    caller = call(running, token=token)
    first, second = await in_thread(caller.create, "first"), await in_thread(caller.create, "second")
    for _ in range(3):
        await in_thread(caller.search, first, ONES)
    refusal = await in_thread(caller.refusal, caller.search, first, ONES)
    assert (refusal.status, refusal.code) == ("RESOURCE_EXHAUSTED", "QUOTA_EXCEEDED")
    used = 4 * DEFAULT.bits_per_coefficient
    assert refusal.retry_after_s == pytest.approx((used - 27) * 86400 / 27, abs=60)
    assert (await in_thread(caller.access, "first")).bits_per_row_left == 0
    assert (await in_thread(caller.access, "second")).bits_per_row_left == 27
    await in_thread(caller.search, second, ONES)


@pytest.mark.usefixtures("locked_keys")
@pytest.mark.parametrize("protection", ["sealed", "owner"])
async def test_quotas_and_the_audit_log_hold_for_either_protection(
    running: app.RunningServer, token: str, tmp_path: Path, protection: str
) -> None:
    """The client's own calls: bits about a row run out, and every act is written down with its rows."""
    address, answered = f"127.0.0.1:{running.port}", []

    def session() -> None:
        with Client(address, token=token, home=tmp_path / "home") as client:
            client.create_collection("one", dimension=16, protection=protection)
            client.enrol_vectors("one", ["a", "b"], np.eye(2, 16, dtype=np.float32))
            with pytest.raises(QuotaExceeded, match="bits"):
                answered.extend(client.search_vector("one", ONES)[0].score for _ in range(5))
            assert client.erase("one", ["a"]) == 1

    await in_thread(session)
    assert 1 <= len(answered) <= 3
    leaves = [leaf_fields(leaf) for leaf in running.audit.log_of("ward").leaves()]
    acts = [(leaf["act"], leaf["outcome"], leaf.get("rows")) for leaf in leaves]
    assert [act for act in acts if act[0] in ("EnrolRows", "EraseRows") and act[1] == "OK"] == [
        ("EnrolRows", "OK", 2),
        ("EraseRows", "OK", 1),
    ]
    assert [outcome for act, outcome, _ in acts if act == "Search"] == ["OK"] * len(answered) + ["QUOTA_EXCEEDED"]


async def test_search_that_is_sent_away_at_last_gives_nothing_away(
    running: app.RunningServer, call: Make, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its query came, too slowly for its place: no score left, so no bit is counted."""

    def no_place(place: ScanPlace) -> None:
        raise ServerBusy("too late", retry_after_s=1.0)

    caller = call(running, token=token)
    collection = await in_thread(caller.create)
    with monkeypatch.context() as patched:
        patched.setattr(running.workers, "keep_place", no_place)
        assert (await in_thread(caller.refusal, caller.search, collection, ONES)).code == "SERVER_BUSY"
    assert (await in_thread(caller.access, "photos")).bits_per_row_left == 27
    await in_thread(caller.search, collection, ONES)
    assert (await in_thread(caller.access, "photos")).bits_per_row_left < 27


@pytest.mark.usefixtures("still")
async def test_searches_and_calls_of_one_caller_are_limited_and_others_are_not(
    running: app.RunningServer, call: Make, token: str, new_grant: Make
) -> None:
    caller = call(running, token=token)
    collections = [await in_thread(caller.create, f"c{number}") for number in range(6)]
    for collection in collections[:5]:
        await in_thread(caller.search, collection, ONES)
    refusal = await in_thread(caller.refusal, caller.search, collections[5], ONES)
    assert (refusal.status, refusal.code) == ("RESOURCE_EXHAUSTED", "QUOTA_EXCEEDED")
    assert 0 < refusal.retry_after_s <= 12
    grant, other = new_grant(Caller("ward", "bob", frozenset(Role)))
    running.grants.add(grant, random_uid())
    await in_thread(call(running, token=other).search, collections[5], ONES)


async def test_third_call_of_a_caller_that_may_have_two_is_refused(
    running: app.RunningServer, call: Make, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    entered, release = threading.Semaphore(0), threading.Event()

    def slow(*request: Any) -> None:
        entered.release()
        release.wait(30)

    monkeypatch.setattr(running.engine, "for_mutation", slow)
    caller = call(running, token=token)
    under_way = [
        asyncio.create_task(in_thread(caller.refusal, caller.erase, random_uid(), [random_uid()])) for _ in range(2)
    ]
    for _ in under_way:
        assert await in_thread(entered.acquire)
    refusal = await in_thread(caller.refusal, caller.info)
    assert (refusal.status, refusal.code, refusal.retry_after_s) == ("RESOURCE_EXHAUSTED", "QUOTA_EXCEEDED", 0.5)
    release.set()
    await asyncio.gather(*under_way)
    assert len((await in_thread(caller.info)).store_uid) == 16


@pytest.mark.usefixtures("still")
async def test_bytes_are_counted_before_anybody_looks_at_them(
    running: app.RunningServer, call: Make, token: str
) -> None:
    """What is over the limit is refused for its size, whether or not it is a message."""
    caller = call(running, token=token)
    half = b"\xff" * (600 << 10)
    refusal = await in_thread(caller.refusal, caller.raw, "IndexService/EraseRows", [half])
    assert refusal.code == "MALFORMED_MESSAGE"
    refusal = await in_thread(caller.refusal, caller.raw, "IndexService/EraseRows", [half])
    assert (refusal.status, refusal.code) == ("RESOURCE_EXHAUSTED", "QUOTA_EXCEEDED")
    assert refusal.retry_after_s > 0


async def test_bits_count_on_after_a_restart(tmp_path: Path, call: Make, new_grant: Make) -> None:
    grant, text = new_grant(ALICE)
    server = await app.start(config(tmp_path, everybody=EVERYBODY))
    server.grants.add(grant, random_uid())
    caller = call(server, token=text)
    collection = await in_thread(caller.create)
    for _ in range(2):
        await in_thread(caller.search, collection, ONES)
    left = (await in_thread(caller.access, "photos")).bits_per_row_left
    await server.stop()
    server = await app.start(config(tmp_path, everybody=EVERYBODY))
    caller = call(server, token=text)
    assert (await in_thread(caller.access, "photos")).bits_per_row_left == left < 27 - 17
    await server.stop()
