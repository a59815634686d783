"""What holds for one collection now, computed from what was written down about it.

Facts are appended, this is the opinion: lost at a stop, computed again at a start. Changed under the collection's lock.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from unseen.errors import PolicyNotFound
from unseen.governance.consent import Consent
from unseen.governance.policy import Policy
from unseen.governance.terms import ConsentState
from unseen_server.governance import facts as kinds
from unseen_server.governance.compartments import Compartment, Compartments
from unseen_server.governance.consents import Consents
from unseen_server.governance.emergencies import Emergencies, Grant
from unseen_server.governance.endings import Ending, Endings
from unseen_server.governance.facts import Note
from unseen_server.governance.holds import Hold, Holds

NO_END = 1 << 62
"""The end of the span of epochs that is still being filled."""


@dataclass(frozen=True)
class Version:
    """One version of the policy, as it was signed and countersigned."""

    policy: Policy
    signed: bytes
    receipt: bytes
    public_key: bytes


@dataclass(frozen=True)
class Acceptance:
    """Who accepted which version when."""

    caller: str
    version: int
    at: int


@dataclass(frozen=True)
class Mark:
    """From this epoch on rows were enrolled at this time or a little later, under this version."""

    epoch: int
    at: int
    version: int


@dataclass
class Terms:
    """Everything that governs one collection."""

    uid: bytes
    versions: list[Version] = field(default_factory=list)
    acceptances: list[Acceptance] = field(default_factory=list)
    compartments: Compartments = field(default_factory=Compartments)
    marks: list[Mark] = field(default_factory=list)
    consents: Consents = field(default_factory=Consents)
    holds: Holds = field(default_factory=Holds)
    emergencies: Emergencies = field(default_factory=Emergencies)
    endings: Endings = field(default_factory=Endings)
    has_withheld: bool = True
    """Whether the retention job has to look; at first nobody knows."""

    @property
    def policy(self) -> Policy:
        """The version in force."""
        return self.versions[-1].policy

    def version(self, number: int) -> Version:
        """One version, 0 for that in force; PolicyNotFound."""
        if not 0 <= number <= len(self.versions):
            raise PolicyNotFound(f"the collection's policy has {len(self.versions)} versions, not {number}")
        return self.versions[number - 1]

    def accepted_by(self, caller: str) -> int:
        """The newest version that somebody accepted, 0 for none."""
        return max((one.version for one in self.acceptances if one.caller == caller), default=0)

    def retention_s(self, version: int) -> int | None:
        """How long rows enrolled under a version are kept: the shortest of what it and later ones promise."""
        promised = (one.policy.retention_s for one in self.versions if one.policy.version >= version)
        return min((seconds for seconds in promised if seconds is not None), default=None)

    def compute_endings(self) -> None:
        """What ends when, from the consents that stand and from when rows were enrolled."""
        consents = [Ending(at, record_id) for at, record_id in self.consents.standing()]
        self.endings = Endings([*consents, *self._row_endings()])

    def _row_endings(self) -> list[Ending]:
        ends = [*(mark.epoch for mark in self.marks[1:]), NO_END]
        endings = []
        for mark, end in zip(self.marks, ends, strict=False):  # without marks there is no end either
            seconds = self.retention_s(mark.version)
            if seconds is not None:
                endings.append(Ending(mark.at + seconds, b"", mark.epoch, end))
        return endings

    # From facts, one kind each

    def read(self, kind: str, note: Note) -> None:
        """Take in one fact; facts come kind by kind, in order."""
        content = note.content
        match kind:
            case kinds.POLICY:
                self.add_version(content)
            case kinds.ACCEPTANCE:
                self.acceptances.append(Acceptance(content["caller"], content["version"], content["at"]))
            case kinds.COMPARTMENT:
                compartment = Compartment(content["version"], frozenset(content["purposes"]))
                self.compartments.add(content["number"], compartment)
            case kinds.ENROLLED:
                self.add_mark(Mark(content["epoch"], content["at"], content["version"]))
            case kinds.CONSENT:
                self.consents.add(Consent.from_document(content["consent"]))
            case kinds.CONSENT_END:
                record_id, state = bytes.fromhex(content["record_id"]), ConsentState(content["state"])
                self.consents.end(record_id, state, content["at"])
            case kinds.HOLD:
                self.read_hold(content)
            case kinds.BREAK_GLASS:
                self.read_emergency(content)

    def add_version(self, content: dict[str, Any]) -> Version:
        """A version of the policy that was written down."""
        policy, signed = Policy.from_signed(content["policy"].encode())
        version = Version(policy, content["policy"].encode(), content["receipt"].encode(), signed.public_key)
        self.versions.append(version)
        return version

    def add_mark(self, mark: Mark) -> None:
        """That rows are enrolled from an epoch on; the last word about one counts, earlier ones came to nothing."""
        while self.marks and self.marks[-1].epoch >= mark.epoch:
            self.marks.pop()
        self.marks.append(mark)

    def read_hold(self, content: dict[str, Any]) -> Hold:
        """That a hold was set or lifted."""
        if content["event"] == "lifted":
            return self.holds.lift(content["reason_code"], content["at"])
        subject = bytes.fromhex(content["subject"])
        return self.holds.add(Hold(content["reason_code"], subject, content["by"], content["at"]))

    def read_emergency(self, content: dict[str, Any]) -> Grant:
        """That somebody was let in, searched, or is out again."""
        uid = bytes.fromhex(content["uid"])
        match content["event"]:
            case "opened":
                return self.emergencies.add(
                    Grant(
                        uid,
                        content["grantee"],
                        content["reason_code"],
                        content["by"],
                        content["at"],
                        content["ends_at"],
                    )
                )
            case "ended":
                return self.emergencies.end(uid, content["at"])
        return self.emergencies.count_search(uid)
