"""Which lines of text are technical marks that may stay: rulers, units, sides, settings of the machine.

Public knowledge only. By default no line stays; a caller who keeps marks keeps what ``data/technical_marks.tsv`` lists.
"""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files
from typing import Final

from unseen.deid.text.reader import Reading

SURE: Final = 0.9
"""A line that is read with less certainty is covered: a 1 read for a 7 is no harm, a name read for a unit is."""
_FOLDER: Final = "data"
_FILE: Final = "technical_marks.tsv"


@cache
def _patterns() -> re.Pattern[str]:
    text = (files("unseen.deid.text") / _FOLDER / _FILE).read_text(encoding="utf-8")
    lines = [line.split("\t")[0] for line in text.splitlines() if line and not line.startswith("#")]
    return re.compile("|".join(f"(?:{pattern})" for pattern in lines[1:]), re.IGNORECASE)


def is_technical_mark(reading: Reading) -> bool:
    """Whether a line that was read with certainty is, as a whole, on the list."""
    return reading.score >= SURE and _patterns().fullmatch(" ".join(reading.text.split())) is not None
