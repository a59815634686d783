"""The record of processing activities (GDPR Art. 30(1)), made from the agreements that are in force.

Made on a device, for whoever has to show it. It holds what policies say and how many rows there are; no data subject.
"""

from __future__ import annotations

from dataclasses import dataclass

from unseen.governance.canonical import Json
from unseen.governance.moments import moment_text
from unseen.governance.policy import Policy

FORMAT = "unseen-record-of-processing-1"


@dataclass(frozen=True)
class Activity:
    """One collection under its agreement."""

    collection: str
    policy: Policy
    rows: int


def record_of_processing(activities: tuple[Activity, ...], made_at: int) -> dict[str, Json]:
    """The record as JSON; each entry names the letter of Art. 30(1) that it answers."""
    return {
        "format": FORMAT,
        "made_at": moment_text(made_at),
        "activities": [_entry(activity) for activity in activities],
    }


def _entry(activity: Activity) -> dict[str, Json]:
    terms = activity.policy.terms()
    return {
        "collection": activity.collection,
        "collection_uid": activity.policy.collection_uid.hex(),
        "policy_version": activity.policy.version,
        "policy_digest": activity.policy.digest.hex(),
        "rows": activity.rows,
        "controller": terms["controller"],
        "contact": terms["contact"],
        "purposes": terms["purposes"],
        "lawful_basis": terms["lawful_basis"],
        "special_category_basis": terms["special_category_basis"],
        "data_subjects": terms["data_subjects"],
        "data_categories": terms["data_categories"],
        "recipients": terms["recipients"],
        "transfers": terms["transfers"],
        "retention_days": terms["retention_days"],
        "security_measures": terms["security_measures"],
    }


def record_as_markdown(activities: tuple[Activity, ...], made_at: int) -> str:
    """The same for people."""
    parts = [f"# Record of processing activities\n\nGDPR Art. 30(1). Made {moment_text(made_at)}.\n"]
    parts += [_section(activity) for activity in activities]
    return "\n".join(parts) if activities else parts[0] + "\nNo collection has an agreement.\n"


def _section(activity: Activity) -> str:
    policy = activity.policy
    controller = "; ".join(filter(None, (policy.controller.name, policy.controller.address, policy.controller.contact)))
    rows = [
        ("(a) controller", controller),
        ("(a) representative", policy.controller.representative),
        ("(a) data protection officer", policy.contact),
        ("(b) purposes", "; ".join(_purpose(one.id, one.description, one.type) for one in policy.purposes)),
        ("(c) data subjects", "; ".join(policy.data_subjects)),
        ("(c) personal data", "; ".join(policy.data_categories)),
        ("(d) recipients", "; ".join(policy.recipients)),
        ("(e) transfers to third countries", "; ".join(policy.transfers)),
        ("(f) erased after", "the collection's end" if policy.retention_days is None else f"{policy.retention_days} d"),
        ("(g) security measures", "; ".join(policy.security_measures)),
        ("lawful basis", " and ".join(filter(None, (policy.lawful_basis, policy.special_category_basis)))),
        ("agreement", f"version {policy.version}, digest {policy.digest.hex()[:16]}"),
        ("rows", str(activity.rows)),
    ]
    table = "\n".join(f"| {name} | {_cell(text)} |" for name, text in rows)
    return f"## {activity.collection}\n\n| | |\n| --- | --- |\n{table}\n"


def _purpose(name: str, description: str, term: str) -> str:
    return f"{name}: {description}" + (f" ({term})" if term else "")


def _cell(text: str) -> str:
    """Text that cannot break out of a table: what a policy says is somebody else's."""
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;") or "none"
