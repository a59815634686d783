"""The page that Prometheus reads: HTTP on a port of its own, by the same rules as the service itself.

Without TLS it listens on loopback only; with TLS it shows the server's certificate and, where clients of the service
need one of an authority, so do readers of this page. It shows counts and sizes, never content.
"""

from __future__ import annotations

import socket
import ssl
import threading
from socketserver import TCPServer, ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import CollectorRegistry, make_wsgi_app

from unseen.errors import InvalidConfiguration
from unseen_server.certificates import TlsFiles

MOST_WAIT_S = 10.0
"""A reader that is slower than this is let go."""


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True
    block_on_close = False

    def server_bind(self) -> None:
        """As the standard library does it, but without asking a name server who we are."""
        TCPServer.server_bind(self)
        host, port = self.server_address[:2]
        self.server_name, self.server_port = str(host), port
        self.setup_environ()


class _Server6(_Server):
    address_family = socket.AF_INET6


class _Handler(WSGIRequestHandler):
    timeout = MOST_WAIT_S

    def log_message(self, *_: Any) -> None:
        """Who reads metrics is nothing to write down."""


class Page:
    """Serves until it is closed."""

    def __init__(self, host: str, port: int, tls: TlsFiles | None, registry: CollectorRegistry) -> None:
        """Listen; InvalidConfiguration when the port is taken."""
        kind = _Server6 if ":" in host else _Server
        try:
            self._server = make_server(host, port, make_wsgi_app(registry), kind, _Handler)
        except OSError as error:
            raise InvalidConfiguration(f"--metrics {host}:{port} cannot be listened on: {error.strerror}") from error
        if tls is not None:
            self._server.socket = _context(tls).wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        self.port = self._server.server_port
        self._thread = threading.Thread(target=self._server.serve_forever, name="unseen-metrics", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _context(tls: TlsFiles) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(tls.certificate, tls.key)
        if tls.client_authority is not None:
            context.load_verify_locations(tls.client_authority)
            context.verify_mode = ssl.CERT_REQUIRED
    except OSError as error:
        raise InvalidConfiguration("the TLS files are no certificate and its key, or no authority") from error
    return context
