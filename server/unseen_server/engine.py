"""All collections of a store, in memory and answering. What a caller asks for is checked here against what there is.

A collection that is not the caller's is answered as one that is not there, by the same steps: nobody learns of another
tenant's collections, nor how many there are. Request ids come here as ``Call.own_request_id`` gives them.

The server holds it: it is the only place where opened vectors live. Made once at start from the store alone.
"""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Callable

from unseen import params
from unseen.errors import (
    BlockChanged,
    CollectionNotFound,
    InvalidInput,
    InvalidName,
    LimitExceeded,
    ModelMismatch,
    NotPermitted,
    ParameterMismatch,
    RequestReplayed,
)
from unseen.he import packing
from unseen.he.mask import MaskSource
from unseen.he.owner import layout
from unseen.he.scan_threads import ScanThreads
from unseen.params import ParameterSet
from unseen.store.interface import NewCollection, Store, StoredCollection
from unseen.types import CollectionInfo
from unseen_server import limits
from unseen_server.call import Caller
from unseen_server.live_collection import LiveCollection
from unseen_server.masks_ahead import MasksAhead
from unseen_server.owner_collection import OwnerCollection
from unseen_server.sealed_collection import SealedCollection

MakeMasks = Callable[[ParameterSet], MaskSource]

_NAME = re.compile(rf"[a-z0-9][a-z0-9._-]{{0,{limits.MAX_NAME_LENGTH - 1}}}")
_MODEL_ID = re.compile(rf"[!-~]{{1,{limits.MAX_MODEL_ID_LENGTH}}}")


