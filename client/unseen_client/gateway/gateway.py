"""The gateway, wired: a node that listens, a queue on the disk, an enroller, and what this machine's programs may ask.

    PACS -- C-STORE --> node (process of its own) --> queue, sealed --> enroller --> server
                                                        |                 '--> quarantine, sealed
    programs of this machine -- REST on loopback --> similar studies, health, counts; STOW-RS --> queue

Runs at the edge of the site, with the folder of keys of a device. The node goes on accepting while the server is away,
until the queue is full.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from unseen.embed.dicom_model import is_dicom_model
from unseen.errors import (
    DeadlineExceeded,
    InvalidConfiguration,
    InvalidInput,
    ModelMismatch,
    ServerBusy,
    ServerUnavailable,
)
from unseen_client.deid.site_key import site_key
from unseen_client.gateway import rest, stow
from unseen_client.gateway.enroller import Enroller
from unseen_client.gateway.node_process import NodeProcess
from unseen_client.gateway.node_settings import NodeSettings
from unseen_client.gateway.quarantine import Bounds
from unseen_client.gateway.queue import COUNTED_FOR_S, Queue, QueuedObject, queue_key
from unseen_client.home import default_home, disk_failures, private_folder

if TYPE_CHECKING:
    from unseen_client.report import DicomEnrolReport
    from unseen_client.sync import Client

QUEUE_NAME = "gateway"
DEFAULT_REST_PORT = 11180
DEFAULT_QUEUE_BYTES = 20 << 30
FRAMES_PER_OBJECT = 8


@dataclass(frozen=True)
class GatewaySettings:
    """Everything a site chooses."""

    node: NodeSettings
    home: Path = field(default_factory=default_home)
    queue: Path | None = None
    """Folder of the queue; None: ``gateway`` in the folder of keys. On another disk, a thief of it finds no study."""
    queue_bytes: int = DEFAULT_QUEUE_BYTES
    quarantine: Bounds = field(default_factory=Bounds)
    rest_port: int = DEFAULT_REST_PORT
    text: str = "risky"
    frames: int = FRAMES_PER_OBJECT
    """Of one object that has many; 0 for all."""
    tags: tuple[str, ...] = ()
    subject: str | None = None
    consent: str | None = None
    purpose: tuple[str, ...] = ()

    @property
    def folder(self) -> Path:
        """Where the queue lies."""
        return self.queue or self.home / QUEUE_NAME

    @property
    def kept(self) -> Bounds:
        """The bounds of the quarantine, which takes half of the queue at most: what was refused shuts nobody out."""
        return replace(self.quarantine, most_bytes=min(self.quarantine.most_bytes, self.queue_bytes // 2))


def open_queue(home: Path, folder: Path, most_bytes: int = DEFAULT_QUEUE_BYTES) -> Queue:
    """The queue of the device with this folder of keys; InvalidConfiguration, IntegrityError, StoreFailed."""
    return Queue(folder, queue_key(site_key(home)), most_bytes)


def run(
    client: Client, name: str, settings: GatewaySettings, stop: threading.Event, ready: Callable[[int, int], None]
) -> None:
    """Accept and enrol until ``stop`` is set; ``ready`` is told the ports of the node and of REST once both listen.

    Raises InvalidConfiguration, ModelMismatch, CollectionNotFound and others for what no waiting mends.
    """
    _require_collection(client, name)
    queue = open_queue(settings.home, settings.folder, settings.queue_bytes)
    with alone(settings.folder):
        queue.sweep()
        key = queue_key(site_key(settings.home))
        settings.kept.write(settings.folder)
        enroller = Enroller(queue, partial(_enrol, client, name, settings), settings.kept)
        node = NodeProcess(settings.node, settings.folder, key, settings.queue_bytes)
        try:
            asked = Asked(client, name, queue, enroller, node)
            largest = settings.node.largest_mib << 20
            server = rest.RestServer(settings.rest_port, rest.token_of(settings.home), asked.by_path(), largest)
            try:
                ready(node.port, server.port)
                enroller.run(stop)
            finally:
                server.close()
        finally:
            node.close()


def _require_collection(client: Client, name: str) -> None:
    """Refuse a collection that can never take objects; a server that does not answer yet is waited for later."""
    try:
        collection = client.collection(name)
    except (ServerUnavailable, ServerBusy, DeadlineExceeded):
        return
    if not is_dicom_model(collection.model_id):
        raise ModelMismatch(
            f"collection {name!r} is not one of DICOM objects; create one with `unseen create NAME --model "
            "bundled+dicom`"
        )


def _enrol(client: Client, name: str, settings: GatewaySettings, batch: list[QueuedObject]) -> DicomEnrolReport:
    return client.enrol_dicom(
        name,
        batch,
        pictures_per_volume=settings.frames,
        every_object=True,
        text=settings.text,
        tags=settings.tags,
        subject=settings.subject,
        consent=settings.consent,
        purpose=settings.purpose or None,
    )


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """One gateway for one queue: a second would sweep away what the first is writing."""
    path = private_folder(folder) / "lock"
    try:
        import fcntl
    except ImportError:  # not a POSIX system
        yield
        return
    with disk_failures(path):
        file = path.open("ab")
    with file:
        with disk_failures(path):
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise InvalidConfiguration(
                    f"another gateway works on the queue {folder}; end it, or give another --queue"
                ) from None
        yield


class Asked:
    """What the REST server answers."""

    def __init__(self, client: Client, name: str, queue: Queue, enroller: Enroller, node: NodeProcess) -> None:
        self._client = client
        self._name = name
        self._queue = queue
        self._enroller = enroller
        self._node = node

    def by_path(self) -> dict[tuple[str, str], rest.Ask]:
        """Each answer by its method and path."""
        return {
            ("GET", "/health"): self.health,
            ("GET", "/metrics"): self.metrics,
            ("POST", "/similar"): self.similar,
            ("POST", "/studies"): partial(stow.store, self._queue.put),
        }

    def health(self, media_type: str, body: bytes) -> rest.Answer:
        """Whether objects are taken, what their enrolment waits for, and whether somebody is to look at the refused."""
        taken, work = self._node.is_running, self._enroller.work
        status = "no node" if not taken else "waiting" if work.waiting_for else "ok"
        held = "holds objects" if self._queue.counts(COUNTED_FOR_S).refused else "empty"
        quarantine = "destroys the oldest" if work.destroyed else held
        told = {"status": status, "waiting_for": work.waiting_for, "quarantine": quarantine}
        return rest.as_json(told, 200 if taken else 503)

    def metrics(self, media_type: str, body: bytes) -> rest.Answer:
        """Counts in Prometheus' text format 0.0.4."""
        counts, work = self._queue.counts(), self._enroller.work
        oldest_s = time.time() - counts.oldest_s if counts.oldest_s else 0.0
        gauges = {
            "objects_waiting": counts.waiting,
            "objects_in_quarantine": counts.refused,
            "queue_bytes": counts.size_bytes,
            "oldest_waiting_seconds": round(oldest_s, 3),
            "node_up": int(self._node.is_running),
            "server_waited_for": int(bool(work.waiting_for)),
            "last_enrolled_timestamp_seconds": round(work.enrolled_at_s, 3),
        }
        totals = {
            "enrolled": work.enrolled,
            "refused": work.refused,
            "quarantine_destroyed": work.destroyed,
            "node_restarts": self._node.restarts,
        }
        lines = [f"# TYPE unseen_gateway_{name} gauge\nunseen_gateway_{name} {value}" for name, value in gauges.items()]
        lines += [
            f"# TYPE unseen_gateway_{name}_total counter\nunseen_gateway_{name}_total {value}"
            for name, value in totals.items()
        ]
        return 200, rest.TEXT_TYPE, ("\n".join(lines) + "\n").encode()

    def similar(self, media_type: str, body: bytes) -> rest.Answer:
        """The studies most like one, under their real names."""
        match rest.read_fields(body):
            case {"study": str(study), "reason": str(reason), **rest_of}:
                top_k, purpose = rest_of.get("top_k", 10), rest_of.get("purpose")
            case _:
                raise InvalidInput('expected {"study": UID, "reason": text}, and "top_k" and "purpose" if wanted')
        if not isinstance(top_k, int) or isinstance(top_k, bool) or not isinstance(purpose, str | None):
            raise InvalidInput("expected a whole number for top_k and a text for purpose")
        found = self._client.similar_studies(self._name, study, top_k=top_k, reason=reason, purpose=purpose)
        return rest.as_json({
            "studies": [
                {
                    "score": one.hit.score,
                    "row": one.hit.id,
                    "modality": one.hit.record.extra.get("modality", ""),
                    **({} if one.way is None else {
                        "study": one.way.study,
                        "series": one.way.series,
                        "instance": one.way.instance,
                        "frame": one.way.frame,
                    }),
                }
                for one in found
            ]
        })  # fmt: skip
