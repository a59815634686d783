"""Export of what is held about a subject, and emergencies that nothing about is silent."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tests.core.governance.written import SUBJECT
from tests.noise import MOST_COSINE_ERROR
from tests.server.governance.steward import NOON, OwnServer, Steward
from unseen.entropy import random_uid
from unseen.governance.consent import Consent
from unseen.governance.policy import Policy

Rows = Callable[..., tuple[Any, Any]]
Governed = Callable[..., Steward]


def test_an_export_holds_all_of_a_subject_and_nothing_of_another(governed: Governed, make_rows: Rows) -> None:
    steward = governed()
    one, gone = steward.consent(), steward.consent(purposes=frozenset({"care"}))
    other = steward.consent(pii_principal_id=bytes(16))
    _, batch = make_rows(5)
    part = slice(0, 4)
    steward.enrol(
        type(batch)(batch.row_ids[part], batch.vectors[part], batch.sealed_records[part]), [one, one, other, one]
    )
    steward.enrol(type(batch)(batch.row_ids[4:], batch.vectors[4:], batch.sealed_records[4:]), gone, ["care"])
    steward.withdraw(gone.record_id)
    steward.hold("CASE-1", SUBJECT)
    steward.hold("CASE-2", bytes(16))
    pages = steward.export(SUBJECT)
    consents = {Consent.from_bytes(entry.consent): entry for page in pages for entry in page.consents}
    assert set(consents) == {one, gone}
    assert (consents[gone].state, consents[gone].ended_at) == ("dpv:ConsentWithdrawn", NOON)
    rows = {row.entry.row_id: row for page in pages for row in page.rows}
    assert set(rows) == {batch.row_ids[at] for at in (0, 1, 3, 4)}
    for at in (0, 1, 3, 4):
        row = rows[batch.row_ids[at]]
        assert row.entry.sealed_record == batch.sealed_records[at]
        assert (row.withheld, list(row.purposes)) == ((at == 4), ["care"] if at == 4 else ["research"])
        assert row.record_id == (gone if at == 4 else one).record_id
    assert [hold.reason_code for page in pages for hold in page.holds] == ["CASE-1"]
    assert [Policy.from_signed(one.policy)[0].version for page in pages for one in page.policies] == [1]


def test_an_export_of_nobody_is_empty(governed: Governed) -> None:
    (page,) = governed().export(bytes(16))
    assert not page.rows
    assert not page.consents


# Emergencies


def test_an_emergency_opens_every_compartment_for_its_time_and_counts_every_search(
    own_server: OwnServer, governed: Governed, make_rows: Rows
) -> None:
    steward = governed()
    given = steward.consent(purposes=frozenset({"care", "research"}), validity_duration=None)
    vectors, batch = make_rows(2)
    steward.enrol(type(batch)(batch.row_ids[:1], batch.vectors[:1], batch.sealed_records[:1]), given, ["care"])
    steward.enrol(type(batch)(batch.row_ids[1:], batch.vectors[1:], batch.sealed_records[1:]), given, ["research"])
    assert steward.caller.refusal(steward.search, vectors[0], "emergency").code == "PURPOSE_NOT_ALLOWED"
    grant = steward.break_glass(reason_code="ER-2027/1", seconds=600)
    assert (grant.grantee, grant.granted_by, grant.ends_at, grant.active) == ("local", "local", NOON + 600, True)
    scores = steward.search(vectors[0], "emergency")
    assert np.isfinite(scores[[0, 2048]]).all()
    own_server.hands.pass_s(599)
    steward.search(vectors[0], "emergency")
    own_server.hands.pass_s(1)
    assert steward.caller.refusal(steward.search, vectors[0], "emergency").code == "PURPOSE_NOT_ALLOWED"
    (kept,) = steward.emergencies()
    assert (kept.searches, kept.active, kept.reason_code) == (2, False, "ER-2027/1")


def test_an_emergency_reaches_no_row_that_is_withheld(governed: Governed, make_rows: Rows) -> None:
    steward = governed()
    given = steward.consent()
    vectors, batch = make_rows(1)
    steward.enrol(batch, given)
    steward.break_glass()
    assert steward.search(vectors[0], "emergency")[0] == pytest.approx(1, abs=0.02)
    steward.withdraw(given.record_id)
    assert abs(steward.search(vectors[0], "emergency")[0]) < MOST_COSINE_ERROR


def test_emergencies_end_early_and_are_remembered_after_a_restart(
    own_server: OwnServer, dial: Any, governed: Governed
) -> None:
    steward = governed()
    request_id = random_uid()
    first = steward.break_glass(request_id=request_id)
    assert steward.break_glass(request_id=request_id) == first
    ending = {"request_id": random_uid(), "end": True}
    ended = steward.break_glass(**ending)
    assert (ended.active, ended.ends_at) == (False, NOON)
    other = steward.break_glass(grantee="night doctor")
    own_server.stop()
    own_server.start()
    again = Steward(dial(), steward.uid)
    assert again.emergencies() == [ended, other]
    again.break_glass()
    own_server.hands.pass_s(1)
    assert again.break_glass(**ending) == ended, "the one that was opened since stays open"
    assert [grant.active for grant in again.emergencies()] == [False, True, True]


def test_end_of_an_emergency_under_a_used_request_id_ends_nothing(governed: Governed) -> None:
    steward = governed()
    opening, ending = random_uid(), random_uid()
    steward.break_glass(request_id=opening)
    steward.break_glass(grantee="night doctor")
    steward.break_glass(request_id=ending, end=True)
    for fields in (
        {"request_id": opening, "end": True},
        {"request_id": ending, "end": True, "grantee": "night doctor"},
        {"request_id": ending},
        {"request_id": opening, "seconds": 61},
    ):
        assert steward.caller.refusal(steward.break_glass, **fields).code == "REQUEST_REPLAYED", fields
    assert [grant.active for grant in steward.emergencies()] == [False, True]


def test_a_hold_under_a_used_request_id_is_answered_again_or_refused(governed: Governed) -> None:
    steward, request_id = governed(), random_uid()
    held = steward.hold("CASE-1", SUBJECT, request_id=request_id)
    assert steward.hold("CASE-1", SUBJECT, request_id=request_id) == held
    for other in (("CASE-2", SUBJECT), ("CASE-1", bytes(16)), ("CASE-1", SUBJECT, True)):
        assert steward.caller.refusal(steward.hold, *other, request_id=request_id).code == "REQUEST_REPLAYED", other
    assert steward.holds() == [held]


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"seconds": 0}, "INVALID_INPUT"),
        ({"seconds": 4 * 3600 + 1}, "INVALID_INPUT"),
        ({"reason_code": ""}, "INVALID_INPUT"),
        ({"reason_code": "because I say so"}, "INVALID_INPUT"),
        ({"grantee": "night\ndoctor"}, "INVALID_INPUT"),
        ({"grantee": "d" * 10_000}, "INVALID_INPUT"),
        ({"end": True}, "PURPOSE_NOT_ALLOWED"),
    ],
)
def test_emergencies_that_the_agreement_does_not_provide_for_are_refused(
    governed: Governed, fields: dict[str, Any], code: str
) -> None:
    steward = governed()
    assert steward.caller.refusal(steward.break_glass, **fields).code == code
    assert steward.emergencies() == []


def test_an_agreement_without_emergencies_has_none(governed: Governed) -> None:
    steward = governed(emergency=None)
    assert steward.caller.refusal(steward.break_glass).code == "POLICY_REFUSED"


def test_status_counts_what_is_out_of_the_ordinary(own_server: OwnServer, governed: Governed) -> None:
    steward = governed()
    steward.caller.create("free")
    steward.hold("CASE-1")
    steward.hold("CASE-2", SUBJECT)
    steward.hold("CASE-2", lift=True)
    steward.break_glass()
    now = steward.caller.status().governance
    assert (now.agreements, now.holds, now.emergencies, now.clock_certain) == (1, 1, 1, True)
    own_server.hands.pass_s(3600)
    assert steward.caller.status().governance.emergencies == 0
    own_server.hands.wall_s += 10 * 365 * 86_400
    assert not steward.caller.status().governance.clock_certain
