"""Reads JSON that came from somewhere else. Every text that cannot be read is a ValueError, the deepest nesting too.

Public on both sides; it holds nothing. What a text may say is for whoever asked for it.
"""

from __future__ import annotations

import json
from typing import Any


def read_json(text: str | bytes) -> Any:
    """What a JSON text says; ValueError for every other one, and for one nested deeper than Python takes.

    ``json.loads`` raises a RecursionError for a hundred kilobytes of '[': no error that anybody expects of bad input.
    """
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None
