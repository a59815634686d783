"""What every act of governance needs at hand: the store, what is written down, the time, the server's signature."""

from __future__ import annotations

from dataclasses import dataclass, replace

from unseen.audit.leaf import Details
from unseen.governance.certificate import Act, Receipt
from unseen.store.interface import Store
from unseen_server.audit import SERVER, Audit
from unseen_server.governance.clock import Clock
from unseen_server.governance.facts import Facts
from unseen_server.signing import SigningKey


@dataclass(frozen=True)
class Office:
    """Safe to share between threads."""

    store: Store
    facts: Facts
    clock: Clock
    signing_key: SigningKey
    audit: Audit

    def note(self, tenant: str, act: str, details: Details) -> None:
        """Write down in a tenant's audit log what the server did by itself; on disk when this returns."""
        self.audit.record_now(replace(SERVER, tenant=tenant), act, details=details)

    def receipt(self, act: Act, collection_uid: bytes, about: bytes, at: int, rows: int = 0) -> str:
        """A signed receipt, as the text that is written down and sent."""
        receipt = Receipt(act, collection_uid, about, at, rows)
        return receipt.signed(self.signing_key.public_key, self.signing_key.sign).to_bytes().decode()
