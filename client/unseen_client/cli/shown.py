"""Texts of records and names of files on a terminal: other members and strangers wrote them.

A terminal obeys control characters: it could be made to show what is not there, or to type for its user. JSON output
escapes them by itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from unseen_client.deid.outcome import FileOutcome
    from unseen_client.report import Refusal

_BREAKS = re.compile("[\t\n\v\f\r\x85\u2028\u2029]+")
_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""C0 and C1 controls, what overrides the direction of writing (Unicode 15.1, section 23.2), and lone surrogates."""


def shown(text: str) -> str:
    """A text on one line, with a replacement character for each one that a terminal would obey or cannot write."""
    return _CONTROLS.sub("\N{REPLACEMENT CHARACTER}", _BREAKS.sub(" ", text))


def refused_lines(refused: Iterable[Refusal | FileOutcome]) -> list[str]:
    """A line for each input that was refused; the reason may hold the input's name, too."""
    return [f"refused {shown(one.source)}: {shown(one.reason)}" for one in refused]
