"""Speaks the governance part of the contract for one collection, and runs a server whose clock is ours."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.core.governance.written import CONTROLLER, consent, policy
from tests.server.caller import Caller
from unseen.entropy import random_uid
from unseen.governance.certificate import ErasureCertificate, Receipt
from unseen.governance.consent import Consent
from unseen.governance.policy import Policy
from unseen.keys.ring import KeyRing
from unseen.store.durable import DurableStore
from unseen.store.interface import FactStore
from unseen.types import RowBatch
from unseen.v1 import governance_pb2, governance_pb2_grpc, index_pb2, types_pb2
from unseen_server.app import RunningServer, start
from unseen_server.config import from_arguments
from unseen_server.governance.clock import Clock

NOON = 1_800_000_000
"""When the clocks of these tests start."""


class Steward:
    """Acts on one collection through a caller's channel."""

    def __init__(self, caller: Caller, uid: bytes, agreed: Policy | None = None) -> None:
        self.caller = caller
        self.uid = uid
        self.policy = agreed
        self.stub = governance_pb2_grpc.GovernanceServiceStub(caller.channel)

    # Agreements

    def set_policy(self, request_id: bytes | None = None, **changes: Any) -> Receipt:
        """Put the next version in force."""
        new = policy(self.uid, self.policy, **changes)
        receipt = self.send_policy(new.signed(CONTROLLER.public_key, CONTROLLER.sign).to_bytes(), request_id)
        self.policy = new
        return receipt

    def send_policy(self, data: bytes, request_id: bytes | None = None) -> Receipt:
        request = governance_pb2.SetPolicyRequest(
            request_id=request_id or random_uid(), collection_uid=self.uid, policy=data
        )
        return Receipt.from_signed(self.stub.SetPolicy(request, timeout=30).receipt)[0]

    def accept(self, digest: bytes | None = None, request_id: bytes | None = None) -> Receipt:
        request = governance_pb2.AcceptPolicyRequest(
            request_id=request_id or random_uid(),
            collection_uid=self.uid,
            policy_digest=self.digest if digest is None else digest,
        )
        return Receipt.from_signed(self.stub.AcceptPolicy(request, timeout=30).receipt)[0]

    def shown(self, version: int = 0) -> Policy:
        request = governance_pb2.GetPolicyRequest(collection_uid=self.uid, version=version)
        return Policy.from_signed(self.stub.GetPolicy(request, timeout=30).policy.policy)[0]

    def history(self) -> governance_pb2.GetPolicyHistoryResponse:
        request = governance_pb2.GetPolicyHistoryRequest(collection_uid=self.uid)
        return self.stub.GetPolicyHistory(request, timeout=30)

    @property
    def digest(self) -> bytes:
        assert self.policy is not None
        return self.policy.digest

    # Consents

    def consent(self, **changes: Any) -> Consent:
        """Record a consent to the version in force."""
        given = consent(self.policy, **{"record_id": random_uid(), "event_time": NOON} | changes)
        self.record(given)
        return given

    def record(self, given: Consent, request_id: bytes | None = None) -> Receipt:
        request = governance_pb2.RecordConsentRequest(
            request_id=request_id or random_uid(), collection_uid=self.uid, consent=given.to_bytes()
        )
        return Receipt.from_signed(self.stub.RecordConsent(request, timeout=30).receipt)[0]

    def withdraw(self, record_id: bytes, request_id: bytes | None = None) -> Receipt:
        request = governance_pb2.WithdrawConsentRequest(
            request_id=request_id or random_uid(), collection_uid=self.uid, record_id=record_id
        )
        return Receipt.from_signed(self.stub.WithdrawConsent(request, timeout=30).receipt)[0]

    def states(self) -> dict[bytes, str]:
        """State by record id."""
        pages = self.stub.ListConsents(governance_pb2.ListConsentsRequest(collection_uid=self.uid), timeout=30)
        return {Consent.from_bytes(entry.consent).record_id: entry.state for page in pages for entry in page.consents}

    # Rows

    def enrol(
        self,
        batch: RowBatch,
        consents: Any = None,
        purposes: Any = ("research",),
        request_id: bytes | None = None,
        **header: Any,
    ) -> index_pb2.EnrolRowsResponse:
        """Enrol rows for purposes; ``consents`` is one for all or one each."""
        several = consents if isinstance(consents, (tuple, list)) else [consents] * len(batch.row_ids)
        ids = tuple(b"" if one is None else one if isinstance(one, bytes) else one.record_id for one in several)
        fields = {"policy_digest": self.digest, "purposes": list(purposes)} | header
        return self.caller.enrol(self.uid, replace(batch, consents=ids), request_id, **fields)

    def info(self) -> types_pb2.CollectionInfo:
        return next(info for info in self.caller.collections() if info.uid == self.uid)

    def search(self, vector: Any, purpose: str = "research") -> Any:
        """Scores by slot, NaN where nothing was scored."""
        return self.caller.search(self.info(), vector, purpose=purpose)

    # Rights

    def erase_subject(self, subject: bytes, request_id: bytes | None = None) -> ErasureCertificate:
        request = governance_pb2.EraseSubjectRequest(
            request_id=request_id or random_uid(), collection_uid=self.uid, subject=subject
        )
        return ErasureCertificate.from_signed(self.stub.EraseSubject(request, timeout=60).certificate)[0]

    def export(self, subject: bytes) -> list[governance_pb2.ExportSubjectResponse]:
        request = governance_pb2.ExportSubjectRequest(collection_uid=self.uid, subject=subject)
        return list(self.stub.ExportSubject(request, timeout=60))

    def certificates(self) -> list[ErasureCertificate]:
        pages = self.stub.ListCertificates(governance_pb2.ListCertificatesRequest(collection_uid=self.uid), timeout=30)
        return [ErasureCertificate.from_signed(data)[0] for page in pages for data in page.certificates]

    def hold(
        self, reason_code: str, subject: bytes = b"", lift: bool = False, request_id: bytes | None = None
    ) -> governance_pb2.Hold:
        request = governance_pb2.SetHoldRequest(
            request_id=request_id or random_uid(),
            collection_uid=self.uid,
            subject=subject,
            reason_code=reason_code,
            lift=lift,
        )
        return self.stub.SetHold(request, timeout=30).hold

    def holds(self) -> list[governance_pb2.Hold]:
        return list(self.stub.ListHolds(governance_pb2.ListHoldsRequest(collection_uid=self.uid), timeout=30).holds)

    def break_glass(self, **fields: Any) -> governance_pb2.EmergencyGrant:
        usual: dict[str, Any] = {"request_id": random_uid(), "reason_code": "FILE-1", "seconds": 3600}
        request = governance_pb2.BreakGlassRequest(collection_uid=self.uid, **usual | fields)
        return self.stub.BreakGlass(request, timeout=30).grant

    def emergencies(self) -> list[governance_pb2.EmergencyGrant]:
        request = governance_pb2.ListBreakGlassRequest(collection_uid=self.uid)
        return list(self.stub.ListBreakGlass(request, timeout=30).grants)


