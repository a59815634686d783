"""The DICOM node: C-ECHO and C-STORE as a service class provider, by pynetdicom, within limits (PS3.4 B, PS3.7, PS3.8).

Runs at the edge of the site, in a process of its own (``node_child``). It parses protocol units and command sets; of an
object it knows the SOP class, the SOP instance and the bytes, which go into the queue unread. What it holds in the
clear is what is on its way in, and the key of the queue.

What pynetdicom leaves open is closed here: a unit of data announces up to 4 GiB and is read before anybody looks; an
association may go on sending while its last object is being written; a peer may stop in the middle of a unit, or of the
TLS handshake, for ever; connections that ask for nothing are not counted.
"""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from weakref import WeakSet

from pynetdicom import AE, evt
from pynetdicom.association import Association
from pynetdicom.transport import AssociationSocket, RequestHandler, ThreadedAssociationServer

from unseen.errors import InvalidConfiguration, StoreFailed
from unseen_client.gateway.bounded_threads import BoundedThreads
from unseen_client.gateway.contexts import CONTEXTS
from unseen_client.gateway.node_settings import NodeSettings

Accept = Callable[[bytes, str], object]
"""Takes a Part 10 file and who sent it, and returns when it is safe; StoreFailed."""
LARGEST_UNIT_BYTES = 256 << 10
"""Of one protocol data unit; senders are told (PS3.8 section D.1), the rest are cut off."""
MOST_COMMAND_BYTES = 1 << 20
"""Of everything beside the object between two answers: headers of its fragments and the command set."""
HANDSHAKE_S = 10.0
SUCCESS, OUT_OF_RESOURCES = 0x0000, 0xA700
"""PS3.4 table B.2-1: Success; Refused: Out of Resources."""


class Node:
    """Listens until it is stopped."""

    def __init__(self, settings: NodeSettings, accept: Accept) -> None:
        """Bind the port; InvalidConfiguration when that or a PEM file fails."""
        self._accept = accept
        self._sealing = threading.Lock()
        entity = AE(ae_title=settings.title)
        entity.supported_contexts = CONTEXTS
        entity.require_called_aet = True
        entity.require_calling_aet = list(settings.senders)
        entity.maximum_associations = settings.associations
        entity.maximum_pdu_size = LARGEST_UNIT_BYTES
        entity.dimse_timeout = entity.network_timeout = settings.idle_s
        entity.acse_timeout = min(HANDSHAKE_S, settings.idle_s)
        handlers: list[evt.EventHandlerType] = [(evt.EVT_C_STORE, self._stored), (evt.EVT_C_ECHO, _echoed)]
        try:
            self._server = entity.make_server(
                (settings.host, settings.port),
                ssl_context=_tls(settings),
                evt_handlers=handlers,
                server_class=_Server,
                request_handler=_Handler,
                limits=Limits(settings),
            )
        except OSError as error:
            raise InvalidConfiguration(
                f"cannot listen on {settings.host}:{settings.port}: {error.strerror}; choose another port"
            ) from error
        entity._servers.append(self._server)  # noqa: SLF001 - as start_server does; shutdown takes it out again

    @property
    def port(self) -> int:
        """The port that is listened on."""
        return int(self._server.server_address[1])

    def serve(self) -> None:
        """Answer until ``stop``."""
        self._server.serve_forever(0.2)

    def stop(self) -> None:
        """Take no more; what is being written is finished by its thread."""
        self._server.shutdown()

    def _stored(self, event: evt.Event) -> int:
        """Anything else that fails, such as UIDs that are none, is C211, Cannot Understand: pynetdicom answers so."""
        with bounds_of(event.assoc).answering():
            try:
                with self._sealing:  # one at a time: each is held several times over until it is on the disk
                    self._accept(event.encoded_dataset(), event.assoc.requestor.ae_title.strip())
            except (StoreFailed, MemoryError):
                return OUT_OF_RESOURCES
            return SUCCESS


def _echoed(event: evt.Event) -> int:
    with bounds_of(event.assoc).answering():
        return SUCCESS


class Limits:
    """What all associations of a node may hold together."""

    def __init__(self, settings: NodeSettings) -> None:
        self.settings = settings
        self.largest_bytes = settings.largest_mib << 20
        self.most_bytes = 2 * self.largest_bytes
        self.connections = 2 * settings.associations
        """Twice the associations, so that one too many is still told why it is rejected."""
        self._connections: WeakSet[BoundedSocket] = WeakSet()
        self._lock = threading.Lock()

    def take(self, connection: BoundedSocket, size: int) -> bool:
        """Whether a connection may hold so much more; it does then."""
        with self._lock:
            self._connections.add(connection)
            # Counted anew each time, so that no association can end without giving back what it held.
            if size + sum(one.held for one in self._connections if one.socket is not None) > self.most_bytes:
                return False
            connection.held += size
            return True


