"""Moments in documents: UTC to the second, written as RFC 3339 has it; in the code, whole seconds since 1970.

There is no clock here: whoever knows what time it is says so.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime

from unseen.errors import InvalidDocument

DAY_S = 86_400
FORM = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", re.ASCII)
LAST_MOMENT_S = 253_402_300_799
"""The end of the year 9999: beyond it the form has no room."""


def moment_text(seconds: int) -> str:
    """A moment as it stands in documents: 2026-01-31T12:00:00Z."""
    if not 0 <= seconds <= LAST_MOMENT_S:
        raise InvalidDocument(f"a moment of {seconds} s since 1970 cannot be written; expected 0 to {LAST_MOMENT_S}")
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def moment_seconds(text: str) -> int:
    """The inverse of ``moment_text``; InvalidDocument for any other form and for days that never were."""
    if not FORM.fullmatch(text):
        raise InvalidDocument("a moment is written like 2026-01-31T12:00:00Z: UTC, whole seconds")
    try:
        return int(datetime.fromisoformat(text).timestamp())
    except ValueError as error:
        raise InvalidDocument("a moment names a day or an hour that does not exist") from error
