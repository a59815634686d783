"""A sample of `make hostile`: ten thousand hostile messages to a real server, and what they are made of."""

from __future__ import annotations

import asyncio
import random
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.message import DecodeError, Message
from grpc import StatusCode

from bench.hostile import __main__ as hostile
from bench.hostile import sending
from bench.hostile.attack import Attack
from bench.hostile.cast import cast_of
from bench.hostile.memory_watch import MemoryWatch
from bench.hostile.right_calls import RIGHT
from bench.hostile.sending import Sender
from bench.hostile.stage import Stage, Tokens
from bench.hostile.wire_level import at_some_level, garbage
from bench.protobuf_bytes import tag, varint
from tests.server.in_process import config
from tests.waiting import until
from unseen import params
from unseen.entropy import random_uid
from unseen.v1 import access_pb2, collections_pb2
from unseen_server import app
from unseen_server.access.table import TABLE

MESSAGES = 10_000
SEED = 1


@pytest.fixture(scope="module")
def figures() -> dict[str, Any]:
    return hostile.attacked(MESSAGES, 4, SEED)


def test_there_is_a_right_call_of_every_method() -> None:
    assert {f"/unseen.v1.{method}" for method in RIGHT} == set(TABLE)


REFUSED_FOR_A_REASON = {
    "AccessService/RevokeToken": StatusCode.NOT_FOUND,
    "GovernanceService/BreakGlass": StatusCode.FAILED_PRECONDITION,
}
"""A token that is none; an agreement without emergencies."""


def test_right_calls_are_answered(tmp_path: Path) -> None:
    """What is broken would otherwise be refused at its first field, whatever lies behind."""
    with Stage(tmp_path) as stage, grpc.insecure_channel(stage.address) as channel:
        for method, rights in RIGHT.items():
            token = stage.tokens.operator if method.startswith("OperatorService") else stage.tokens.rogue
            found = {answer_to(channel, token, method, right(cast_of(stage))) for right in rights}
            assert REFUSED_FOR_A_REASON.get(method, StatusCode.OK) in found, method
            assert found <= {StatusCode.OK, StatusCode.NOT_FOUND, REFUSED_FOR_A_REASON.get(method)}, method


def answer_to(channel: grpc.Channel, token: str, method: str, messages: Sequence[Message]) -> StatusCode:
    call = channel.stream_stream(f"/unseen.v1.{method}", lambda message: message.SerializeToString(), bytes)
    try:
        list(call(iter(messages), metadata=(("authorization", f"Bearer {token}"),), timeout=120))
    except grpc.RpcError as refusal:
        return refusal.code()
    return StatusCode.OK


def test_ten_thousand_hostile_messages_do_no_harm_and_are_refused_by_type(figures: dict[str, Any]) -> None:
    assert figures["messages"] == MESSAGES
    # How long an answer takes says nothing here, beside other tests: `make hostile` judges that.
    assert hostile.failures(figures | {"slow_count": 0}) == [], figures["wrong"]


def test_they_reach_every_method_and_many_kinds_of_refusal(figures: dict[str, Any]) -> None:
    assert figures["methods"] == len(TABLE)
    assert figures["outcomes"]["refused"] > MESSAGES / 2
    assert figures["outcomes"]["answered"] > MESSAGES / 20
    assert len(figures["codes"]) > 15


def test_a_server_that_does_not_keep_to_it_is_told_on() -> None:
    good: dict[str, Any] = {
        "alive": True,
        "exit_code": 0,
        "wrong_count": 0,
        "slow_count": 0,
        "as_before": True,
        "at_once_mib": 10.0,
        "growth_mib": 10.0,
        "failures_in_log": 0,
        "methods": len(RIGHT),
        "messages": MESSAGES,
    }
    assert hostile.failures(good) == []
    for broken in (
        {"alive": False, "exit_code": -11},
        {"exit_code": 1},
        {"wrong_count": 1},
        {"slow_count": 1},
        {"as_before": False},
        {"at_once_mib": 64.1},
        {"growth_mib": 64.1},
        {"failures_in_log": 1},
        {"methods": len(RIGHT) - 1},
    ):
        assert len(hostile.failures(good | broken)) == 1, broken


HOLDING = """
import sys, time
kept = []
for line in sys.stdin:
    held = bytearray(b"x") * int(line)
    if line.startswith("+"):
        kept.append(held)
    else:
        time.sleep(0.25)
        del held
        time.sleep(0.25)
    print(len(kept), flush=True)
"""
"""Takes so many bytes for several looks and lets go of them for as long; with a plus, keeps them."""


