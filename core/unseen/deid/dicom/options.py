"""The options of PS3.15 section E.3: what may stay although the Basic Profile takes it, and what is cleaned instead.

Every option but the three that clean weakens the Basic Profile; section E.3 says what for. Holds nothing secret.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from unseen.errors import InvalidConfiguration

EDITION: Final = "2026c"
"""Edition of PS3.15 that these and Table E.1-1 are of; a test holds the table's header to it."""


class Option(StrEnum):
    """One option; its value is the name of its column in ``data/table_e1_1.tsv``."""

    RETAIN_SAFE_PRIVATE = "safe_private"
    """Numbers of the private attributes that the standard lists as safe (``data/safe_private.tsv``)."""
    RETAIN_UIDS = "uids"
    """Instance UIDs as they are: whoever holds the original finds it again."""
    RETAIN_DEVICE_IDENTITY = "device"
    RETAIN_INSTITUTION_IDENTITY = "institution"
    RETAIN_PATIENT_CHARACTERISTICS = "patient"
    """Sex, age (90 and above as 90), size, weight, ethnic group, smoking, pregnancy."""
    RETAIN_LONGITUDINAL_FULL_DATES = "full_dates"
    RETAIN_LONGITUDINAL_MODIFIED_DATES = "modified_dates"
    """Dates moved by a number of days that depends on the patient and the site's key only."""
    CLEAN_DESCRIPTORS = "descriptors"
    """Recorded as done: descriptions are removed, since no cleaning of free text is provably safe."""
    CLEAN_STRUCTURED_CONTENT = "structured"
    """Accepts structured reports, of which numbers and codes of the standard's dictionaries stay."""
    CLEAN_GRAPHICS = "graphics"
    """Recorded as done: overlays, curves and annotations are removed."""


def check_options(options: frozenset[Option]) -> None:
    """InvalidConfiguration when both date options are asked for."""
    if {Option.RETAIN_LONGITUDINAL_FULL_DATES, Option.RETAIN_LONGITUDINAL_MODIFIED_DATES} <= options:
        raise InvalidConfiguration("got both date options, expected one: keep dates as they are, or shift them")
