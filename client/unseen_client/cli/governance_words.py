"""Agreements, consents and certificates as JSON has them, and as people read them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from unseen_client.governed import Agreement, ConsentStatus, Emergency, Erasure, Hold


def moment(seconds: int) -> str:
    """A moment as documents have it."""
    from unseen.governance.moments import moment_text

    return moment_text(seconds)


def agreement_fields(agreement: Agreement) -> dict[str, object]:
    """One version of a policy."""
    return {
        "policy": agreement.policy.to_document(),
        "digest": agreement.policy.digest.hex(),
        "fingerprint": agreement.fingerprint,
        "accepted": agreement.accepted,
        "known_controller": agreement.known_controller,
    }


def agreement_words(agreement: Agreement) -> str:
    """The same, every term on a line of its own."""
    policy = agreement.policy
    known = {None: "trusted by nobody here yet: compare the fingerprint", True: "the one that this device trusts"}
    lines = [
        ("version", f"{policy.version}, of {moment(policy.issued_at)}"),
        ("signed by", f"{agreement.fingerprint} ({known.get(agreement.known_controller, 'NOT the one trusted here')})"),
        ("accepted here", "yes" if agreement.accepted else "no: unseen policy accept"),
        ("controller", f"{policy.controller.name}, {policy.controller.contact}"),
        ("contact", policy.contact),
        *(("purpose", f"{purpose.id}: {purpose.description}") for purpose in policy.purposes),
        ("lawful basis", " ".join(filter(None, (policy.lawful_basis, policy.special_category_basis)))),
        ("data", "; ".join(policy.data_categories)),
        ("of", "; ".join(policy.data_subjects)),
        ("allowed uses", "; ".join(policy.allowed_uses)),
        ("recipients", "; ".join(policy.recipients)),
        ("transfers", "; ".join(policy.transfers)),
        ("kept for", "as long as the collection" if policy.retention_days is None else f"{policy.retention_days} days"),
        ("noise", "none" if policy.noise is None else f"{policy.noise.mechanism}:{policy.noise.max_epsilon}"),
        ("emergencies", "none" if policy.emergency is None else f"up to {policy.emergency.most_hours} h each"),
        ("security", "; ".join(policy.security_measures)),
    ]
    return "\n".join(f"{name:<14}{text or '-'}" for name, text in lines)


def consent_fields(status: ConsentStatus) -> dict[str, object]:
    """A consent and what became of it."""
    ended = None if status.ended_at is None else moment(status.ended_at)
    return {"consent": status.consent.to_document(), "state": str(status.state), "ended_at": ended}


def consent_line(status: ConsentStatus) -> str:
    """The same on one line."""
    consent = status.consent
    until = "until withdrawn" if consent.valid_until is None else f"until {moment(consent.valid_until)}"
    state = status.state.name.lower()
    return "\t".join(
        [
            consent.record_id.hex(),
            f"subject {consent.pii_principal_id.hex()[:12]}",
            ", ".join(sorted(consent.purposes)),
            f"since {moment(consent.event_time)} {until}",
            state if status.ended_at is None else f"{state} {moment(status.ended_at)}",
        ]
    )


def erasure_fields(erasure: Erasure) -> dict[str, object]:
    """A certificate."""
    certificate = erasure.certificate
    return {
        "request_id": certificate.request_id.hex(),
        "collection_uid": certificate.collection_uid.hex(),
        "asked": str(certificate.asked),
        "subject": None if certificate.subject is None else certificate.subject.hex(),
        "rows": certificate.rows,
        "epoch_before": certificate.epoch_before,
        "epoch_after": certificate.epoch_after,
        "erased_at": moment(certificate.erased_at),
        "destroyed_keys": list(certificate.destroyed_keys),
    }


def erasure_line(erasure: Erasure) -> str:
    """The same on one line."""
    certificate = erasure.certificate
    asked = "" if certificate.subject is None else f" {certificate.subject.hex()[:12]}"
    return f"{moment(certificate.erased_at)}\t{certificate.rows} rows erased by {certificate.asked}{asked}"


def hold_fields(hold: Hold) -> dict[str, object]:
    """A legal hold."""
    return {
        "reason_code": hold.reason_code,
        "subject": None if hold.subject is None else hold.subject.hex(),
        "set_by": hold.set_by,
        "set_at": moment(hold.set_at),
        "lifted_at": None if hold.lifted_at is None else moment(hold.lifted_at),
    }


def hold_line(hold: Hold) -> str:
    """The same on one line."""
    whose = "every row" if hold.subject is None else f"subject {hold.subject.hex()[:12]}"
    lifted = "stands" if hold.lifted_at is None else f"lifted {moment(hold.lifted_at)}"
    return f"{hold.reason_code}\t{whose}\tset {moment(hold.set_at)} by {hold.set_by}\t{lifted}"


def emergency_fields(emergency: Emergency) -> dict[str, object]:
    """Somebody who was let in."""
    return {
        "grantee": emergency.grantee,
        "reason_code": emergency.reason_code,
        "granted_by": emergency.granted_by,
        "granted_at": moment(emergency.granted_at),
        "ends_at": moment(emergency.ends_at),
        "active": emergency.active,
        "searches": emergency.searches,
    }


def emergency_line(emergency: Emergency) -> str:
    """The same on one line."""
    state = "OPEN until" if emergency.active else "ended"
    return (
        f"{emergency.reason_code}\t{emergency.grantee}, let in by {emergency.granted_by} at "
        f"{moment(emergency.granted_at)}\t{state} {moment(emergency.ends_at)}\tsearches: {emergency.searches}"
    )
