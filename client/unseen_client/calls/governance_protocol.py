"""The public calls about agreements, consents and rights as flows. Does no network I/O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TypeAlias

from unseen.errors import InvalidInput
from unseen.governance.canonical import parse_object
from unseen.governance.consent import Consent
from unseen.governance.processing_record import Activity
from unseen_client.calls.arguments import AnyPath, as_path
from unseen_client.flows import consents, policies, rights
from unseen_client.flows.consents import AnyConsent, Validity
from unseen_client.flows.rows import require_new, write_certificates
from unseen_client.governed import (
    Acceptance,
    Agreement,
    ConsentStatus,
    Emergency,
    Erasure,
    Hold,
    SubjectExport,
)
from unseen_client.session import Session
from unseen_client.steps import Flow, local

Terms: TypeAlias = Mapping[str, object] | AnyPath
"""A policy's terms, or the path of a JSON file that holds them."""
HOUR_S = 3600


class GovernanceProtocol:
    """Part of ``Protocol``."""

    _session: Session

    def policy(self, name: str, version: int) -> Flow[Agreement]:
        return policies.get(self._session, name, version)

    def policy_history(self, name: str) -> Flow[tuple[list[Agreement], list[Acceptance]]]:
        return policies.history(self._session, name)

    def set_policy(self, name: str, terms: Terms, key: str) -> Flow[Agreement]:
        document = yield from local(lambda: as_terms(terms))
        return (yield from policies.set_policy(self._session, name, document, key))

    def accept_policy(self, name: str, new_key: str | None) -> Flow[Agreement]:
        return policies.accept(self._session, name, new_key)

    def record_consent(
        self,
        name: str,
        subject: str,
        purposes: str | Sequence[str] | None,
        valid_for: timedelta | None,
        method: str,
        language: str,
    ) -> Flow[Consent]:
        return consents.record(self._session, name, subject, Validity(purposes, valid_for, method, language))

    def withdraw_consent(self, name: str, subject: str | None, consent: AnyConsent | None) -> Flow[int]:
        return consents.withdraw(self._session, name, subject, consent)

    def consents(self, name: str, subject: str | None) -> Flow[list[ConsentStatus]]:
        return consents.list_all(self._session, name, subject)

    def erase_subject(self, name: str, subject: str, certificate: AnyPath | None) -> Flow[Erasure]:
        path = as_path(certificate)
        if path is not None:
            yield from local(partial(require_new, path))
        erasure = yield from rights.erase_subject(self._session, name, subject)
        if path is not None:
            yield from local(partial(write_certificates, path, [erasure.signed]))
        return erasure

    def export_subject(self, name: str, subject: str) -> Flow[SubjectExport]:
        return rights.export_subject(self._session, name, subject)

    def certificates(self, name: str) -> Flow[list[Erasure]]:
        return rights.certificates(self._session, name)

    def set_hold(self, name: str, reason_code: str, subject: str | None, lift: bool) -> Flow[Hold]:
        return rights.set_hold(self._session, name, reason_code, subject, lift)

    def holds(self, name: str) -> Flow[list[Hold]]:
        return rights.holds(self._session, name)

    def open_emergency(self, name: str, reason_code: str, hours: float, grantee: str) -> Flow[Emergency]:
        if not 0 < hours * HOUR_S < 1 << 31:
            raise InvalidInput(f"got hours={hours}; say for how long the emergency lasts")
        return rights.open_emergency(self._session, name, reason_code, int(hours * HOUR_S), grantee)

    def end_emergency(self, name: str, grantee: str) -> Flow[Emergency]:
        return rights.end_emergency(self._session, name, grantee)

    def emergencies(self, name: str) -> Flow[list[Emergency]]:
        return rights.emergencies(self._session, name)

    def processing_activities(self) -> Flow[tuple[Activity, ...]]:
        return rights.activities(self._session)


def as_terms(terms: Terms) -> Mapping[str, object]:
    """Terms as they were given, or read from a file; raises InvalidInput, InvalidDocument."""
    if isinstance(terms, Mapping):
        return terms
    try:
        return parse_object(Path(terms).read_bytes())
    except OSError as error:
        raise InvalidInput(f"cannot read {Path(terms)}: {error.strerror}; give the path of a policy's JSON") from error
