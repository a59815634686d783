"""New names and dates from a site key: HMAC-SHA256, so that equal stays equal and nobody without the key can go back.

For the device only. Who holds the site key can test a guess (is this the UID of that study?), so it stays where the
originals are. Two sites with different keys give unlinkable results.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from datetime import date
from typing import Final

from unseen.errors import InvalidConfiguration

SITE_KEY_BYTES: Final = 32
"""Shorter keys are refused: patients' ids are guessable, the key must not be."""
MOST_DAYS: Final = 3650
"""Dates move back by 1 to 3,650 days: never into the future, seasons and weekdays lost."""

DATE: Final = re.compile(r"[0-9]{8}")
OLD_DATE: Final = re.compile(r"[0-9]{4}\.[0-9]{2}\.[0-9]{2}")
_CLOCK: Final = r"([01][0-9]|2[0-3])([0-5][0-9]([0-6][0-9](\.[0-9]{1,6})?)?)?"
TIME: Final = re.compile(_CLOCK)
DATE_TIME: Final = re.compile(rf"[0-9]{{8}}({_CLOCK})?([+-][01][0-9][0-5][0-9])?")


class Pseudonyms:
    """What one site key makes of UIDs, patients and dates."""

    def __init__(self, site_key: bytes) -> None:
        if len(site_key) < SITE_KEY_BYTES:
            raise InvalidConfiguration(f"got a site key of {len(site_key)} bytes, expected at least {SITE_KEY_BYTES}")
        self._key = bytes(site_key)

    def uid(self, uid: str) -> str:
        """Another UID for a UID, the same one every time: 2.25 and 128 bits of the keyed hash (PS3.5 section B.2)."""
        return f"2.25.{int.from_bytes(self._hash(b'uid', uid.encode())[:16], 'big')}"

    def patient(self, identity: bytes) -> str:
        """A patient id for a patient id: 16 hexadecimal digits."""
        return self._hash(b"patient", identity)[:8].hex().upper()

    def days_back(self, identity: bytes) -> int:
        """By how many days the dates of a patient move back."""
        return 1 + int.from_bytes(self._hash(b"days", identity)[:8], "big") % MOST_DAYS

    def _hash(self, purpose: bytes, value: bytes) -> bytes:
        return hmac.new(self._key, b"unseen dicom " + purpose + b"\0" + value, hashlib.sha256).digest()


def moved_back(text: str, vr: str, days: int) -> str | None:
    """A DA or DT value moved back, a TM value as it is; None where a value is not exact enough to move (PS3.5 6.2)."""
    value = text.strip(" \0")
    if vr == "TM":
        return value if TIME.fullmatch(value) else None
    digits = value.replace(".", "") if vr == "DA" and OLD_DATE.fullmatch(value) else value
    day, rest = digits[:8], digits[8:]
    if not (DATE if vr == "DA" else DATE_TIME).fullmatch(digits):
        return None
    try:
        ordinal = date(int(day[:4]), int(day[4:6]), int(day[6:])).toordinal() - days
        return date.fromordinal(ordinal).strftime("%Y%m%d").rjust(8, "0") + rest
    except (ValueError, OverflowError):
        return None
