"""The calls about agreements, consents and rights of ``Client``: docs/governance.md.

Made of calls/aio by scripts/blocking_calls.py: change that and run it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import TypeAlias

from unseen.governance.consent import Consent
from unseen.governance.processing_record import Activity
from unseen_client.calls.arguments import AnyPath
from unseen_client.calls.blocking.calls import Calls
from unseen_client.calls.governance_protocol import Terms
from unseen_client.flows.consents import AnyConsent
from unseen_client.governed import (
    Acceptance,
    Agreement,
    ConsentStatus,
    Emergency,
    Erasure,
    Hold,
    SubjectExport,
)
from unseen_client.keys.controller_keys import DEFAULT_NAME as DEFAULT_KEY

History: TypeAlias = tuple[list[Agreement], list[Acceptance]]
Consents: TypeAlias = list[ConsentStatus]
Erasures: TypeAlias = list[Erasure]
Holds: TypeAlias = list[Hold]
Emergencies: TypeAlias = list[Emergency]
Activities: TypeAlias = tuple[Activity, ...]


class GovernanceCalls(Calls):
    """Part of ``Client``."""

    def policy(self, name: str, *, version: int = 0) -> Agreement:
        """The agreement of a collection: the version in force, or another one. Its signature holds.

        Raises PolicyNotFound, ProofBroken, Mismatch.
        """
        return self._drive(self._protocol.policy(name, version))

    def policy_history(self, name: str) -> History:
        """Every version of a collection's agreement and who accepted which, oldest first; raises PolicyNotFound."""
        return self._drive(self._protocol.policy_history(name))

    def set_policy(self, name: str, terms: Terms, *, key: str = DEFAULT_KEY) -> Agreement:
        """Sign terms (a mapping, or the path of a JSON file) as the next version of the agreement, and put it in force.

        ``key`` names the controller's key on this device: ``unseen policy keygen``. The first version comes before any
        row. Raises KeyMissing, InvalidDocument, PolicyRefused.
        """
        return self._drive(self._protocol.set_policy(name, terms, key))

    def accept_policy(self, name: str, *, new_key: str | None = None) -> Agreement:
        """Accept the agreement in force, and trust its controller's key if none was trusted before.

        Enrolment needs it. ``new_key``: the fingerprint of another key to trust from now on. Raises ControllerChanged.
        """
        return self._drive(self._protocol.accept_policy(name, new_key))

    def record_consent(
        self,
        name: str,
        subject: str,
        *,
        purposes: str | Sequence[str] | None = None,
        valid_for: timedelta | None = None,
        method: str = "",
        language: str = "en",
    ) -> Consent:
        """Record a data subject's consent to the agreement in force, for all of its purposes or some.

        ``subject`` is any name that you know the person by; the server gets a keyed hash of it. ``method`` says how the
        consent was asked for. Raises PolicyNotAccepted, PurposeNotAllowed.
        """
        return self._drive(self._protocol.record_consent(name, subject, purposes, valid_for, method, language))

    def withdraw_consent(self, name: str, *, subject: str | None = None, consent: AnyConsent | None = None) -> int:
        """Withdraw every consent of a subject, or one consent; gives how many rows are found no more from now on.

        The server erases them by itself soon after, unless a hold keeps them. Raises ConsentNotFound, ConsentNotValid.
        """
        return self._drive(self._protocol.withdraw_consent(name, subject, consent))

    def consents(self, name: str, *, subject: str | None = None) -> Consents:
        """The consents of a collection, or of one subject, with what became of them."""
        return self._drive(self._protocol.consents(name, subject))

    def erase_subject(self, name: str, subject: str, *, certificate: AnyPath | None = None) -> Erasure:
        """Erase every row and every consent of a data subject; gives the server's signed certificate.

        It is verified, kept on this device, and written to the new file ``certificate``. Raises InvalidInput when
        that is there, OnLegalHold: nothing was erased.
        """
        return self._drive(self._protocol.erase_subject(name, subject, certificate))

    def export_subject(self, name: str, subject: str) -> SubjectExport:
        """Everything that the server and this device hold about a data subject, records opened here."""
        return self._drive(self._protocol.export_subject(name, subject))

    def certificates(self, name: str) -> Erasures:
        """Every erasure certificate of a collection, the server's own erasures included, each one verified."""
        return self._drive(self._protocol.certificates(name))

    def set_hold(self, name: str, reason_code: str, *, subject: str | None = None) -> Hold:
        """Keep a subject's rows, or every row, from being erased until the hold is lifted.

        ``reason_code`` is a file number: letters, digits and "._/-". Raises AlreadyExists.
        """
        return self._drive(self._protocol.set_hold(name, reason_code, subject, lift=False))

    def lift_hold(self, name: str, reason_code: str) -> Hold:
        """Lift a hold; what has ended meanwhile is erased soon after. Raises NotFound."""
        return self._drive(self._protocol.set_hold(name, reason_code, None, lift=True))

    def holds(self, name: str) -> Holds:
        """Every hold of a collection, lifted ones too."""
        return self._drive(self._protocol.holds(name))

    def open_emergency(self, name: str, reason_code: str, *, hours: float = 1.0, grantee: str = "") -> Emergency:
        """Let this caller, or ``grantee``, search for the purpose "emergency" for so long; all of it is written down.

        Raises PolicyRefused where the agreement does not provide for it.
        """
        return self._drive(self._protocol.open_emergency(name, reason_code, hours, grantee))

    def end_emergency(self, name: str, *, grantee: str = "") -> Emergency:
        """End an emergency before its time."""
        return self._drive(self._protocol.end_emergency(name, grantee))

    def emergencies(self, name: str) -> Emergencies:
        """Who was let in, for which reason, until when, and how many searches were made."""
        return self._drive(self._protocol.emergencies(name))

    def processing_activities(self) -> Activities:
        """Every collection with an agreement: what the record of processing (Art. 30) is made from."""
        return self._drive(self._protocol.processing_activities())
