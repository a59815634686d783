"""Consents: TS 27560's fields, what fits an agreement, pseudonyms that cannot be guessed."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.core.governance.written import NOON, consent, policy
from unseen.envelope import derive_key
from unseen.errors import InvalidDocument, InvalidInput
from unseen.governance.consent import Consent
from unseen.governance.subject import pseudonym
from unseen.governance.terms import ConsentState, LawfulBasis

TRIPWIRE = "0c8c5a60a67d0fee47954f6c9f3a6d4e6f9626442272046b994b44f3b41f2f04"


def test_the_form_of_a_consent_is_held_still() -> None:
    written = consent().to_bytes()
    assert hashlib.sha256(written).hexdigest() == TRIPWIRE, "the format changed: raise its version, see docs/formats.md"


def test_a_consent_has_the_fields_of_ts_27560_that_it_needs() -> None:
    document = consent().to_document()
    assert {
        "schema_version",
        "record_id",
        "pii_principal_id",
        "privacy_notice",
        "language",
        "purposes",
        "lawful_basis",
        "collection_method",
        "withdrawal_method",
        "event",
    } <= set(document)
    event = document["event"]
    assert isinstance(event, dict)
    assert event == {
        "event_time": "2026-01-01T12:00:00Z",
        "validity_duration": "PT3600S",
        "event_state": "dpv:ConsentGiven",
    }


@given(
    st.none() | st.integers(1, 100 * 366 * 86_400),
    st.integers(0, 4_000_000_000),
    st.sets(st.sampled_from(["research", "care"]), min_size=1),
    st.sampled_from([LawfulBasis.CONSENT, LawfulBasis.PUBLIC_INTEREST]),
)
def test_a_consent_comes_back(validity: int | None, at: int, purposes: set[str], basis: LawfulBasis) -> None:
    agreed = policy(lawful_basis=str(basis))
    one = consent(agreed, validity_duration=validity, event_time=at, purposes=frozenset(purposes))
    again = Consent.from_bytes(one.to_bytes())
    assert again == one
    assert again.valid_until == (None if validity is None else at + validity)
    assert again.initial_state == (ConsentState.GIVEN if basis.is_consent else ConsentState.RECORDED)
    again.require_fits(agreed)


WRONG: list[dict[str, Any]] = [
    {"event": {"event_time": "2026-01-01T12:00:00Z", "validity_duration": "PT0S", "event_state": "dpv:ConsentGiven"}},
    {"event": {"event_time": "2026-01-01T12:00:00Z", "validity_duration": "P1D", "event_state": "dpv:ConsentGiven"}},
    {"event": {"event_time": "2026-01-01T12:00:00Z", "validity_duration": "PT01S", "event_state": "dpv:ConsentGiven"}},
    {
        "event": {
            "event_time": "2026-01-01T12:00:00Z",
            "validity_duration": "PT\u0663S",
            "event_state": "dpv:ConsentGiven",
        }
    },
    {"event": {"event_time": "2026-01-01T12:00:00Z", "validity_duration": None, "event_state": "dpv:ConsentWithdrawn"}},
    {"event": {"event_time": "tomorrow", "validity_duration": None, "event_state": "dpv:ConsentGiven"}},
    {"event": None},
    {"purposes": []},
    {"purposes": ["research", "research"]},
    {"purposes": ["Research!"]},
    {"lawful_basis": "consent"},
    {"record_id": "00"},
    {"pii_principal_id": "Anna"},
    {"policy_version": 0},
    {"language": "english please"},
    {"schema_version": "unseen-consent-0"},
    {"extra": ""},
]


@pytest.mark.parametrize("change", WRONG)
def test_a_consent_with_a_wrong_field_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(InvalidDocument):
        Consent.from_document({**consent().to_document(), **change})


def test_a_consent_fits_only_the_agreement_it_was_given_to() -> None:
    agreed = policy()
    given_to = consent(agreed)
    given_to.require_fits(agreed)
    for other in (
        policy(uid=bytes(16)),
        policy(contact=""),
        policy(previous=agreed),
        policy(lawful_basis="dpv:Consent"),
    ):
        with pytest.raises(InvalidDocument):
            given_to.require_fits(other)
    with pytest.raises(InvalidDocument):
        replace(given_to, purposes=frozenset({"research", "marketing"})).require_fits(agreed)


def test_a_consent_ends_with_the_first_second_after_its_validity() -> None:
    assert consent(validity_duration=1).valid_until == NOON + 1
    assert consent(validity_duration=None).valid_until is None


# Pseudonyms


def test_a_pseudonym_is_a_keyed_hash_of_its_own_kind() -> None:
    key = bytes(range(32))
    expected = hmac.new(derive_key(key, b"unseen/subject"), "Änne".encode(), hashlib.sha256).digest()[:16]
    assert pseudonym(key, "Änne") == expected


def test_a_pseudonym_says_nothing_across_collections_and_differs_from_a_row_id() -> None:
    from unseen_client.records import row_id

    one, other = bytes(32), bytes([1]) * 32
    assert pseudonym(one, "anna") != pseudonym(other, "anna")
    assert pseudonym(one, "anna") != pseudonym(one, "anna ")
    assert pseudonym(one, "anna") != row_id(one, "anna")


@pytest.mark.parametrize("subject", ["", "x" * 513, None, 7, b"anna"])
def test_what_names_nobody_is_refused_without_being_repeated(subject: object) -> None:
    with pytest.raises(InvalidInput) as refused:
        pseudonym(bytes(32), subject)
    assert "anna" not in str(refused.value)
