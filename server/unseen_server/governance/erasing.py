"""Erasing: by row, by subject, by the end of what rows rest on, by collection; each with a signed certificate.

    asked -> held? -> which rows, written down -> gone from disk and memory -> certificate on disk -> answer

A repeated request is answered with the same certificate. A stop in between leaves the list of rows, so that the
repetition goes on from there.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

from unseen.audit.leaf import Details
from unseen.entropy import random_uid
from unseen.governance.certificate import Asked, ErasureCertificate
from unseen.store.requests import another_request
from unseen.types import UID_BYTES, EncryptedBlock
from unseen_server import limits
from unseen_server.call import Call
from unseen_server.governance import facts as kinds
from unseen_server.governance.facts import Note
from unseen_server.governance.holds import refused
from unseen_server.governance.office import Office
from unseen_server.governance.registry import Registry
from unseen_server.governance.terms import Terms
from unseen_server.live_collection import LiveCollection

RETENTION = "retention"
"""In the place of a subject, where the server erases by itself."""


@dataclass(frozen=True)
class RequestId:
    """A request id as the caller drew it, which certificates name, and as the store knows it."""

    given: bytes
    own: bytes

    @staticmethod
    def of(call: Call, given: bytes) -> RequestId:
        """That of a call."""
        return RequestId(given, call.own_request_id(given))

    @staticmethod
    def make() -> RequestId:
        """One for what the server does by itself."""
        drawn = random_uid()
        return RequestId(drawn, drawn)


@dataclass(frozen=True)
class Erased:
    """What an erasure did."""

    certificate: bytes
    epoch: int
    repeated: bool
    rows: int

    @property
    def digest(self) -> bytes:
        """SHA-256 of the certificate, for the audit log."""
        return hashlib.sha256(self.certificate).digest()


class Erasing:
    """Called in threads; one change of a collection at a time."""

    def __init__(self, office: Office, registry: Registry) -> None:
        self._office = office
        self._registry = registry

    def rows(
        self,
        live: LiveCollection,
        request_id: RequestId,
        row_ids: tuple[bytes, ...],
        block: EncryptedBlock | None = None,
    ) -> Erased:
        """Destroy rows, all or none; OnLegalHold when one of them must be kept. ``block``: owner-encrypted, anew."""
        with live.changing():
            terms = self._registry.of(live.info.uid)
            if terms is not None and not self._office.store.knows_request(request_id.own):
                self._require_free(terms, frozenset(row_ids))
            change = live.erase(request_id.own, row_ids, block)
            certificate = self._certificate(live.info.uid, request_id)
            if certificate is None:
                certificate = self._certify(live, request_id, Asked.ROWS, None, len(row_ids), change.epoch - 1)
            return Erased(certificate, change.epoch, change.repeated, len(row_ids))

    def subject(self, live: LiveCollection, request_id: RequestId, subject: bytes) -> Erased:
        """Destroy every row and every consent of a data subject; OnLegalHold when they must be kept."""
        uid = live.info.uid
        with live.changing():
            terms = self._registry.require(uid)
            if certificate := self._certificate(uid, request_id):
                told, _ = ErasureCertificate.from_signed(certificate)
                if (told.asked, told.subject) != (Asked.SUBJECT, subject):
                    raise another_request()
                return Erased(certificate, live.info.epoch, repeated=True, rows=0)
            terms.holds.require_none(subject)
            row_ids = self._begun(uid, request_id, subject)
            if row_ids is None:
                if self._office.store.knows_request(request_id.own):
                    raise another_request()
                row_ids = tuple(row for consent in terms.consents.of_subject(subject) for row in self._on(uid, consent))
                content = {"uid": uid.hex(), "subject": subject.hex(), "row_ids": b"".join(row_ids).hex()}
                self._office.facts.append(kinds.ERASING, request_id.own, content)
            before = live.info.epoch
            if row_ids:
                before = live.erase(request_id.own, row_ids).epoch - 1
            terms.consents.forget(subject)
            self._office.facts.forget_subjects(uid, (subject,))
            terms.compute_endings()
            certificate = self._certify(live, request_id, Asked.SUBJECT, subject, len(row_ids), before)
            self._office.facts.forget(kinds.ERASING, request_id.own)
            return Erased(certificate, live.info.epoch, repeated=False, rows=len(row_ids))

    def withheld(self, live: LiveCollection, terms: Terms) -> int:
        """Destroy what is withheld and not held; how many rows. For the retention job."""
        if not terms.has_withheld:
            return 0
        with live.changing():
            self._finish_interrupted(live)
            every = [row.row_id for row in self._office.store.withheld(live.info.uid)]
            kept = self._kept(terms)
            free = [] if kept is None else [row for row in every if row not in kept]
            for start in range(0, len(free), limits.MAX_ROWS_PER_ERASURE):
                self._erase_ended(live, tuple(free[start : start + limits.MAX_ROWS_PER_ERASURE]))
            terms.has_withheld = len(free) < len(every)
            return len(free)

    def _erase_ended(self, live: LiveCollection, row_ids: tuple[bytes, ...]) -> None:
        request_id = RequestId.make()
        content = {"uid": live.info.uid.hex(), "subject": RETENTION, "row_ids": b"".join(row_ids).hex()}
        before = live.info.epoch
        self._office.facts.append(kinds.ERASING, request_id.own, content | {"epoch": before})
        live.erase(request_id.own, row_ids)
        self._end_erasing(live, request_id, row_ids, before)

    def _end_erasing(
        self, live: LiveCollection, request_id: RequestId, row_ids: tuple[bytes, ...], before: int
    ) -> None:
        certificate = self._certificate(live.info.uid, request_id)
        if certificate is None:
            certificate = self._certify(live, request_id, Asked.RETENTION, None, len(row_ids), before)
        self._office.facts.forget(kinds.ERASING, request_id.own)
        self._office.note(
            live.tenant,
            "RetentionErasure",
            Details(
                collection=live.info.uid,
                request_id=request_id.given,
                rows=len(row_ids),
                document=hashlib.sha256(certificate).digest(),
            ),
        )

    def _finish_interrupted(self, live: LiveCollection) -> None:
        """Certify what a stop came after; what it came before is looked at anew, since a hold may keep it now."""
        for note in list(self._office.facts.all(kinds.ERASING)):
            if (note.content["uid"], note.content["subject"]) != (live.info.uid.hex(), RETENTION):
                continue
            if self._office.store.knows_request(note.key):
                # Not erased once more: a row that was enrolled again since is another one, and stays.
                before = note.content.get("epoch", 0)  # earlier builds did not write it down
                self._end_erasing(live, RequestId(note.key, note.key), _row_ids(note), before)
            else:
                self._office.facts.forget(kinds.ERASING, note.key)

    def begin_collection(self, live: LiveCollection, request_id: RequestId) -> None:
        """Before a collection is deleted: OnLegalHold when a hold stands in it, else a note of how much it holds."""
        terms = self._registry.of(live.info.uid)
        with live.changing():
            if terms is not None and (standing := terms.holds.standing()):
                raise refused(standing[0])
            info = live.info
            rows = info.rows + (0 if terms is None else len(self._office.store.withheld(info.uid)))
            tree = self._office.store.key_tree(info.uid).hex()
            content = {"uid": info.uid.hex(), "subject": "", "row_ids": "", "rows": rows, "epoch": info.epoch}
            content |= {"key_tree": tree}
            self._office.facts.append(kinds.ERASING, request_id.own, content)

    def collection_gone(self, uid: bytes, request_id: RequestId) -> bytes:
        """The certificate of a collection that was deleted; what was agreed about it goes with it."""
        self._registry.forget(uid)
        certificate = self._certificate(uid, request_id)
        if certificate is None:
            begun = next(self._office.facts.all(kinds.ERASING, request_id.own), None)
            if begun is None:
                return b""  # deleted by a release that gave no certificates
            rows, epoch = begun.content["rows"], begun.content["epoch"]
            keys = (begun.content["key_tree"],) if "key_tree" in begun.content else ()  # begun by an earlier build
            certificate = self._sign(uid, request_id, Asked.COLLECTION, None, rows, (epoch, epoch), keys)
            self._office.facts.forget(kinds.ERASING, request_id.own)
        return certificate

    def certificates(self, uid: bytes) -> Iterator[bytes]:
        """Every certificate of a collection, oldest first."""
        for note in self._office.facts.all(kinds.CERTIFICATE):
            if note.content["uid"] == uid.hex():
                yield str(note.content["certificate"]).encode()

    # Holds

    def _require_free(self, terms: Terms, row_ids: frozenset[bytes]) -> None:
        for hold in terms.holds.standing():
            if not hold.subject or row_ids & self._rows_of_subject(terms, hold.subject):
                raise refused(hold)

    def _kept(self, terms: Terms) -> frozenset[bytes] | None:
        """Rows that a hold keeps; None for every row."""
        kept: frozenset[bytes] = frozenset()
        for hold in terms.holds.standing():
            if not hold.subject:
                return None
            kept |= self._rows_of_subject(terms, hold.subject)
        return kept

    def _rows_of_subject(self, terms: Terms, subject: bytes) -> frozenset[bytes]:
        consents = terms.consents.of_subject(subject)
        return frozenset(row for consent in consents for row in self._on(terms.uid, consent))

    def _on(self, uid: bytes, consent: bytes) -> list[bytes]:
        return [row.row_id for row in self._office.store.rows_resting_on(uid, consent)]

    # Certificates

    def _begun(self, uid: bytes, request_id: RequestId, subject: bytes) -> tuple[bytes, ...] | None:
        """The rows that this request began to erase before a stop, None when it did not."""
        for note in self._office.facts.all(kinds.ERASING, request_id.own):
            if (note.content["uid"], note.content["subject"]) != (uid.hex(), subject.hex()):
                raise another_request()
            return _row_ids(note)
        return None

    def _certificate(self, uid: bytes, request_id: RequestId) -> bytes | None:
        for note in self._office.facts.all(kinds.CERTIFICATE, request_id.own):
            if note.content["uid"] != uid.hex():
                raise another_request()
            return str(note.content["certificate"]).encode()
        return None

    def _certify(
        self, live: LiveCollection, request_id: RequestId, asked: Asked, subject: bytes | None, rows: int, before: int
    ) -> bytes:
        uid = live.info.uid
        keys = (f"{self._office.store.key_tree(uid).hex()}:{rows}",) if rows else ()
        return self._sign(uid, request_id, asked, subject, rows, (before, live.info.epoch), keys)

    def _sign(
        self,
        uid: bytes,
        request_id: RequestId,
        asked: Asked,
        subject: bytes | None,
        rows: int,
        epochs: tuple[int, int],
        destroyed_keys: tuple[str, ...],
    ) -> bytes:
        key = self._office.signing_key
        certificate = ErasureCertificate(
            request_id.given, uid, asked, subject, rows, *epochs, self._office.clock.now_or_last(), destroyed_keys
        )
        signed = certificate.signed(key.public_key, key.sign).to_bytes()
        content = {"uid": uid.hex(), "certificate": signed.decode()}
        # Where a subject had no row, nothing but its certificate carries the request.
        own = request_id.own if asked is Asked.SUBJECT and not rows else None
        self._office.facts.append(kinds.CERTIFICATE, request_id.own, content, own)
        return signed


def _row_ids(note: Note) -> tuple[bytes, ...]:
    joined = bytes.fromhex(note.content["row_ids"])
    return tuple(joined[start : start + UID_BYTES] for start in range(0, len(joined), UID_BYTES))
