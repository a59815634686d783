"""What governance writes down, as facts of the store: one kind each, canonical JSON, read once at start.

The store seals bodies; kinds and keys lie on the disk as they are. A key is a collection's uid, followed by a subject's
pseudonym where a fact is about one, so that all about a subject can be forgotten at once. Those are sealed under keys
of their own in the key ring: forgotten, they are gone from older copies of the data too.

    policy        a version, signed, with the receipt given for it
    acceptance    who accepted which version
    compartment   which purposes the rows of a compartment may be searched for
    enrolled      from which epoch on rows were enrolled at which time
    consent       a consent record, with the receipt given for it
    consent-end   that it was withdrawn, or had an end
    hold          set or lifted
    break-glass   opened, used or ended
    erasing       which rows an erasure was to destroy, until it has its certificate (key: its request id)
    certificate   an erasure certificate (key: its request id)
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from unseen.errors import RequestReplayed
from unseen.governance.canonical import canonical_bytes, parse_object
from unseen.store.interface import Store

POLICY, ACCEPTANCE, COMPARTMENT, ENROLLED = "policy", "acceptance", "compartment", "enrolled"
CONSENT, CONSENT_END, HOLD, BREAK_GLASS = "consent", "consent-end", "hold", "break-glass"
ERASING, CERTIFICATE = "erasing", "certificate"

OF_A_COLLECTION = (POLICY, ACCEPTANCE, COMPARTMENT, ENROLLED, HOLD, BREAK_GLASS)
OF_A_SUBJECT = (CONSENT, CONSENT_END)


@dataclass(frozen=True)
class Note:
    """A fact, opened."""

    key: bytes
    content: dict[str, Any]


class Facts:
    """Reads and appends; a request that was carried out is answered from what it wrote."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def all(self, kind: str, key: bytes | None = None) -> Iterator[Note]:
        """Every fact of a kind (and key), in order."""
        for fact in self._store.facts(kind, key):
            yield Note(fact.key, parse_object(fact.body))

    def append(
        self, kind: str, key: bytes, content: Mapping[str, Any], request_id: bytes | None = None
    ) -> dict[str, Any]:
        """Write one down, on disk when this returns; gives its content."""
        written = {**content, "request_id": None if request_id is None else request_id.hex()}
        self._store.append_fact(kind, key, canonical_bytes(written), request_id, own_key=kind in OF_A_SUBJECT)
        return dict(content)

    def earlier(self, kind: str, key: bytes, request_id: bytes, same: Mapping[str, Any]) -> dict[str, Any] | None:
        """What this request wrote when it was carried out, None when it was not.

        RequestReplayed when it was another request, or what it wrote was forgotten.
        """
        if not self._store.knows_request(request_id):
            return None
        for note in self.all(kind, key):
            if note.content["request_id"] == request_id.hex():
                if any(note.content[name] != value for name, value in same.items()):
                    break
                return note.content
        raise RequestReplayed("this request id was used before, for another request or for what was undone since")

    def forget(self, kind: str, key: bytes) -> None:
        """Destroy the bodies of facts."""
        self._store.forget_facts(kind, key)

    def forget_subjects(self, uid: bytes, subjects: Iterable[bytes]) -> None:
        """Destroy all that is written down about data subjects of a collection, with its keys: all of it or nothing."""
        self._store.forget_facts(OF_A_SUBJECT, *(uid + subject for subject in subjects))
