"""A policy and a consent as somebody might write them, for every test of governance. Made up; nobody is meant."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from unseen.governance.consent import Consent
from unseen.governance.keys import KeyPair
from unseen.governance.policy import Policy

UID = bytes(range(16))
SUBJECT = bytes(range(16, 32))
RECORD = bytes(range(32, 48))
CONTROLLER = KeyPair(bytes(range(32)))
NOON = 1_767_268_800
"""2026-01-01T12:00:00Z."""

_TERMS: dict[str, Any] = {
    "controller": {
        "name": "Example Hospital",
        "contact": "mailto:privacy@example.org",
        "address": "1 Example Street, Example Town",
        "representative": "",
    },
    "contact": "mailto:dpo@example.org",
    "purposes": [
        {"id": "research", "description": "Finding similar cases for a study.", "type": "dpv:ScientificResearch"},
        {"id": "care", "description": "Finding similar cases for treatment.", "type": ""},
    ],
    "lawful_basis": "eu-gdpr:A6-1-a",
    "special_category_basis": "eu-gdpr:A9-2-a",
    "data_categories": ["vectors of de-identified images"],
    "data_subjects": ["patients"],
    "allowed_uses": ["similarity search"],
    "recipients": [],
    "transfers": [],
    "retention_days": 365,
    "security_measures": ["queries and records encrypted on the device"],
    "noise": None,
    "emergency": {"most_hours": 4},
}


def terms(**changes: Any) -> dict[str, Any]:
    """Terms of a policy, with changes."""
    return deepcopy(_TERMS) | changes


def policy(uid: bytes = UID, previous: Policy | None = None, **changes: Any) -> Policy:
    """A version of a policy."""
    return Policy.from_terms(terms(**changes), collection_uid=uid, previous=previous, issued_at=NOON)


def consent(of: Policy | None = None, **changes: Any) -> Consent:
    """A consent to it."""
    agreed = of or policy()
    fields: dict[str, Any] = {
        "record_id": RECORD,
        "pii_principal_id": SUBJECT,
        "collection_uid": agreed.collection_uid,
        "privacy_notice": agreed.digest,
        "policy_version": agreed.version,
        "purposes": frozenset({"research"}),
        "lawful_basis": agreed.lawful_basis,
        "event_time": NOON,
        "validity_duration": 3600,
        "collection_method": "paper form",
    }
    return Consent(**fields | changes)
