"""What a DICOM unique identifier looks like, for whoever is about to make it a part of an address."""

from __future__ import annotations

import re

_UID = re.compile(r"[0-9]+(\.[0-9]+)*")
"""PS3.5 section 9.1; leading zeros are wrong there, and written all the same."""


def is_uid(text: str) -> bool:
    """Whether a text is numbers with dots between them, and nothing else."""
    return _UID.fullmatch(text) is not None