def asked_to_hold(process: subprocess.Popen[str], *sizes: str) -> None:
    assert process.stdin is not None
    assert process.stdout is not None
    for size in sizes:
        process.stdin.write(f"{size}\n")
        process.stdin.flush()
        process.stdout.readline()


def quiet_for_as_long(watch: MemoryWatch) -> None:
    """As many looks again, so that the last fifth of them sees nothing happen."""
    seen = watch.looks
    until("it has looked as often again", lambda: watch.looks >= 2 * seen + 10)


def test_what_a_call_takes_for_a_moment_and_what_it_leaves_are_told_apart() -> None:
    command = [sys.executable, "-c", HOLDING]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        asked_to_hold(process, "1000")
        with MemoryWatch(process.pid, every_s=0.05) as watch:
            asked_to_hold(process, *["80000000"] * 4)
            quiet_for_as_long(watch)
        assert 70 << 20 < watch.most_at_once_bytes < 100 << 20
        assert watch.grown_bytes < 20 << 20
        with MemoryWatch(process.pid, every_s=0.02) as watch:
            asked_to_hold(process, *["+4000000"] * 40)
            quiet_for_as_long(watch)
        assert watch.grown_bytes > 100 << 20
        process.kill()


@pytest.fixture
async def sender(tmp_path: Path) -> AsyncIterator[Sender]:
    """To a server that is open to its own machine, as long as there is no token."""
    server = await app.start(config(tmp_path))
    made = Sender(f"127.0.0.1:{server.port}")
    yield made
    made.close()
    await server.stop()


async def test_who_is_let_in_without_a_right_is_told_on(sender: Sender) -> None:
    nobody = Attack("InfoService/GetServerInfo", "token", "", (b"",))
    await asyncio.to_thread(sender.send, nobody)
    assert sender.tally.wrong == []
    await asyncio.to_thread(sender.send, replace(nobody, must_be_refused=True))
    assert len(sender.tally.wrong) == 1
    assert sender.tally.outcomes == {"answered": 1, "let in": 1}


async def test_a_change_that_was_slow_is_told_on_at_once_and_all_else_when_it_always_is(
    sender: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "SLOW_S", 0.0)
    request = collections_pb2.CreateCollectionRequest(
        request_id=random_uid(), name="a", dimension=8, parameter_id=params.DEFAULT.id, model_id="none"
    )
    method = "CollectionService/CreateCollection"
    for attack in (
        Attack(method, "a change", "", (request.SerializeToString(),)),
        Attack(method, "one that is refused", "", (b"",)),
        Attack("CollectionService/ListCollections", "a read", "", (b"",)),
    ):
        await asyncio.to_thread(sender.send, attack)
    assert [line.rpartition(", ")[2] for line in sender.tally.slow] == ["1 times", "3 times", "3 times"]
    assert sender.tally.outcomes == {"answered": 2, "refused": 1}


def test_who_may_call_is_who_shows_a_token_with_a_role_for_it() -> None:
    tokens = Tokens("owner", "rogue", "reader", "operator")
    assert tokens.may_call("reader", "SearchService/Search")
    assert not tokens.may_call("reader", "IndexService/EraseRows")
    assert not tokens.may_call("rogue", "OperatorService/CreateBackup")
    assert tokens.may_call("operator", "OperatorService/CreateBackup")
    assert not any(tokens.may_call(token, method) for token in ("", "Rogue", "rogueA") for method in RIGHT)


def test_what_is_broken_within_a_message_leaves_the_levels_around_it_right() -> None:
    request = access_pb2.CreateTokenRequest(access=access_pb2.Access(name="alice"), certificate="c")
    inner = []

    def seen(data: bytes, _: random.Random) -> bytes:
        inner.append(data)
        return data

    for seed in range(20):
        at_some_level(request, random.Random(seed), seen)
        broken = at_some_level(request, random.Random(seed), lambda data, _: data + tag(1000, 0) + b"\1")
        found = access_pb2.CreateTokenRequest.FromString(broken)
        assert (found.access.name, found.certificate) == ("alice", "c")
    assert access_pb2.Access(name="alice").SerializeToString() in inner
    assert request.SerializeToString() in inner


def test_tags_and_lengths_are_those_of_protobuf() -> None:
    assert (varint(0), varint(127), varint(300)) == (b"\0", b"\x7f", b"\xac\x02")
    made = tag(6, 2) + varint(5) + b"alice"
    assert access_pb2.CreateTokenRequest.FromString(made).certificate == "alice"


def test_garbage_is_mostly_none_of_the_contract() -> None:
    chance, refused = random.Random(1), 0
    for _ in range(200):
        try:
            access_pb2.CreateTokenRequest.FromString(garbage(b"", chance))
        except DecodeError:
            refused += 1
    assert refused > 100
