"""Whom and what right messages name: looked up by asking the server as its tenants do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import grpc
from google.protobuf.message import Message

from bench.hostile.stage import AGREED, FREE, OWNED, Stage
from bench.measure import PASSPHRASE
from unseen.entropy import random_uid
from unseen.errors import UnseenError
from unseen.governance.consent import Consent
from unseen.governance.keys import KeyPair
from unseen.governance.policy import Policy
from unseen.v1 import collections_pb2, governance_pb2, index_pb2, types_pb2
from unseen_client import rpcs
from unseen_client.keys.controller_keys import ControllerKeys
from unseen_client.keys.vault import Vault
from unseen_client.steps import Rpc

TRIES = 5


@dataclass(frozen=True)
class Cast:
    """Who and what right messages name: things of the rogue tenant that are there."""

    free: types_pb2.CollectionInfo
    agreed: types_pb2.CollectionInfo
    owned: types_pb2.CollectionInfo
    """Owner-encrypted."""
    owned_row: tuple[bytes, int]
    """One of its rows, and its slot."""
    policy: Policy
    key: KeyPair
    row_ids: tuple[bytes, ...]
    consent: Consent
    """What the rows of the agreed collection rest on."""
    later: Consent
    """The newest one, of another data subject if there is one: it may be withdrawn and erased."""
    made: bytes
    """A collection that may be deleted; random where there is none."""
    foreign: tuple[bytes, ...]
    """Uids of another tenant: collections, rows."""

    @property
    def has_later(self) -> bool:
        return self.later.pii_principal_id != self.consent.pii_principal_id

    @property
    def subject(self) -> bytes:
        """A data subject whom none of the first rows is of."""
        return self.later.pii_principal_id if self.has_later else random_uid()


def cast_of(stage: Stage, before: Cast | None = None) -> Cast:
    """Looked up by asking the server, the rogue tenant's things made anew where a message did away with them.

    The one before stands where other callers' messages undo that again and again.
    """
    for tried in range(TRIES):
        try:
            stage.furnish_rogue(anew=tried > 0)
            return _cast_of(stage)
        except (grpc.RpcError, UnseenError, IndexError):  # another caller's messages did away with something meanwhile
            continue
    if before is not None:
        return before
    raise RuntimeError(f"what the rogue tenant needs was not there after {TRIES} tries")


def _cast_of(stage: Stage) -> Cast:
    with grpc.insecure_channel(stage.address) as channel:
        rogue, owner = Asking(channel, stage.tokens.rogue), Asking(channel, stage.tokens.owner)
        free, agreed, owned = (rogue.collection(name) for name in (FREE, AGREED, OWNED))
        shown = rogue.ask(rpcs.GET_POLICY, governance_pb2.GetPolicyRequest(collection_uid=agreed.uid))[0]
        listed = rogue.ask(rpcs.LIST_CONSENTS, governance_pb2.ListConsentsRequest(collection_uid=agreed.uid))
        consents = [Consent.from_bytes(entry.consent) for page in listed for entry in page.consents]
        kept, home = owner.collection(FREE), stage.home("rogue")
        return Cast(
            free,
            agreed,
            owned,
            rogue.slots(owned.uid)[0],
            Policy.from_signed(shown.policy.policy)[0],
            ControllerKeys(home, Vault(home, PASSPHRASE)).get("controller").key,
            rogue.rows(free.uid) or (random_uid(),),
            consents[0],
            consents[-1],
            rogue.made(),
            (kept.uid, owner.collection(AGREED).uid, owner.collection(OWNED).uid, *owner.rows(kept.uid)[:4]),
        )


class Asking:
    """One caller that asks rightly."""

    def __init__(self, channel: grpc.Channel, token: str) -> None:
        self._channel = channel
        self._metadata = (("authorization", f"Bearer {token}"),)

    def ask(self, rpc: Rpc, request: Message) -> list[Any]:
        """Every message of the reply; any method is a stream for gRPC."""
        call = self._channel.stream_stream(
            rpc.path, lambda message: message.SerializeToString(), rpc.reply_type.FromString
        )
        return list(call(iter([request]), metadata=self._metadata, timeout=60))

    def collection(self, name: str) -> types_pb2.CollectionInfo:
        reply = self.ask(rpcs.GET_COLLECTION, collections_pb2.GetCollectionRequest(name=name))[0]
        found: types_pb2.CollectionInfo = reply.collection
        return found

    def made(self) -> bytes:
        """The uid of a collection that some message made."""
        reply = self.ask(rpcs.LIST_COLLECTIONS, collections_pb2.ListCollectionsRequest())[0]
        others = [one.uid for one in reply.collections if one.name not in (FREE, AGREED, OWNED)]
        return others[0] if others else random_uid()

    def rows(self, uid: bytes) -> tuple[bytes, ...]:
        return tuple(row_id for row_id, _ in self.slots(uid))

    def slots(self, uid: bytes) -> list[tuple[bytes, int]]:
        """Each row with its slot."""
        pages = self.ask(rpcs.SYNC_CATALOGUE, index_pb2.SyncCatalogueRequest(collection_uid=uid))
        return [(entry.row_id, entry.slot) for page in pages for entry in page.added]
