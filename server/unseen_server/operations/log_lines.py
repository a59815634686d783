"""Log lines that can hold no content: a line is built from an allow-list, whatever was handed to the logger.

    {"time": "2026-11-26T12:00:00.123Z", "level": "INFO", "logger": "unseen_server.boundary", "event": "call refused",
     "method": "Search", "code": "SERVER_BUSY"}

Our own loggers say a fixed sentence (the event) and named fields; only fields of the list pass, and only values of
their form. Of anybody else's line only logger, level and the type of an exception are kept: a library's message may
quote what a caller sent. docs/operations.md lists the fields.
"""

from __future__ import annotations

import json
import logging
import re
import sys
import threading
import traceback
from types import TracebackType
from typing import Any, TextIO

from unseen.audit.leaf import text_of_time

OURS = "unseen_server"
NUMBERS = ("rows", "collections", "count", "seconds")
"""Fields that are numbers."""
WORDS = ("method", "code", "type")
"""Fields that are one word of the server's own: a method, an error's code, a type's name."""
TEXTS = ("place", "reason")
"""Fields of the server's own text: where in the code something failed; what is wrong with a file of the operator's."""
FIELDS = (*NUMBERS, *WORDS, *TEXTS)

_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_.]{0,63}")
_MOST_TEXT = 2000


class AllowList(logging.Formatter):
    """Builds a line from what may be said. JSON for programs, words for a terminal."""

    def __init__(self, *, as_json: bool) -> None:
        super().__init__()
        self._as_json = as_json

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        fields = fields_of(record)
        if self._as_json:
            return json.dumps(fields)
        head = f"{fields.pop('time')} {fields.pop('level')} {fields.pop('logger')} {fields.pop('event', '')}"
        return " ".join([head.rstrip(), *(f"{name}={value}" for name, value in fields.items())])


def fields_of(record: logging.LogRecord) -> dict[str, Any]:
    """What may be said of a record."""
    fields: dict[str, Any] = {
        "time": text_of_time(int(record.created * 1000)),
        "level": record.levelname,
        "logger": record.name,
    }
    if record.name.split(".")[0] == OURS:
        fields["event"] = str(record.msg)  # the sentence as it stands in the code: arguments are not filled in
        fields |= {name: value for name in FIELDS if (value := _allowed(name, record)) is not None}
    if record.exc_info and record.exc_info[0] is not None:
        fields["type"] = record.exc_info[0].__name__
        fields["place"] = place_of(record.exc_info[2])
    return fields


def _allowed(name: str, record: logging.LogRecord) -> object:
    value = getattr(record, name, None)
    if name in NUMBERS:
        return value if isinstance(value, int | float) else None
    if not isinstance(value, str):
        return None
    if name in WORDS:
        return value if _WORD.fullmatch(value) else None
    return value[:_MOST_TEXT]


def place_of(trace: TracebackType | None) -> str:
    """Where an error was raised; never its message, which may quote what a caller sent."""
    return " < ".join(f"{frame.filename}:{frame.lineno}" for frame in reversed(traceback.extract_tb(trace)))


def say_only_what_is_allowed(stream: TextIO) -> None:
    """Send every logger's lines and every uncaught error through the allow-list, for the rest of the process."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(AllowList(as_json=not stream.isatty()))
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    sys.excepthook = lambda kind, error, trace: _say_uncaught(kind, trace)
    threading.excepthook = lambda args: _say_uncaught(args.exc_type, args.exc_traceback)


def _say_uncaught(kind: type[BaseException], trace: TracebackType | None) -> None:
    logging.getLogger(OURS).critical("uncaught error", extra={"type": kind.__name__, "place": place_of(trace)})
