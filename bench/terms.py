"""An agreement for benches: what it allows, and to nobody's loss."""

from __future__ import annotations

from collections.abc import Mapping

PURPOSE, OTHER = "research", "care"
TERMS: Mapping[str, object] = {
    "controller": {"name": "Bench", "contact": "mailto:bench@example.org", "address": "", "representative": ""},
    "contact": "",
    "purposes": [{"id": one, "description": "a bench", "type": ""} for one in (PURPOSE, OTHER)],
    "lawful_basis": "eu-gdpr:A6-1-a",
    "special_category_basis": "",
    "data_categories": ["vectors"],
    "data_subjects": ["nobody"],
    "allowed_uses": ["similarity search"],
    "recipients": [],
    "transfers": [],
    "retention_days": 365,
    "security_measures": [],
    "noise": None,
    "emergency": None,
}
