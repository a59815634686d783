"""Governance put together, and brought up to date after a stop."""

from __future__ import annotations

from dataclasses import dataclass

from unseen.store.interface import Store
from unseen_server.audit import Audit
from unseen_server.engine import Engine
from unseen_server.governance.admission import Admission
from unseen_server.governance.agreements import Agreements
from unseen_server.governance.clock import Clock
from unseen_server.governance.consenting import Consenting
from unseen_server.governance.erasing import Erasing
from unseen_server.governance.facts import Facts
from unseen_server.governance.office import Office
from unseen_server.governance.registry import Registry
from unseen_server.governance.rights import Rights
from unseen_server.signing import SigningKey


@dataclass(frozen=True)
class Governance:
    """Every part of it. Safe to call from several threads."""

    office: Office
    registry: Registry
    admission: Admission
    agreements: Agreements
    consenting: Consenting
    erasing: Erasing
    rights: Rights


def assemble(store: Store, engine: Engine, clock: Clock, signing_key: SigningKey, audit: Audit) -> Governance:
    """Read what was written down, finish what a stop interrupted; IntegrityError when it cannot be understood.

    The engine is loaded by now.
    """
    office = Office(store, Facts(store), clock, signing_key, audit)
    registry = Registry(office, engine)
    admission = Admission(office, registry)
    consenting = Consenting(office, registry, admission)
    governance = Governance(
        office,
        registry,
        admission,
        Agreements(office, registry),
        consenting,
        Erasing(office, registry),
        Rights(office, registry, consenting),
    )
    for terms in registry.all():
        if live := engine.live(terms.uid):
            admission.finish_interrupted(live, terms)
    return governance