class Hands:
    """The hands of a clock, moved by a test."""

    def __init__(self) -> None:
        self.wall_s: float = NOON
        self.steady_s: float = 1000.0

    def pass_s(self, seconds: float) -> None:
        """Time passes, as it does."""
        self.wall_s += seconds
        self.steady_s += seconds

    def clock(self, store: FactStore, accept: bool = False) -> Clock:
        return Clock(store, lambda: self.wall_s, lambda: self.steady_s, accept)


class OwnServer:
    """The server on an event loop of its own in this process, with a clock that a test moves. Started at will."""

    def __init__(self, folder: Path) -> None:
        self.hands = Hands()
        self.data = folder / "data"
        options = ["--data", self.data, "--listen", "127.0.0.1:0", "--master-key", folder / "master.key"]
        self._config = from_arguments([*map(str, options), "--threads", "1"])
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self.running: RunningServer | None = None

    def start(self, accept_clock: bool = False) -> OwnServer:
        config = replace(self._config, accept_clock=accept_clock)
        self.running = self.do(start(config, make_clock=self.hands.clock))
        return self

    def do(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Run something on the server's loop."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(120)

    @property
    def port(self) -> int:
        assert self.running is not None
        return self.running.port

    @property
    def ring(self) -> KeyRing:
        """The keys of the store."""
        assert self.running is not None
        assert isinstance(self.running.store, DurableStore)
        return self.running.store.ring

    def run_retention(self) -> int:
        """Have the job run now; how many rows it erased."""
        assert self.running is not None
        return int(self.do(self.running.retention.once()))

    def stop(self) -> None:
        if self.running is not None:
            running, self.running = self.running, None
            self.do(running.stop())

    def end(self) -> None:
        """Leave nothing running."""
        try:
            self.stop()
        finally:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()
