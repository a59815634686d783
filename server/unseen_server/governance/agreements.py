"""Setting, showing and accepting the agreement of a collection."""

from __future__ import annotations

from unseen.errors import InvalidDocument, LimitExceeded, PolicyNotAccepted, PolicyRefused
from unseen.governance.certificate import Act
from unseen.governance.policy import Policy
from unseen_server import limits
from unseen_server.call import Call
from unseen_server.governance import facts as kinds
from unseen_server.governance.office import Office
from unseen_server.governance.registry import Registry
from unseen_server.governance.terms import Acceptance, Terms, Version
from unseen_server.live_collection import LiveCollection


class Agreements:
    """Called in threads; one change of a collection at a time."""

    def __init__(self, office: Office, registry: Registry) -> None:
        self._office = office
        self._registry = registry

    def set(self, live: LiveCollection, call: Call, request_id: bytes, data: bytes) -> bytes:
        """Put a signed policy in force; gives the receipt.

        InvalidDocument or ProofBroken for what is no policy of this collection's next version, PolicyRefused for a
        first one where rows are in already.
        """
        policy, _ = Policy.from_signed(data)
        uid = live.info.uid
        if policy.collection_uid != uid:
            raise InvalidDocument("the policy is of another collection: it names another uid")
        with live.changing():
            same = {"policy": data.decode()}
            if earlier := self._office.facts.earlier(kinds.POLICY, uid, request_id, same):
                return str(earlier["receipt"]).encode()
            terms = self._registry.begin(uid)
            _require_next(live, terms, policy)
            at = self._office.clock.now()
            content = {
                **same,
                "receipt": self._office.receipt(Act.POLICY_SET, uid, policy.digest, at),
                "by": call.caller.name,
                "at": at,
            }
            version = terms.add_version(self._office.facts.append(kinds.POLICY, uid, content, request_id))
            terms.compute_endings()
            return version.receipt

    def in_force(self, uid: bytes) -> Version | None:
        """The version in force; None for none, which every enrolment without an agreement is told: it is no refusal."""
        terms = self._registry.of(uid)
        return None if terms is None else terms.version(0)

    def get(self, uid: bytes, number: int) -> Version:
        """One version by its number; PolicyNotFound."""
        return self._registry.require(uid).version(number)

    def history(self, uid: bytes) -> tuple[list[Version], list[Acceptance]]:
        """Every version, and the first acceptance of each by each caller, oldest first; PolicyNotFound."""
        terms = self._registry.require(uid)
        first: dict[tuple[str, int], Acceptance] = {}
        for one in terms.acceptances:
            first.setdefault((one.caller, one.version), one)
        return list(terms.versions), list(first.values())

    def accept(self, live: LiveCollection, call: Call, request_id: bytes, digest: bytes) -> bytes:
        """Write down that the caller accepts the version in force; gives the receipt.

        PolicyNotAccepted when another version was shown than the one in force; LimitExceeded when the caller accepted
        it too often: whoever may only read could fill the disk.
        """
        uid = live.info.uid
        with live.changing():
            terms = self._registry.require(uid)
            same = {"caller": call.caller.name, "digest": digest.hex()}
            if earlier := self._office.facts.earlier(kinds.ACCEPTANCE, uid, request_id, same):
                return str(earlier["receipt"]).encode()
            require_current(terms, digest)
            _require_few(terms, call.caller.name)
            at = self._office.clock.now()
            content = {
                **same,
                "version": terms.policy.version,
                "receipt": self._office.receipt(Act.POLICY_ACCEPTED, uid, digest, at),
                "at": at,
            }
            self._office.facts.append(kinds.ACCEPTANCE, uid, content, request_id)
            terms.acceptances.append(Acceptance(call.caller.name, terms.policy.version, at))
            return str(content["receipt"]).encode()


def _require_few(terms: Terms, caller: str) -> None:
    before = sum((one.caller, one.version) == (caller, terms.policy.version) for one in terms.acceptances)
    if before >= limits.MAX_ACCEPTANCES:
        raise LimitExceeded(
            f"this version of the agreement was accepted {before} times by the same caller; once is enough"
        )


def require_current(terms: Terms, digest: bytes) -> None:
    """PolicyNotAccepted unless a digest is of the version in force."""
    if digest != terms.policy.digest:
        raise PolicyNotAccepted(
            f"version {terms.policy.version} of this collection's agreement is in force, and another one was accepted; "
            "`unseen policy show` it, then `unseen policy accept` it"
        )


def _require_next(live: LiveCollection, terms: Terms, policy: Policy) -> None:
    if not terms.versions:
        if live.info.rows:
            raise PolicyRefused(
                f"the collection holds {live.info.rows} rows that were enrolled without an agreement, so nothing says "
                "what they may be used for; make a new collection, set its policy, and enrol them there"
            )
        expected, previous = 1, None
    else:
        expected, previous = terms.policy.version + 1, terms.policy.digest
    if len(terms.versions) >= limits.MAX_POLICY_VERSIONS:
        raise LimitExceeded(f"a policy has at most {limits.MAX_POLICY_VERSIONS} versions")
    if (policy.version, policy.previous) != (expected, previous):
        raise InvalidDocument(
            f"got version {policy.version} of the policy, expected version {expected} that names the one before it; "
            "somebody else may have set one meanwhile: show it, then set yours again"
        )
