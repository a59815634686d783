"""How a command ends: exit codes that scripts can use, and errors told in words or as JSON.

0  done
1  failed: the message says why and what to do
2  the command or one of its values was wrong; nothing was done
3  the server did not answer, was too busy, took too long, or a quota is used up; the same command may be run again
4  done in part: some images or files were refused, the others are enrolled
5  there is no such collection or row
6  this device does not hold the collection's record key, or the passphrase is wrong
7  the server does not know this client, or does not let it do that: another token is needed
8  the collection's policy does not let it happen: nothing accepted, no consent, another purpose, a legal hold
130  interrupted
"""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

from unseen.errors import (
    AuditUnavailable,
    DeadlineExceeded,
    InvalidInput,
    KeyMissing,
    NotAuthenticated,
    NotFound,
    NotPermitted,
    PolicyRefused,
    QuotaExceeded,
    ServerBusy,
    ServerUnavailable,
    UnseenError,
    WrongKey,
)
from unseen_client.cli.shown import shown

DONE, FAILED, USAGE, UNAVAILABLE, PARTLY, NOT_FOUND, KEY_MISSING, NOT_LET_IN = 0, 1, 2, 3, 4, 5, 6, 7
REFUSED_BY_POLICY, INTERRUPTED = 8, 130

EXIT_CODES: dict[type[UnseenError], int] = {
    InvalidInput: USAGE,
    ServerUnavailable: UNAVAILABLE,
    ServerBusy: UNAVAILABLE,
    AuditUnavailable: UNAVAILABLE,
    DeadlineExceeded: UNAVAILABLE,
    QuotaExceeded: UNAVAILABLE,
    NotFound: NOT_FOUND,
    KeyMissing: KEY_MISSING,
    WrongKey: KEY_MISSING,
    NotAuthenticated: NOT_LET_IN,
    NotPermitted: NOT_LET_IN,
    PolicyRefused: REFUSED_BY_POLICY,
}
"""By class, parents for their leaves; every other error is FAILED."""


def exit_code(error: UnseenError) -> int:
    """The code a command ends with when this error stopped it."""
    return next((EXIT_CODES[kind] for kind in type(error).__mro__ if kind in EXIT_CODES), FAILED)


@contextmanager
def telling(as_json: bool) -> Iterator[None]:
    """Turn errors and warnings of Unseen's into words (or JSON objects) on the error stream, errors into exit codes.

    A server's words and names of files stand in some of them.
    """
    try:
        with _warning(as_json):
            yield
    except UnseenError as error:
        notes = list(getattr(error, "__notes__", ()))
        if as_json:
            fields = {"error": {"code": error.code, "message": str(error), "notes": notes}}
            sys.stderr.write(json.dumps(fields) + "\n")
        else:
            lines = [f"error: {error}", *(f"note: {note}" for note in notes)]
            sys.stderr.write("\n".join(map(shown, lines)) + "\n")
        raise SystemExit(exit_code(error)) from error
    except KeyboardInterrupt:
        sys.stderr.write("interrupted; what was acknowledged before is kept\n")
        raise SystemExit(INTERRUPTED) from None


@contextmanager
def _warning(as_json: bool) -> Iterator[None]:
    """Put warnings on the error stream as people read them: no file and line of ours."""

    def show(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        fields = {"warning": {"code": category.__name__, "message": str(message)}}
        sys.stderr.write((json.dumps(fields) if as_json else shown(f"warning: {message}")) + "\n")

    with warnings.catch_warnings():
        warnings.showwarning = show
        yield


def say(as_json: bool, fields: dict[str, object], words: str) -> None:
    """Put a result on the output: one JSON object, or words."""
    sys.stdout.write((json.dumps(fields) if as_json else words) + "\n")