class Engine:
    """Finds, makes and deletes collections. Safe to call from several threads."""

    def __init__(self, store: Store, make_masks: MakeMasks, threads: int) -> None:
        self._store = store
        self._make_masks = make_masks
        self._threads = ScanThreads(threads)
        self._masks: dict[str, MasksAhead] = {}
        self._live: dict[bytes, LiveCollection] = {}
        self._uids: dict[tuple[str, str], bytes] = {}
        self._making = threading.Lock()

    def load(self) -> None:
        """Fill the memory from the store; ParameterMismatch when it holds a set that this release does not know."""
        for stored in self._store.collections():
            self._add(stored)

    def close(self) -> None:
        """Stop making masks, and end the threads that scan."""
        for masks in self._masks.values():
            masks.source.close()
        self._threads.close()

    @property
    def rows(self) -> int:
        """Live rows of everybody, for the server's own log."""
        return sum(live.info.rows for live in list(self._live.values()))

    @property
    def memory_bytes(self) -> int:
        """Bytes of packed rows, everybody's."""
        return sum(live.memory_bytes for live in list(self._live.values()))

    @property
    def mask_blocks_ready(self) -> int:
        """Blocks whose masks are made ahead."""
        return sum(masks.blocks_ready for masks in list(self._masks.values()))

    @property
    def collection_count(self) -> int:
        """Collections of everybody."""
        return len(self._live)

    # Finding

    def collections(self, caller: Caller) -> list[CollectionInfo]:
        """Every collection within the caller's reach, sorted by name."""
        reached = [live for live in list(self._live.values()) if _reaches(caller, live)]
        return sorted((live.info for live in reached), key=lambda info: info.name)

    def by_name(self, caller: Caller, name: str) -> CollectionInfo:
        """The caller's collection of this name; CollectionNotFound when there is none."""
        uid = self._uids.get((caller.tenant, name))
        live = None if uid is None else self._live.get(uid)
        if live is None or not _reaches(caller, live):
            raise CollectionNotFound(
                "no collection has this name; `unseen collections` lists those there are, `unseen create` makes one"
            )
        return live.info

    def by_uid(self, caller: Caller, uid: bytes) -> LiveCollection:
        """The caller's collection with this uid; CollectionNotFound when there is none."""
        live = self._live.get(uid)
        if live is None or not _reaches(caller, live):
            raise _no_such_uid()
        return live

    def holds(self, caller: Caller, uid: bytes) -> bool:
        """Whether the caller has a collection with this uid."""
        live = self._live.get(uid)
        return live is not None and _reaches(caller, live)

    def live(self, uid: bytes) -> LiveCollection | None:
        """The collection with this uid, whoever's it is, None when there is none: for what the server does itself."""
        return self._live.get(uid)

    def for_mutation(self, caller: Caller, uid: bytes, request_id: bytes) -> LiveCollection:
        """As ``by_uid``; RequestReplayed when the collection is gone and the request was carried out before that."""
        try:
            return self.by_uid(caller, uid)
        except CollectionNotFound:
            if self._store.knows_request(request_id):
                raise RequestReplayed(
                    "this request was carried out before and its collection was deleted since; "
                    "a new request needs a new request id"
                ) from None
            raise

    # Making and deleting

    def create(
        self, caller: Caller, request_id: bytes, name: str, dimension: int, parameter_id: str, model_id: str
    ) -> CollectionInfo:
        """Make an empty collection of the caller's tenant, or find the one that this very request made."""
        _require_name(name)
        if not caller.may_touch(caller.tenant, name):
            raise NotPermitted("the caller's token names the collections it may touch, and this is none of them")
        _require_model_id(model_id)
        parameters = None if params.is_owner(parameter_id) else params.by_id(parameter_id)
        if not packing.LEAST_DIMENSION <= dimension <= packing.MOST_DIMENSION:
            raise InvalidInput(
                f"got dimension {dimension}, expected {packing.LEAST_DIMENSION} to {packing.MOST_DIMENSION}"
            )
        if parameters is None:
            factor = layout.choose(params.owner_by_id(parameter_id), dimension)
        else:
            factor = packing.choose_factor(parameters, dimension, 1)
        with self._making:
            # A request that is known makes nothing: it is answered again or refused, by the store.
            if self._count(caller.tenant) >= limits.MAX_COLLECTIONS and not self._store.knows_request(request_id):
                raise LimitExceeded(f"a tenant has at most {limits.MAX_COLLECTIONS} collections; delete one first")
            new = NewCollection(name, dimension, parameter_id, model_id, factor, caller.tenant)
            stored = self._store.create(request_id, new)
            if stored.info.uid not in self._live:
                self._add(stored)
            return self._live[stored.info.uid].info

    def delete(self, caller: Caller, request_id: bytes, uid: bytes) -> None:
        """Destroy the caller's collection: gone from disk, then from memory, then returned."""
        with self._making:
            live = self._live.get(uid)
            if live is None or not _reaches(caller, live):
                self._repeat_deletion(request_id, uid if live is None else _never_drawn(uid), uid)
            else:
                live.delete(request_id)
                del self._live[uid]
                del self._uids[live.tenant, live.info.name]

    def require_replaceable(self, caller: Caller, uid: bytes, replaced_uid: bytes, epoch: int, name: str) -> None:
        """Refuse what ``replace`` could not do, before anything is begun; see there."""
        live = self.by_uid(caller, uid)
        if not caller.may_touch(caller.tenant, name):
            raise NotPermitted("the caller's token names the collections it may touch, and this is none of them")
        _require_name(name)
        if not params.is_owner(live.info.parameter_id):
            raise InvalidInput("only an owner-encrypted collection takes the place of another one")
        if not self.holds(caller, replaced_uid):
            return
        replaced = self.by_uid(caller, replaced_uid)
        alike = [(one.info.dimension, one.info.parameter_id, one.info.model_id) for one in (live, replaced)]
        if uid == replaced_uid or alike[0] != alike[1]:
            raise InvalidInput("an owner-encrypted collection takes the place of another one that is like it, no other")
        if replaced.info.name != name:
            raise InvalidInput("the name to be taken is another than that of the collection to be replaced")
        if replaced.info.epoch != epoch:
            raise BlockChanged("the collection to be replaced was changed since; bring the other up to it, ask again")

    def replace(
        self, caller: Caller, request_id: bytes, uid: bytes, replaced_uid: bytes, epoch: int, name: str
    ) -> CollectionInfo:
        """Destroy one collection of the caller's and give its name to another; BlockChanged when it moved since."""
        with self._making:
            live = self.by_uid(caller, uid)
            if not self._store.knows_request(request_id):
                self.require_replaceable(caller, uid, replaced_uid, epoch, name)
            before = live.info.name
            if self.holds(caller, replaced_uid):
                self._live[replaced_uid].give_way(live, request_id, epoch, name)
                del self._live[replaced_uid]
            else:  # a crash came between its destruction and the new name, or this request is a repetition
                gone = _never_drawn(replaced_uid) if replaced_uid in self._live else replaced_uid
                live.renamed(self._store.replace(request_id, uid, gone, epoch, name))
            self._uids.pop((live.tenant, before), None)
            self._uids[live.tenant, live.info.name] = uid
            return live.info

    def _repeat_deletion(self, request_id: bytes, uid_or_none: bytes, uid: bytes) -> None:
        """What the store says to a uid that it does not hold: done before by this request, or not found."""
        try:
            self._store.delete(request_id, uid_or_none)
        except CollectionNotFound:
            raise _no_such_uid() from None

    def _count(self, tenant: str) -> int:
        return sum(live.tenant == tenant for live in self._live.values())

    def _add(self, stored: StoredCollection) -> None:
        live = self._made_live(stored)
        live.load()
        self._live[stored.info.uid] = live
        self._uids[stored.tenant, stored.info.name] = stored.info.uid

    def _made_live(self, stored: StoredCollection) -> LiveCollection:
        if params.is_owner(stored.info.parameter_id):
            owner_parameters = params.owner_by_id(stored.info.parameter_id)
            return OwnerCollection(self._store, stored, owner_parameters, self._threads)
        parameters = params.by_id(stored.info.parameter_id)
        if parameters.id not in self._masks:
            self._masks[parameters.id] = MasksAhead(self._make_masks(parameters))
        return SealedCollection(self._store, stored, parameters, self._masks[parameters.id], self._threads)


