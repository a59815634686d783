"""What one client keeps between calls: keys, mirrors, prepared queries, the collections it has seen. Never the network.

Held by the device. Everything here is safe to use from several threads, because calls may run side by side.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unseen.audit.receipt import METADATA_KEY
from unseen.deid.settings import DeidSettings
from unseen.errors import MalformedMessage, ProofBroken
from unseen.types import CollectionInfo
from unseen_client.agreements import Agreements
from unseen_client.home import default_home, private_folder
from unseen_client.keys.controller_keys import ControllerKeys
from unseen_client.keys.keystore import CollectionKey, KeyStore
from unseen_client.keys.passphrase import PassphraseSource
from unseen_client.keys.rotations import Rotations
from unseen_client.keys.vault import Vault
from unseen_client.mirror import Mirror
from unseen_client.pool import QueryPool
from unseen_client.receipts import Act, ReceiptBook, receipts_folder
from unseen_client.report import ServerInfo
from unseen_client.retry import Patience
from unseen_client.steps import Exchange

if TYPE_CHECKING:
    from unseen.embed.model import Registry
    from unseen_client.dicom.crosswalk import Crosswalk
    from unseen_client.dicom.prepare import DicomPreparer
    from unseen_client.prepare import Preparer
    from unseen_client.privacy.book import PrivacyBook

_ORIGIN = re.compile(r"unseen/([0-9a-f]{32})/([0-9a-f]{16})")
"""An audit log's name: the store's uid and a hash that is the tenant's."""
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
        passphrase: PassphraseSource = None,
    ) -> None:
        self.patience = Patience(timeout_s, clock, server)
        self.home = home or default_home()
        self.vault = Vault(self.home, passphrase)
        self.keys = KeyStore(self.home, self.vault)
        self.controller_keys = ControllerKeys(self.home, self.vault)
        self.rotations = Rotations(self.home)
        self.agreements = Agreements(self.home)
        self.wall_clock_s = wall_clock_s
        """Seconds since 1970, for the dates of policies and consents."""
        self.pool = QueryPool()
        self.server: ServerInfo | None = None
        self.receipts: ReceiptBook | None = None
        """What this device keeps of the server's audit log; None until the server has named it."""
        self._lock = threading.Lock()
        self._collections: dict[str, CollectionInfo] = {}
        self._mirrors: dict[Path, Mirror] = {}
        self._deid = deid
        self._preparers: dict[str, Preparer] = {}
        self._dicom_preparers: dict[tuple[str, str], DicomPreparer] = {}
        self._crosswalks: dict[Path, Crosswalk] = {}
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

    def know_log(self, store_uid: bytes, origin: str) -> ReceiptBook:
        """The receipts of the audit log with this name, opened once; MalformedMessage for a name that is none."""
        found = _ORIGIN.fullmatch(origin)
        if found is None or found[1] != store_uid.hex():
            raise MalformedMessage("the server names an audit log in a way that this release does not know")
        with self._lock:
            if self.receipts is None:
                self.receipts = ReceiptBook(self._receipts_folder(store_uid) / f"{found[2]}.sqlite", origin)
            return self.receipts

    def has_receipts_of(self, store_uid: bytes) -> bool:
        """Whether this device ever kept anything of an audit log of this store."""
        return self._receipts_folder(store_uid).exists()

    def act(self, exchange: Exchange) -> Act | None:
        """What the receipt of an exchange will have to be about; None while no log is known."""
        if self.receipts is None or not exchange.requests:
            return None
        first = exchange.requests[0]
        request_id = getattr(getattr(first, "header", first), "request_id", b"")
        return Act(exchange.rpc.path.rpartition("/")[2], request_id, self.receipts.size)

    def take_receipt(self, exchange: Exchange, act: Act | None, metadata: Iterable[Any] | None) -> None:
        """Check and keep what an answer's trailing metadata carries; raises ProofBroken when there should be more."""
        if self.receipts is None or act is None:
            return
        data = next((value for key, value in metadata or () if key == METADATA_KEY), None)
        if data is not None:
            self.receipts.take(bytes(data), act)
        elif exchange.rpc.leaves_receipt:
            raise ProofBroken(
                "the server answered without a receipt of its audit log, and it has one; do not trust this server"
            )

    def destroy(self, store_uid: bytes, collection_uid: bytes) -> None:
        """Remove the mirror and the record key of a collection that is no more."""
        path = self._mirror_path(store_uid, collection_uid)
        with self._lock:
            if path in self._mirrors:
                self._mirrors.pop(path).close()
            path.unlink(missing_ok=True)
            crosswalk = self.crosswalk_path(store_uid, collection_uid)
            if crosswalk in self._crosswalks:
                self._crosswalks.pop(crosswalk).close()
            crosswalk.unlink(missing_ok=True)
        self.keys.forget(collection_uid)
        self.book().forget_collection(collection_uid)
        self.agreements.forget(collection_uid)

    def models(self, wanted: str) -> Registry:
        """The models among which one is wanted, by name or id: the bundled one, or adapters and pulled ones too."""
        return known_models(self.home, wanted)

    def preparer(self, model_id: str) -> Preparer:
        """Decoding, de-identification and embedding with one model; loaded at first use, because models are large.

        Raises ModelMismatch for a model that this device does not have.
        """
        from unseen_client.prepare import Preparer

        with self._lock:
            if model_id not in self._preparers:
                registry = self.models(model_id)
                name = registry.entry_with_id(model_id).name
                self._preparers[model_id] = Preparer(name, registry=registry, deid=self._deid)
            return self._preparers[model_id]

    def dicom_preparer(self, model_id: str, text: str = "risky") -> DicomPreparer:
        """The same for DICOM objects, with this device's site key; ``text``: where burned-in text is looked for.

        Raises InvalidConfiguration, ModelMismatch, and IntegrityError for a damaged site key.
        """
        from unseen_client.deid.dicom_settings import DicomSettings, look_for_text
        from unseen_client.dicom.prepare import DicomPreparer

        preparer = self.preparer(model_id)
        with self._lock:
            if (model_id, text) not in self._dicom_preparers:
                settings = DicomSettings(text=look_for_text(text), home=self.home)
                self._dicom_preparers[model_id, text] = DicomPreparer(preparer, settings)
            return self._dicom_preparers[model_id, text]

    def crosswalk(self, store_uid: bytes, key: CollectionKey) -> Crosswalk:
        """The way back from the rows of a collection to the objects of this site, opened once."""
        from unseen_client.deid.site_key import site_key
        from unseen_client.dicom.crosswalk import Crosswalk

        path = self.crosswalk_path(store_uid, key.collection_uid)
        with self._lock:
            if path not in self._crosswalks:
                private_folder(self.home)
                self._crosswalks[path] = Crosswalk(path, key, site_key(self.home, self.vault))
            return self._crosswalks[path]

    def forget_ways_back(self, collection_uid: bytes, rows: Iterable[bytes]) -> None:
        """Destroy what this device knows of the objects behind rows that were erased."""
        from unseen_client.dicom.crosswalk import forget_rows

        if self.server is not None:
            forget_rows(self.crosswalk_path(self.server.store_uid, collection_uid), rows)

    def crosswalk_path(self, store_uid: bytes, collection_uid: bytes) -> Path:
        """Where the crosswalk of a collection lies when there is one."""
        return self.home / "crosswalks" / store_uid.hex() / f"{collection_uid.hex()}.sqlite"

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
            for of_objects in self._dicom_preparers.values():
                of_objects.close()
            self._dicom_preparers.clear()
            for crosswalk in self._crosswalks.values():
                crosswalk.close()
            self._crosswalks.clear()
            for preparer in self._preparers.values():
                preparer.close()
            self._preparers.clear()
            if self.receipts is not None:
                self.receipts.close()
                self.receipts = None

    def _receipts_folder(self, store_uid: bytes) -> Path:
        return receipts_folder(self.home) / store_uid.hex()

    def _mirror_path(self, store_uid: bytes, collection_uid: bytes) -> Path:
        return self.home / "mirrors" / store_uid.hex() / f"{collection_uid.hex()}.sqlite"


def known_models(home: Path, wanted: str) -> Registry:
    """The models of a device among which one is wanted, by name or id: the bundled one, or adapters and pulled ones."""
    from unseen.embed.dicom_model import is_dicom_model, with_dicom, without_dicom
    from unseen.embed.registry import default_registry
    from unseen_client.adapters import AdapterShelf
    from unseen_client.models.shelf import ModelShelf

    if is_dicom_model(wanted):
        return with_dicom(known_models(home, without_dicom(wanted)))
    bundled = default_registry()
    if wanted in {*bundled.names(), *(bundled.entry(name).model_id for name in bundled.names())}:
        return bundled  # whatever lies among the adapters
    return ModelShelf(home).added_to(AdapterShelf(home).registry())