class BoundedSocket(AssociationSocket):
    """An association's connection that reads no more than it may, and nothing while the last object is written."""

    def bound(self, limits: Limits) -> None:
        """Begin to count."""
        self._limits = limits
        self.held = 0
        self._busy = False

    @property
    def ready(self) -> bool:
        """Whether there is something to read, and somebody who is free for it."""
        return not self._busy and self.assoc.dimse.msg_queue.empty() and super().ready

    def recv(self, nr_bytes: int) -> bytearray:
        """Read so many bytes, within limits and a time; OSError, upon which the association ends."""
        if nr_bytes > LARGEST_UNIT_BYTES + 6 or self.held + nr_bytes > self._limits.largest_bytes + MOST_COMMAND_BYTES:
            raise OSError("a unit of data, or an object, is larger than allowed")
        if self.socket is None or not self._limits.take(self, nr_bytes):
            raise OSError("more is on its way in than the node may hold")
        data = bytearray(nr_bytes)
        until_s, view, at = time.monotonic() + self._limits.settings.idle_s, memoryview(data), 0
        while at < nr_bytes:
            self.socket.settimeout(max(0.01, until_s - time.monotonic()))
            count = self.socket.recv_into(view[at:])
            if not count:
                break
            at += count
        view.release()
        return data[:at] if at < nr_bytes else data

    def _shutdown_socket(self) -> None:
        """Close what the peer has closed already, too, and let go of an association that will not be asked for."""
        connection = self.socket
        super()._shutdown_socket()
        if connection is not None:
            connection.close()
        if self.assoc.requestor.primitive is None:  # its thread would wait for a request, and keep its place
            requests: Any = self.assoc.dul.to_user_queue
            requests.put(None)  # as if none had come in time

    def answering(self) -> _Answering:
        """For the length of a block: nothing is read, and then what came before is no longer held."""
        return _Answering(self)


class _Answering:
    def __init__(self, connection: BoundedSocket) -> None:
        self._connection = connection

    def __enter__(self) -> None:
        self._connection._busy = True  # noqa: SLF001 - the two are one thing

    def __exit__(self, *_: object) -> None:
        self._connection.held = 0
        self._connection._busy = False  # noqa: SLF001


def bounds_of(association: Association) -> BoundedSocket:
    """The connection of an association that this node accepted."""
    connection = association.dul.socket
    if not isinstance(connection, BoundedSocket):
        raise OSError("the connection is closed")
    return connection


class _Server(BoundedThreads, ThreadedAssociationServer):
    """Counts connections, and leaves the TLS handshake to the connection's own thread."""

    request_queue_size = 64

    def __init__(self, *given: Any, limits: Limits, **named: Any) -> None:
        self.limits = limits
        self.free = threading.BoundedSemaphore(limits.connections)
        super().__init__(*given, **named)

    def get_request(self) -> tuple[socket.socket, Any]:
        if self.socket is None:
            raise OSError("not listening")
        connection, address = self.socket.accept()
        connection.settimeout(HANDSHAKE_S)
        if self.ssl_context is not None:
            connection = self.ssl_context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
        return connection, address

    def verify_request(self, request: Any, client_address: Any) -> bool:
        return len(self.active_associations) < self.limits.connections and super().verify_request(
            request, client_address
        )


class _Handler(RequestHandler):
    server: _Server

    def setup(self) -> None:
        if isinstance(self.request, ssl.SSLSocket):
            self.request.do_handshake()

    def _create_association(self) -> Association:
        association = super()._create_association()
        connection: Any = association.dul.socket
        connection.__class__ = BoundedSocket  # pynetdicom has no other place to say so
        connection.bound(self.server.limits)
        return association


def _tls(settings: NodeSettings) -> ssl.SSLContext | None:
    """TLS 1.2 and later with certificates on both sides (PS3.15 section B.12); None without files."""
    if not settings.certificate:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.verify_mode = ssl.CERT_REQUIRED
    try:
        context.load_cert_chain(Path(settings.certificate), Path(settings.key))
        context.load_verify_locations(Path(settings.authority))
    except (OSError, ssl.SSLError) as error:
        raise InvalidConfiguration(f"the node's certificate, key or authority cannot be used: {error}") from error
    return context
