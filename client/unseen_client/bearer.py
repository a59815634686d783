"""The token that a client shows: read anew for every call, sent in its metadata, and never put into words.

Holds the token while a call is made. It travels under TLS or to this machine only; it stands in no error and no repr.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

from unseen.errors import InvalidConfiguration

TokenSource: TypeAlias = str | os.PathLike[str] | Callable[[], str]
"""A token itself, the path of a file that holds one, or a function that gives one: both are asked for every call."""
Metadata: TypeAlias = tuple[tuple[str, str], ...]

MOST_CHARACTERS = 7000
"""A server takes 8 KiB of metadata, and a call needs some for itself."""


class TokenBearer:
    """Puts a token into the metadata of calls."""

    def __init__(self, source: TokenSource | None) -> None:
        self._source = source

    @property
    def has_token(self) -> bool:
        """Whether there is one to show."""
        return self._source is not None

    def metadata(self) -> Metadata:
        """What to send along with a call; InvalidConfiguration when there is no token where one should be."""
        if self._source is None:
            return ()
        return (("authorization", f"Bearer {_require_sendable(_read(self._source))}"),)

    def __repr__(self) -> str:
        return f"TokenBearer({'a token' if self.has_token else 'no token'})"


def _read(source: TokenSource) -> str:
    if isinstance(source, str):
        return source.strip()
    if callable(source):
        return _asked(source)
    try:
        with Path(source).open(encoding="utf-8") as file:
            return file.read(2 * MOST_CHARACTERS).strip()
    except OSError as error:
        raise InvalidConfiguration(f"the token file {os.fspath(source)} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError:
        raise InvalidConfiguration(
            f"the token file {os.fspath(source)} is not text; it needs the token alone"
        ) from None


def _asked(source: Callable[[], str]) -> str:
    try:
        given = source()
    except Exception as error:
        raise InvalidConfiguration(f"the function given as token= failed with {type(error).__name__}") from error
    if not isinstance(given, str):
        raise InvalidConfiguration(f"the function given as token= gave {type(given).__name__}, expected the token, str")
    return given.strip()


def _require_sendable(token: str) -> str:
    """gRPC would refuse others too, but quote them in its error."""
    if not 1 <= len(token) <= MOST_CHARACTERS or not token.isascii() or not token.isprintable() or " " in token:
        raise InvalidConfiguration(
            f"got {len(token)} characters as a token, expected 1 to {MOST_CHARACTERS} printable ASCII ones, no spaces"
        )
    return token