def _reaches(caller: Caller, live: LiveCollection) -> bool:
    return caller.may_touch(live.tenant, live.info.name)


def _no_such_uid() -> CollectionNotFound:
    return CollectionNotFound("no collection has this uid; it was deleted or belongs to another server")


def _never_drawn(uid: bytes) -> bytes:
    """A uid that no collection has, in the place of one that is another's."""
    return hashlib.sha256(b"unseen nobody's\0" + uid).digest()[: len(uid)]


def require_parameters(info: CollectionInfo, parameter_id: str) -> None:
    """ParameterMismatch unless a message was made with the collection's parameter set."""
    if parameter_id != info.parameter_id:
        raise ParameterMismatch(
            f"the message was made with another parameter set than the collection's, which is {info.parameter_id}"
        )


def require_model(info: CollectionInfo, model_id: str) -> None:
    """ModelMismatch unless vectors were made by the collection's model."""
    if model_id != info.model_id:
        raise ModelMismatch(
            f"the vectors were made by another model than the collection's, which is {info.model_id!r}; "
            "vectors of two models cannot be compared"
        )


def _require_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise InvalidName(
            f"got a name of {len(name)} characters, expected 1 to {limits.MAX_NAME_LENGTH} of a-z, 0-9, '-', '_' "
            "and '.', first a letter or digit"
        )


def _require_model_id(model_id: str) -> None:
    if not _MODEL_ID.fullmatch(model_id):
        raise InvalidName(
            f"got a model id of {len(model_id)} characters, expected 1 to {limits.MAX_MODEL_ID_LENGTH} printable ASCII "
            "characters without spaces, or 'none'"
        )
