"""A data subject as the server knows it: a pseudonym made on the device, under a key that the server does not have.

Without the record key nobody can test a guess of who it is; with it, whoever knows the subject's own name finds what is
held about it. The same name gives the same pseudonym within one collection and another one in the next.
"""

from __future__ import annotations

import hmac

from unseen.envelope import derive_key
from unseen.errors import InvalidInput
from unseen.types import UID_BYTES

LONGEST_SUBJECT_CHARACTERS = 512


def pseudonym(record_key: bytes, subject: object) -> bytes:
    """16 bytes of HMAC-SHA256(HKDF(record key, "unseen/subject"), the caller's name of the subject as UTF-8)."""
    if not isinstance(subject, str) or not 0 < len(subject) <= LONGEST_SUBJECT_CHARACTERS:
        got = f"{len(subject)} characters" if isinstance(subject, str) else type(subject).__name__
        raise InvalidInput(
            f"a data subject is named by text of 1 to {LONGEST_SUBJECT_CHARACTERS} characters; got {got}"
        )
    return hmac.digest(derive_key(record_key, b"unseen/subject"), subject.encode("utf-8"), "sha256")[:UID_BYTES]
