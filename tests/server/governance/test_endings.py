"""What has ended is found no more: at once, whatever the job has done, whatever the clock does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tests.noise import MOST_COSINE_ERROR
from tests.server.governance.steward import NOON, OwnServer, Steward
from unseen.errors import InvalidConfiguration, SealBroken
from unseen.governance.moments import DAY_S
from unseen.governance.terms import ConsentState
from unseen_server.governance import facts as kinds
from unseen_server.governance.erasing import Erasing
from unseen_server.governance.facts import Facts

Rows = Callable[..., tuple[Any, Any]]
Governed = Callable[..., Steward]
YEAR_S = 366 * DAY_S


def found(steward: Steward, vectors: Any) -> list[bool]:
    """Which of these rows score as themselves, in the order of their slots."""
    return [bool(abs(steward.search(vector)[slot] - 1) < 0.02) for slot, vector in enumerate(vectors)]


def test_a_withdrawn_row_never_scores_and_is_not_mirrored_from_the_next_call_on(
    governed: Governed, make_rows: Rows
) -> None:
    steward = governed()
    kept, gone = steward.consent(), steward.consent()
    vectors, batch = make_rows(6)
    steward.enrol(batch, [kept, gone, kept, gone, kept, gone])
    epoch = steward.info().epoch
    assert found(steward, vectors) == [True] * 6
    assert steward.withdraw(gone.record_id).rows == 3
    scores = steward.search(vectors[1])
    assert np.abs(scores[[1, 3, 5]]).max() < MOST_COSINE_ERROR
    assert found(steward, vectors) == [True, False] * 3
    _, added, _ = steward.caller.sync(steward.uid)
    assert set(added) == set(batch.row_ids[::2])
    _, _, erased = steward.caller.sync(steward.uid, epoch)
    assert set(erased) == set(batch.row_ids[1::2])
    assert steward.info().rows == 3
    assert steward.states()[gone.record_id] == ConsentState.WITHDRAWN


def test_a_row_whose_consent_ended_one_second_ago_is_not_scored_though_no_job_has_run(
    own_server: OwnServer, governed: Governed, make_rows: Rows
) -> None:
    steward = governed()
    short, long = steward.consent(validity_duration=100), steward.consent(validity_duration=1000)
    vectors, batch = make_rows(2)
    steward.enrol(batch, [short, long])
    own_server.hands.pass_s(99)
    assert found(steward, vectors) == [True, True]
    own_server.hands.pass_s(1)
    assert found(steward, vectors) == [False, True]
    assert steward.states()[short.record_id] == ConsentState.EXPIRED
    own_server.hands.pass_s(900)
    assert found(steward, vectors) == [False, False]
    assert steward.info().rows == 0


def test_what_has_ended_is_erased_by_the_job_with_a_certificate_and_the_rest_stays(
    own_server: OwnServer, governed: Governed, make_rows: Rows
) -> None:
    steward = governed()
    short, long = steward.consent(validity_duration=100), steward.consent(validity_duration=None)
    vectors, batch = make_rows(4)
    steward.enrol(batch, [short, long, short, long])
    own_server.hands.pass_s(100)
    assert own_server.run_retention() == 2
    assert own_server.run_retention() == 0
    (certificate,) = steward.certificates()
    assert (certificate.asked, certificate.rows, certificate.erased_at) == ("retention", 2, NOON + 100)
    assert found(steward, vectors) == [False, True, False, True]
    assert own_server.running is not None
    assert own_server.running.store.withheld(steward.uid) == ()


def test_the_policys_retention_ends_rows_within_the_hour_before_their_time(
    own_server: OwnServer, governed: Governed, make_rows: Rows
) -> None:
    steward = governed(lawful_basis="eu-gdpr:A6-1-e", retention_days=10)
    vectors, batch = make_rows(3)
    parts = [
        type(batch)((batch.row_ids[at],), batch.vectors[at : at + 1], (batch.sealed_records[at],)) for at in range(3)
    ]
    steward.enrol(parts[0])
    own_server.hands.pass_s(3599)
    steward.enrol(parts[1])  # within the hour of the first
    own_server.hands.pass_s(1)
    steward.enrol(parts[2])
    own_server.hands.pass_s(10 * DAY_S - 3601)
    assert found(steward, vectors) == [True] * 3
    own_server.hands.pass_s(1)
    assert found(steward, vectors) == [False, False, True]
    own_server.hands.pass_s(3600)
    assert own_server.run_retention() == 3
    assert found(steward, vectors) == [False] * 3


def test_a_shorter_retention_counts_for_rows_that_are_there_and_a_longer_one_does_not(
    own_server: OwnServer, governed: Governed, make_rows: Rows
) -> None:
    steward = governed(lawful_basis="eu-gdpr:A6-1-e", retention_days=10)
    vectors, batch = make_rows(1)
    steward.enrol(batch)
    steward.set_policy(lawful_basis="eu-gdpr:A6-1-e", retention_days=None)
    steward.set_policy(lawful_basis="eu-gdpr:A6-1-e", retention_days=5)
    own_server.hands.pass_s(5 * DAY_S - 1)
    assert found(steward, vectors) == [True]
    own_server.hands.pass_s(1)
    assert found(steward, vectors) == [False]


def test_a_stop_between_a_withdrawal_and_its_rows_is_made_good_at_the_start(
    own_server: OwnServer, dial: Any, governed: Governed, make_rows: Rows
) -> None:
    steward = governed()
    given = steward.consent()
    vectors, batch = make_rows(2)
    steward.enrol(batch, given)
    assert own_server.running is not None
    content = {"record_id": given.record_id.hex(), "state": str(ConsentState.WITHDRAWN), "at": NOON}
    key = steward.uid + given.pii_principal_id
    Facts(own_server.running.store).append(kinds.CONSENT_END, key, content)
    assert found(steward, vectors) == [True, True]  # as a server that was killed right here left it
    own_server.stop()
    own_server.start()
    again = Steward(dial(), steward.uid)
    assert again.info().rows == 0
    assert found(again, vectors) == [False, False]


# Clocks


def test_a_clock_that_goes_back_ten_years_revives_nothing(
    own_server: OwnServer, dial: Any, governed: Governed, make_rows: Rows
) -> None:
    steward = governed()
    short, long = steward.consent(validity_duration=100), steward.consent(validity_duration=300)
    vectors, batch = make_rows(2)
    steward.enrol(batch, [short, long])
    own_server.hands.pass_s(100)
    assert found(steward, vectors) == [False, True]
    own_server.hands.wall_s -= 10 * YEAR_S
    assert found(steward, vectors) == [False, True]
    assert steward.caller.refusal(steward.enrol, make_rows(1)[1], short).code == "CONSENT_NOT_VALID"
    own_server.hands.steady_s += 200  # time goes on all the same
    assert found(steward, vectors) == [False, False]
    own_server.stop()
    own_server.start()
    again = Steward(dial(), steward.uid)
    assert found(again, vectors) == [False, False]
    assert set(again.states().values()) == {ConsentState.EXPIRED}


def test_a_clock_that_leaps_ten_years_ahead_stops_answers_and_loses_nothing(
    own_server: OwnServer, governed: Governed, make_rows: Rows
) -> None:
    steward = governed()
    given = steward.consent(validity_duration=3600)
    vectors, batch = make_rows(2)
    steward.enrol(batch, given)
    own_server.hands.wall_s += 10 * YEAR_S
    assert steward.caller.refusal(steward.search, vectors[0]).code == "CLOCK_UNCERTAIN"
    assert steward.caller.refusal(steward.enrol, make_rows(1)[1], given).code == "CLOCK_UNCERTAIN"
    assert own_server.run_retention() == 0
    assert steward.states() == {given.record_id: ConsentState.GIVEN}
    own_server.hands.wall_s -= 10 * YEAR_S
    assert found(steward, vectors) == [True, True]


def test_a_start_years_later_asks_whether_the_clock_is_right(
    own_server: OwnServer, dial: Any, governed: Governed, make_rows: Rows
) -> None:
    steward = governed(retention_days=None)
    vectors, batch = make_rows(1)
    steward.enrol(batch, steward.consent(validity_duration=3600))
    own_server.run_retention()
    own_server.stop()
    own_server.hands.wall_s += 2 * YEAR_S
    with pytest.raises(InvalidConfiguration, match="accept-clock"):
        own_server.start()
    own_server.start(accept_clock=True)
    again = Steward(dial(), steward.uid)
    assert again.info().rows == 0
    assert found(again, vectors) == [False]


def test_a_collection_whose_rows_cannot_be_erased_now_does_not_keep_the_job_from_the_others(
    own_server: OwnServer, governed: Governed, make_rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    stewards = [governed(name) for name in ("a", "b")]
    for steward, (_, batch) in zip(stewards, (make_rows(2), make_rows(3)), strict=True):
        given = steward.consent()
        steward.enrol(batch, given)
        steward.withdraw(given.record_id)
    true, stuck = Erasing.withheld, stewards[0].uid

    def withheld(self: Erasing, live: Any, terms: Any) -> int:
        if terms.uid == stuck:
            raise SealBroken("a row was altered")
        return true(self, live, terms)

    monkeypatch.setattr(Erasing, "withheld", withheld)
    assert own_server.run_retention() == 3
    assert [len(steward.certificates()) for steward in stewards] == [0, 1]
    monkeypatch.undo()
    assert own_server.run_retention() == 2
