"""Policies: every field checked, every version in its place, one canonical form held still by a hash."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.core.governance.written import CONTROLLER, UID, policy, terms
from unseen.errors import InvalidDocument
from unseen.governance.canonical import canonical_bytes, parse_canonical
from unseen.governance.policy import Policy

SCHEMA = jsonschema.Draft202012Validator(
    json.loads((Path(__file__).parents[3] / "docs/schemas/policy.json").read_text())
)
TRIPWIRE = "0af4afad2ee677fc1a75c9efd3a0088805df7562494fc158efb0bc064da0aa37"


def test_the_form_of_a_policy_is_held_still() -> None:
    written = canonical_bytes(policy().to_document())
    assert hashlib.sha256(written).hexdigest() == TRIPWIRE, "the format changed: raise its version, see docs/formats.md"


def test_a_policy_comes_back_from_its_document_and_from_its_signature() -> None:
    first = policy()
    second = policy(previous=first, retention_days=None, noise={"mechanism": "privunit", "max_epsilon": "64"})
    for version in (first, second):
        assert Policy.from_document(parse_canonical(canonical_bytes(version.to_document()))) == version
        again, signed = Policy.from_signed(version.signed(CONTROLLER.public_key, CONTROLLER.sign).to_bytes())
        assert again == version
        assert signed.public_key == CONTROLLER.public_key
        assert bytes.fromhex(signed.digest) == version.digest
    assert (second.version, second.previous) == (2, first.digest)


def test_every_field_is_needed_and_no_other_is_taken() -> None:
    document = policy().to_document()
    for name in document:
        with pytest.raises(InvalidDocument):
            Policy.from_document({key: value for key, value in document.items() if key != name})
    with pytest.raises(InvalidDocument):
        Policy.from_document({**document, "extra": 1})


WRONG: list[dict[str, Any]] = [
    {"purposes": []},
    {"purposes": [{"id": "a", "description": "x", "type": ""}] * 2},
    {"purposes": [{"id": "emergency", "description": "x", "type": ""}]},
    {"purposes": [{"id": "No Spaces", "description": "x", "type": ""}]},
    {"purposes": [{"id": "a", "description": "", "type": ""}]},
    {"purposes": [{"id": "a", "description": "x"}]},
    {"purposes": "research"},
    {"lawful_basis": "because"},
    {"special_category_basis": "eu-gdpr:A9-2-z"},
    {"data_categories": []},
    {"data_subjects": ["a", "a"]},
    {"retention_days": 0},
    {"retention_days": -1},
    {"retention_days": True},
    {"retention_days": "365"},
    {"retention_days": 36_501},
    {"controller": None},
    {"controller": {"name": "", "contact": "x", "address": "", "representative": ""}},
    {"contact": "line\nbreak"},
    {"contact": "turned \u202e round"},
    {"contact": "x" * 2001},
    {"noise": {"mechanism": "privunit", "max_epsilon": 4}},
    {"noise": {"mechanism": "privunit", "max_epsilon": "four"}},
    {"noise": {"mechanism": "privunit", "max_epsilon": "\u0664"}},
    {"emergency": {"most_hours": 0}},
    {"emergency": {"most_hours": 169}},
    {"recipients": ["x"] * 65},
    {"allowed_uses": [1]},
]


@pytest.mark.parametrize("change", WRONG)
def test_wrong_terms_are_refused_by_name_of_the_field_and_by_the_schema(change: dict[str, Any]) -> None:
    with pytest.raises(InvalidDocument) as refused:
        policy(**change)
    assert "x" * 50 not in str(refused.value)
    assert not SCHEMA.is_valid(terms(**change))


values = (
    st.none()
    | st.booleans()
    | st.integers(-2, 40_000)
    | st.text(max_size=6)
    | st.lists(st.text(max_size=3), max_size=3)
)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(sorted(terms())), values)
@example("contact", "\n")
@example("allowed_uses", ["\n"])
def test_the_schema_and_the_parser_agree(name: str, value: object) -> None:
    change: dict[str, Any] = {name: value}
    document = terms(**change)
    try:
        policy(**change)
        accepted = True
    except InvalidDocument:
        accepted = False
    assert accepted == SCHEMA.is_valid(document)


def test_versions_name_the_one_before() -> None:
    document = policy().to_document()
    with pytest.raises(InvalidDocument):
        Policy.from_document({**document, "previous": "00" * 32})
    with pytest.raises(InvalidDocument):
        Policy.from_document({**document, "version": 2})


def test_the_digest_stands_for_every_field() -> None:
    first = policy()
    others = [
        policy(uid=bytes(16)),
        policy(contact=""),
        policy(retention_days=364),
        policy(emergency=None),
        policy(purposes=terms()["purposes"][:1]),
    ]
    assert len({one.digest for one in [first, *others]}) == 6
    assert policy(uid=UID).digest == first.digest
