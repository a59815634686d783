"""Collections: made, looked at, deleted, given new keys."""

from __future__ import annotations

from typing import TypeAlias

from unseen.params import ParameterSet
from unseen.types import CollectionInfo
from unseen_client.calls.aio.calls import AsyncCalls
from unseen_client.progress import Watcher

Collections: TypeAlias = list[CollectionInfo]


class CollectionAsyncCalls(AsyncCalls):
    """Part of ``AsyncClient``."""

    async def create_collection(
        self,
        name: str,
        *,
        model: str | None = None,
        dimension: int | None = None,
        parameters: ParameterSet | str | None = None,
        keep_vectors: bool = True,
        metric: str = "cosine",
        longest: float = 1.0,
        protection: str = "sealed",
    ) -> CollectionInfo:
        """Make a collection for images (``model="bundled"``, the default) or for vectors of your own (``dimension=``).

        ``model`` may also name an adapter that this device has: "bundled+adapter:<hash>", see `unseen adapters`. With
        "+dicom" behind it, "bundled+dicom", the collection is one of DICOM objects, for ``enrol_dicom``.

        Its record key is made here and kept in this device's key store. ``keep_vectors`` puts each row's vector into
        its sealed record, which ``search_like`` needs. ``parameters`` names a parameter set: docs/parameters.md.

        ``metric`` says how vectors of your own are compared: "cosine", "dot", "l2" or "l1". All but cosine take vectors
        up to the length ``longest``: docs/search.md. ``protection="owner"`` encrypts the rows on this device, under a
        key that stays here: who loses it loses the collection, as ``OnlyKeyHere`` warns (docs/owner-encrypted.md). That
        key is kept under a lock only: where this device has none, every secret file of it is put under the passphrase
        of ``Client(passphrase=...)`` or UNSEEN_KEYS_PASSPHRASE first, and without one nothing is made.

        Raises CollectionExists, InvalidName, InvalidInput, InvalidConfiguration without a lock for an owner key, and
        WrongKey where this device's keys do not open.
        """
        flow = self._protocol.create_collection(
            name, model, dimension, parameters, keep_vectors, metric, longest, protection
        )
        return await self._drive(flow)

    async def collection(self, name: str) -> CollectionInfo:
        """A collection as it stands now; raises CollectionNotFound."""
        return await self._drive(self._protocol.collection(name))

    async def list_collections(self) -> Collections:
        """Every collection on the server, by name."""
        return await self._drive(self._protocol.list_collections())

    async def delete_collection(self, name: str) -> None:
        """Delete a collection with every row, its mirror and its record key; raises CollectionNotFound."""
        return await self._drive(self._protocol.delete_collection(name))

    async def rotate_keys(self, name: str, *, progress: bool | Watcher = False) -> int:
        """Give an owner-encrypted collection a new owner key and a new record key; gives how many rows it has.

        Every row goes through this device. The old keys serve until the end and open nothing there afterwards; a
        rotation that was stopped goes on when called again. The new owner key is kept under a lock only, as that of
        ``create_collection``. Raises InvalidInput for a sealed collection, KeyMissing when another device is at it,
        InvalidConfiguration without a lock, WrongKey where this device's keys do not open.
        """
        return await self._drive(self._protocol.rotate_keys(name), progress)

    async def pack(self, name: str) -> int:
        """Move rows that were enrolled one by one to where many share a block; gives how many moved.

        For owner-encrypted collections, where nobody else can: replies are shorter afterwards. Enrolment does it by
        itself when many such rows have come together. Raises InvalidInput for a sealed collection.
        """
        return await self._drive(self._protocol.pack(name))
