"""One leaf of the audit log: who did what, when, under which policy, and how it ended. Never content.

A leaf is canonical JSON (RFC 8785): what an auditor reads is, byte for byte, what the tree's hash covers. Every leaf
carries sixteen random bytes, so that its hash, which proofs show to others, cannot be found by guessing.

There is no place in it for vectors, scores, hits, row ids, names of collections or anything else that a caller sends as
content: only what ``Details`` names. It holds the caller's name, because an auditor must be able to tell who it was.
Leaves are sealed at rest.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from unseen.errors import MalformedMessage
from unseen.json_text import read_json

VERSION = 1
SALT_BYTES = 16
ASKED, DONE = "ASKED", "OK"
"""Outcomes beside the codes of errors: a change is about to be tried; the act was done, or its answer is on the way."""
MOST_LEAF_BYTES = 1 << 14
"""A leaf has 300; four texts of the longest kind stay below this whatever their letters are."""
MOST_TEXT = 800
"""Characters of one text in a leaf. Names of callers have at most 128."""


@dataclass(frozen=True)
class Details:
    """What a leaf may say of an act beyond who and when; everything is optional, nothing is content."""

    collection: bytes = b""
    """The collection's uid."""
    request_id: bytes = b""
    """The mutation's request id: ties a leaf to what the store did."""
    policy: str = ""
    """The policy version that the act was allowed under."""
    purpose: str = ""
    """The purpose stated, one of those that the policy names."""
    subject: bytes = b""
    """A keyed hash of the data subject's pseudonym: whoever has the pseudonym can look its acts up, nobody else."""
    document: bytes = b""
    """SHA-256 of a signed document that belongs to the act: a policy, a certificate, an order."""
    rows: int | None = None
    """How many rows a change was about."""
    count: int | None = None
    """How many refusals of one kind this leaf stands for."""
    asked: int | None = None
    """The index of the leaf that said that the act was about to be tried."""
    note: str = ""
    """A word of the server's own, such as its release; never a caller's."""

    def merged(self, other: Details) -> Details:
        """These details with everything that ``other`` says in place of them."""
        said = {name: value for name, value in vars(other).items() if value not in (b"", "", None)}
        return replace(self, **said)


@dataclass(frozen=True)
class Leaf:
    """One act, or one side of it."""

    act: str
    who: str
    """The caller's name within its tenant; the log is the tenant's own."""
    time_ms: int
    """Milliseconds since 1970, of the server's clock; the order of leaves is their index, whatever the clock says."""
    outcome: str
    """ASKED, OK, or the stable code of the error."""
    details: Details = Details()
    tenant: str = ""
    """Whose log it is in. It belongs to every request id: the store knows those of two tenants apart by it."""

    def to_bytes(self, salt: bytes) -> bytes:
        """The leaf as it is hashed, sealed and exported: canonical JSON, fields without a value left out."""
        said = {
            "act": self.act,
            "asked": self.details.asked,
            "collection": self.details.collection.hex(),
            "count": self.details.count,
            "document": self.details.document.hex(),
            "note": _cut(self.details.note),
            "outcome": self.outcome,
            "policy": _cut(self.details.policy),
            "purpose": _cut(self.details.purpose),
            "request": self.details.request_id.hex(),
            "rows": self.details.rows,
            "salt": salt.hex(),
            "subject": self.details.subject.hex(),
            "tenant": _cut(self.tenant),
            "time": text_of_time(self.time_ms),
            "version": VERSION,
            "who": _cut(self.who),
        }
        return canonical({name: value for name, value in said.items() if value not in ("", None)})


def _cut(text: str) -> str:
    """A text that fits a leaf; a longer one says that it was cut."""
    return text if len(text) <= MOST_TEXT else text[: MOST_TEXT - 1] + "…"


def canonical(fields: object) -> bytes:
    """JSON in the one form of RFC 8785, for what leaves hold: text and integers below 2**53."""
    return json.dumps(fields, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def leaf_fields(data: bytes) -> dict[str, object]:
    """What a leaf says, by name; MalformedMessage when it is not in the one form that a leaf has."""
    try:
        fields = read_json(data)
        is_one_form = isinstance(fields, dict) and canonical(fields) == data
    except ValueError:
        fields, is_one_form = {}, False
    if not is_one_form or fields.get("version") != VERSION or len(data) > MOST_LEAF_BYTES:
        raise MalformedMessage("got bytes that are not a leaf of an audit log (docs/formats.md, Audit log)")
    return dict(fields)


def time_of(data: bytes) -> str:
    """When a leaf says that it was, as ``text_of_time`` has it; MalformedMessage as for ``leaf_fields``."""
    return str(leaf_fields(data)["time"])


def text_of_time(time_ms: int) -> str:
    """Milliseconds since 1970 as leaves have them, in UTC; earlier times come first as texts, too."""
    # Not fromtimestamp: that goes through a float and may be a millisecond off.
    seconds, milliseconds = divmod(time_ms, 1000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{milliseconds:03d}Z"
