"""Words that others have standardised, as our documents use them. Code compares these, never free text.

Sources: W3C Data Privacy Vocabulary 2.0 (prefixes ``dpv``, ``eu-gdpr``), ISO/IEC TS 27560:2023 for the names of the
fields of a consent record, GDPR Art. 6(1) and 9(2) for lawful bases.
"""

from __future__ import annotations

import re
from enum import StrEnum

EMERGENCY = "emergency"
"""The purpose of a query under break-glass; no policy may use the word for a purpose of its own."""
PURPOSE_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")
"""What a query names: short, and nothing that needs quoting anywhere."""
REASON_CODE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,63}")
"""A file number or a ticket: it stands in errors and logs, so it may hold no prose."""


class LawfulBasis(StrEnum):
    """Why a collection may be processed at all: GDPR Art. 6(1), by their names in ``eu-gdpr``; or consent elsewhere."""

    CONSENT = "eu-gdpr:A6-1-a"
    CONSENT_OTHER_LAW = "dpv:Consent"
    CONTRACT = "eu-gdpr:A6-1-b"
    LEGAL_OBLIGATION = "eu-gdpr:A6-1-c"
    VITAL_INTEREST = "eu-gdpr:A6-1-d"
    PUBLIC_INTEREST = "eu-gdpr:A6-1-e"
    LEGITIMATE_INTEREST = "eu-gdpr:A6-1-f"

    @property
    def is_consent(self) -> bool:
        """Whether a row needs a consent of its data subject."""
        return self in {LawfulBasis.CONSENT, LawfulBasis.CONSENT_OTHER_LAW}


class SpecialCategoryBasis(StrEnum):
    """What lifts the ban on health, biometric and other special data: GDPR Art. 9(2); NONE where there are none."""

    NONE = ""
    EXPLICIT_CONSENT = "eu-gdpr:A9-2-a"
    EMPLOYMENT = "eu-gdpr:A9-2-b"
    VITAL_INTEREST = "eu-gdpr:A9-2-c"
    NON_PROFIT = "eu-gdpr:A9-2-d"
    MADE_PUBLIC = "eu-gdpr:A9-2-e"
    LEGAL_CLAIMS = "eu-gdpr:A9-2-f"
    SUBSTANTIAL_PUBLIC_INTEREST = "eu-gdpr:A9-2-g"
    HEALTH_CARE = "eu-gdpr:A9-2-h"
    PUBLIC_HEALTH = "eu-gdpr:A9-2-i"
    RESEARCH = "eu-gdpr:A9-2-j"


class ConsentState(StrEnum):
    """What became of a consent: ``dpv:ConsentStatus``. RECORDED is ours, for rows that rest on another basis."""

    GIVEN = "dpv:ConsentGiven"
    WITHDRAWN = "dpv:ConsentWithdrawn"
    EXPIRED = "dpv:ConsentExpired"
    RECORDED = "unseen:ProcessingRecorded"

    @property
    def is_valid(self) -> bool:
        """Whether rows may rest on it."""
        return self in {ConsentState.GIVEN, ConsentState.RECORDED}
