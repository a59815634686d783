"""What one client keeps between calls: keys, mirrors, prepared queries, the collections it has seen. Never the network.

Held by the device. Everything here is safe to use from several threads, because calls may run side by side.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from unseen.deid.settings import DeidSettings
from unseen.types import CollectionInfo
from unseen_client.agreements import Agreements
from unseen_client.controller_keys import ControllerKeys
from unseen_client.home import default_home, private_folder
from unseen_client.keystore import KeyStore
from unseen_client.mirror import Mirror
from unseen_client.pool import QueryPool
from unseen_client.report import ServerInfo
from unseen_client.retry import Patience

if TYPE_CHECKING:
    from unseen_client.prepare import Preparer
    from unseen_client.privacy.book import PrivacyBook

DEFAULT_TIMEOUT_S = 30.0
"""Time enough for a restart of the server or for a slow uplink; a query takes well under a second."""


class Session:
    """The state behind ``Client`` and ``AsyncClient``."""

    def __init__(
        self,
        server: str,
        timeout_s: float,
        home: Path | None = None,
        clock: Callable[[], float] = time.monotonic,
        deid: DeidSettings | None = None,
        wall_clock_s: Callable[[], float] = time.time,
    ) -> None:
        self.patience = Patience(timeout_s, clock, server)
        self.home = home or default_home()
        self.keys = KeyStore(self.home)
        self.controller_keys = ControllerKeys(self.home)
        self.agreements = Agreements(self.home)
        self.wall_clock_s = wall_clock_s
        """Seconds since 1970, for the dates of policies and consents."""
        self.pool = QueryPool()
        self.server: ServerInfo | None = None
        self._lock = threading.Lock()
        self._collections: dict[str, CollectionInfo] = {}
        self._mirrors: dict[Path, Mirror] = {}
        self._deid = deid
        self._preparer: Preparer | None = None
        self._book: PrivacyBook | None = None

    def known(self, name: str) -> CollectionInfo | None:
        """The collection as last seen, or None."""
        return self._collections.get(name)

    def remember(self, collection: CollectionInfo) -> CollectionInfo:
        """Keep what the server said of a collection."""
        self._collections[collection.name] = collection
        return collection

    def forget(self, name: str) -> None:
        """Ask the server next time."""
        self._collections.pop(name, None)

    def mirror(self, store_uid: bytes, collection_uid: bytes) -> Mirror:
        """The mirror of one collection of one store, opened once."""
        path = self._mirror_path(store_uid, collection_uid)
        with self._lock:
            if path not in self._mirrors:
                for level in (self.home, path.parent.parent):
                    private_folder(level)
                self._mirrors[path] = Mirror(path)
            return self._mirrors[path]

    def destroy(self, store_uid: bytes, collection_uid: bytes) -> None:
        """Remove the mirror and the record key of a collection that is no more."""
        path = self._mirror_path(store_uid, collection_uid)
        with self._lock:
            if path in self._mirrors:
                self._mirrors.pop(path).close()
            path.unlink(missing_ok=True)
        self.keys.forget(collection_uid)
        self.book().forget_collection(collection_uid)
        self.agreements.forget(collection_uid)

    def preparer(self) -> Preparer:
        """Decoding, de-identification and embedding; loaded at first use, because models are large."""
        from unseen_client.prepare import Preparer

        with self._lock:
            if self._preparer is None:
                self._preparer = Preparer(deid=self._deid)
            return self._preparer

    def book(self) -> PrivacyBook:
        """The ledger of noise and its budgets, opened once."""
        from unseen_client.privacy.book import PrivacyBook

        with self._lock:
            self._book = self._book or PrivacyBook(self.home)
            return self._book

    def close(self) -> None:
        """Close every file and stop every thread and child of this client."""
        self.pool.close()
        with self._lock:
            for mirror in self._mirrors.values():
                mirror.close()
            self._mirrors.clear()
            if self._preparer is not None:
                self._preparer.close()
                self._preparer = None

    def _mirror_path(self, store_uid: bytes, collection_uid: bytes) -> Path:
        return self.home / "mirrors" / store_uid.hex() / f"{collection_uid.hex()}.sqlite"
