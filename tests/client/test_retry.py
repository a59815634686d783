"""Asking again: for so long and no longer, ever more slowly, the same bytes, and only where it makes sense."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unseen.errors import (
    AuditUnavailable,
    CollectionNotFound,
    DeadlineExceeded,
    LimitExceeded,
    MalformedMessage,
    PackingChanged,
    QuotaExceeded,
    ServerBusy,
    ServerUnavailable,
    StoreFailed,
)
from unseen.v1 import info_pb2
from unseen_client import rpcs
from unseen_client.retry import FIRST_PAUSE_S, LONGEST_PAUSE_S, SHORTEST_TRY_S, Patience, ask_one, pause_s
from unseen_client.steps import Exchange, Pause

REQUEST = info_pb2.GetServerInfoRequest()
REPLY = info_pb2.GetServerInfoResponse(version="1")


class Clock:
    now_s = 0.0

    def __call__(self):
        return self.now_s


def drive(outcomes, timeout_s=30.0, seconds_each=0.0):
    """Drive one question; an outcome is an error to throw or the replies to give. Gives reply, steps and clock."""
    clock, steps = Clock(), []
    flow = ask_one(Patience(timeout_s, clock, "s:1"), rpcs.GET_SERVER_INFO, [REQUEST], info_pb2.GetServerInfoResponse)
    coming = iter(outcomes)
    step = next(flow)
    try:
        while True:
            steps.append(step)
            if isinstance(step, Pause):
                clock.now_s += step.seconds
                step = flow.send(None)
                continue
            clock.now_s += seconds_each
            outcome = next(coming)
            if isinstance(outcome, Exception):
                step = flow.throw(outcome)
            else:
                for reply in outcome:
                    step.receive(reply)
                step = flow.send(None)
    except StopIteration as done:
        return done.value, steps, clock


def test_one_answer_is_one_exchange():
    reply, steps, _ = drive([[REPLY]])
    assert reply == REPLY
    assert [type(step) for step in steps] == [Exchange]


@pytest.mark.parametrize("error", [ServerUnavailable, ServerBusy, AuditUnavailable])
def test_what_passes_is_asked_again_after_a_pause_with_the_same_bytes(error):
    reply, steps, _ = drive([error("no"), error("no"), [REPLY]])
    assert reply == REPLY
    assert [type(step) for step in steps] == [Exchange, Pause, Exchange, Pause, Exchange]
    assert steps[0].requests is steps[2].requests is steps[4].requests


@pytest.mark.parametrize("error", [ServerBusy, QuotaExceeded])
def test_the_time_that_the_server_asks_for_is_waited_and_a_little_more(error):
    for _ in range(50):
        _, steps, _ = drive([error("no", retry_after_s=8.0), [REPLY]])
        assert 8.0 <= steps[1].seconds <= 10.0


def test_waiting_longer_than_there_is_time_is_refused_at_once_with_the_time_to_wait():
    with pytest.raises(QuotaExceeded) as refused:
        drive([QuotaExceeded("full", retry_after_s=3600.0)])
    assert refused.value.retry_after_s == 3600.0
    assert "full; tried 1 times" in str(refused.value)


def test_what_no_waiting_helps_is_not_asked_again():
    with pytest.raises(QuotaExceeded, match="never"):
        drive([QuotaExceeded("never"), [REPLY]])


def test_no_answer_at_all_counts_as_cut():
    assert drive([[], [REPLY]])[0] == REPLY


def test_a_second_answer_to_a_question_that_has_one_is_refused():
    with pytest.raises(MalformedMessage, match="second"):
        drive([[REPLY, REPLY]])


@pytest.mark.parametrize("error", [CollectionNotFound, PackingChanged, LimitExceeded, StoreFailed, DeadlineExceeded])
def test_what_will_not_pass_is_raised_at_once(error):
    with pytest.raises(error, match="because"):
        drive([error("because")])


def test_replies_of_a_broken_try_are_forgotten():
    clock = Clock()
    flow = ask_one(Patience(9, clock, "s"), rpcs.GET_SERVER_INFO, [REQUEST], info_pb2.GetServerInfoResponse)
    next(flow).receive(info_pb2.GetServerInfoResponse(version="half"))
    assert isinstance(flow.throw(ServerUnavailable("cut")), Pause)
    flow.send(None).receive(REPLY)
    with pytest.raises(StopIteration) as done:
        flow.send(None)
    assert done.value.value == REPLY


@given(st.floats(0.05, 60), st.floats(0, 5), st.floats(0, 0.5))
def test_asking_ends_within_the_time_given_and_says_why_not_that_it_was_too_short(timeout_s, seconds_each, overslept_s):
    steps, clock = [], Clock()
    flow = ask_one(Patience(timeout_s, clock, "s:1"), rpcs.GET_SERVER_INFO, [REQUEST], info_pb2.GetServerInfoResponse)
    step = next(flow)
    with pytest.raises(ServerUnavailable, match=r"down; tried \d+ times in"):  # noqa: PT012 - the loop is what is driven
        while True:
            steps.append(step)
            if isinstance(step, Pause):
                clock.now_s += step.seconds + overslept_s
                step = flow.send(None)
            else:
                shortest_s = min(SHORTEST_TRY_S, timeout_s)
                assert shortest_s <= step.timeout_s <= max(timeout_s - clock.now_s, shortest_s) + 1e-9
                clock.now_s += min(seconds_each, step.timeout_s)
                step = flow.throw(ServerUnavailable("down"))
    assert clock.now_s <= timeout_s + (overslept_s + SHORTEST_TRY_S if overslept_s else 0) + 1e-9


@given(st.integers(1, 10_000))
def test_pauses_double_up_to_the_longest_and_differ(failed_tries):
    longest = min(FIRST_PAUSE_S * 2 ** min(failed_tries - 1, 30), LONGEST_PAUSE_S)
    pauses = [pause_s(failed_tries) for _ in range(20)]
    assert all(longest / 2 <= pause <= longest for pause in pauses)
    assert len(set(pauses)) > 1


def test_the_errors_own_words_are_kept_and_the_tries_counted():
    with pytest.raises(ServerUnavailable, match=r"no route; tried \d+ times in 2 s"):
        drive([ServerUnavailable("no route")] * 50, timeout_s=2)
