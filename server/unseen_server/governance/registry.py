"""The terms of every collection that has an agreement. A collection without one is governed by nothing here."""

from __future__ import annotations

import threading
from collections.abc import Iterator

from unseen.errors import IntegrityError, PolicyNotFound, UnseenError
from unseen.types import UID_BYTES
from unseen_server.engine import Engine
from unseen_server.governance import facts as kinds
from unseen_server.governance.office import Office
from unseen_server.governance.terms import Terms


class Registry:
    """Safe to call from several threads; what it gives is changed under the collection's own lock."""

    def __init__(self, office: Office, engine: Engine) -> None:
        """Read what was written down; IntegrityError when it cannot be understood."""
        self._office = office
        self._engine = engine
        self._adding = threading.Lock()
        self._terms: dict[bytes, Terms] = {}
        for kind in (*kinds.OF_A_COLLECTION, *kinds.OF_A_SUBJECT):
            for note in office.facts.all(kind):
                uid = note.key[:UID_BYTES]
                try:
                    self._terms.setdefault(uid, Terms(uid)).read(kind, note)
                except (KeyError, ValueError, UnseenError) as error:
                    raise IntegrityError(
                        f"a fact of kind {kind!r} has a form that this release does not know"
                    ) from error
        for uid, terms in list(self._terms.items()):
            if engine.live(uid):
                terms.compute_endings()
            else:
                self.forget(uid)  # a stop came between its deletion and this

    def of(self, uid: bytes) -> Terms | None:
        """The terms of a collection, None when it has no agreement."""
        found = self._terms.get(uid)
        return found if found is not None and found.versions else None

    def require(self, uid: bytes) -> Terms:
        """The same; PolicyNotFound when it has none."""
        found = self.of(uid)
        if found is None:
            raise PolicyNotFound(
                "this collection has no agreement; a steward gives it one with `unseen policy set` before any row is in"
            )
        return found

    def begin(self, uid: bytes) -> Terms:
        """The terms of a collection that may get its first agreement now."""
        with self._adding:
            return self._terms.setdefault(uid, Terms(uid))

    def forget(self, uid: bytes) -> None:
        """Drop the terms of a collection that is gone, from memory and from the disk."""
        found = self._terms.pop(uid, None)
        if found is None:
            return
        self._office.facts.forget_subjects(uid, found.consents.subjects())
        for kind in kinds.OF_A_COLLECTION:
            self._office.facts.forget(kind, uid)

    def all(self) -> Iterator[Terms]:
        """Every collection with an agreement."""
        return iter([terms for terms in list(self._terms.values()) if terms.versions])

    def __bool__(self) -> bool:
        return any(terms.versions for terms in list(self._terms.values()))
