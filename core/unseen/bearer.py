"""Bearer tokens as they are written: ``unseen_`` and 64 characters, which are a uid and a secret of 256 random bits.

The secret is drawn by whoever asks for the token; the server is sent a hash of it, keeps that, and names it with the
uid. Whoever holds the text may do what it stands for. One pass of SHA-256 is enough for a secret that nobody chose.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from dataclasses import dataclass, field

from unseen.entropy import random_bytes
from unseen.errors import InvalidInput, NotAuthenticated
from unseen.types import UID_BYTES

PREFIX = "unseen_"
"""Tells people, and programs that look for leaked secrets, what the text is."""
SECRET_BYTES = 32
TEXT_LENGTH = len(PREFIX) + (UID_BYTES + SECRET_BYTES) * 4 // 3


@dataclass(frozen=True)
class BearerToken:
    """A token in the hands of who made it or of who checks it."""

    uid: bytes
    """Names the token; no secret."""
    secret: bytes = field(repr=False)

    @staticmethod
    def parse(text: str) -> BearerToken:
        """Read the written form; NotAuthenticated, without a word of it, when it is none."""
        try:
            content = base64.b64decode(text.removeprefix(PREFIX), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            content = b""
        token = BearerToken(content[:UID_BYTES], content[UID_BYTES:])
        if len(content) != UID_BYTES + SECRET_BYTES or token.text() != text:  # base64 takes "+/" for "-_" as well
            raise NotAuthenticated(
                f"what came as a token is none: a token is {PREFIX!r} and {TEXT_LENGTH - len(PREFIX)} characters; "
                "was it cut when it was copied?"
            )
        return token

    def text(self) -> str:
        """The written form: show it once, to who will use it."""
        return PREFIX + base64.urlsafe_b64encode(self.uid + self.secret).decode()

    def matches(self, kept_hash: bytes) -> bool:
        """Whether a kept hash is this secret's, in a time that does not depend on where they differ."""
        return hmac.compare_digest(secret_hash(self.secret), kept_hash)


def token_uid(text: str) -> bytes:
    """The uid of a token from its 32 hex digits, as lists of tokens show it. Raises InvalidInput."""
    try:
        uid = bytes.fromhex(text)
    except ValueError:
        uid = b""
    if len(uid) != UID_BYTES:
        raise InvalidInput(
            f"got {len(text)} characters that are no uid of a token, expected {2 * UID_BYTES} hex digits; "
            "`unseen tokens list` shows them"
        )
    return uid


def life_s(text: str) -> int:
    """Seconds that a token is to live, from what people write: ``90d``, ``12h`` or ``30min``. Raises InvalidInput."""
    found = re.fullmatch(r"([1-9][0-9]{0,5})(d|h|min)", text)
    if not found:
        raise InvalidInput(f"got {text[:20]!r} as a time, expected for example 90d, 12h or 30min")
    return int(found[1]) * {"d": 86400, "h": 3600, "min": 60}[found[2]]


def draw_secret() -> bytes:
    """The secret half of a new token, drawn by who asks for it."""
    return random_bytes(SECRET_BYTES)


def secret_hash(secret: bytes) -> bytes:
    """What a server keeps of a secret."""
    return hashlib.sha256(b"unseen token\0" + secret).digest()
