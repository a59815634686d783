"""The port: gRPC's server with its limits, and the address it listens on."""

from __future__ import annotations

import datetime as dt
import socket

from grpc import aio

from unseen.errors import InvalidConfiguration
from unseen_server import limits
from unseen_server.boundary import Boundary
from unseen_server.certificates import server_credentials
from unseen_server.config import Config


def make_server(boundary: Boundary) -> aio.Server:
    """A server that does not listen yet, every call of which passes the boundary."""
    return aio.server(interceptors=[boundary], options=_options(), maximum_concurrent_rpcs=limits.MAX_RPCS)


def bind(server: aio.Server, config: Config) -> int:
    """Take the port and give its number; InvalidConfiguration when it is not to be had. Nobody is answered yet."""
    address = config.address(config.port)
    try:
        if config.tls is None:
            return server.add_insecure_port(address)
        return server.add_secure_port(address, server_credentials(config.tls, lambda: dt.datetime.now(dt.UTC)))
    except RuntimeError as error:
        raise InvalidConfiguration(f"{address} cannot be listened on: {_why_not(config.host)}") from error


def _why_not(host: str) -> str:
    try:
        socket.getaddrinfo(host, None)
    except OSError:
        return "this machine does not know that name; give --listen one of its own addresses"
    return "is another server there? give --listen another port, or stop that one"


def _options() -> list[tuple[str, int]]:
    def milliseconds(seconds: float) -> int:
        return int(seconds * 1000)

    return [
        ("grpc.so_reuseport", 0),  # a second server on the same port fails instead of taking half of the calls
        ("grpc.compression_enabled_algorithms_bitset", 1),  # none: gRPC inflates a message before it looks at its size
        ("grpc.max_receive_message_length", limits.MAX_MESSAGE_BYTES),
        ("grpc.max_send_message_length", limits.MAX_MESSAGE_BYTES),
        ("grpc.max_metadata_size", limits.MAX_METADATA_BYTES),
        ("grpc.absolute_max_metadata_size", 2 * limits.MAX_METADATA_BYTES),
        ("grpc.max_concurrent_streams", limits.MAX_STREAMS_PER_CONNECTION),
        ("grpc.max_connection_idle_ms", milliseconds(limits.MAX_CONNECTION_IDLE_S)),
        ("grpc.max_connection_age_ms", milliseconds(limits.MAX_CONNECTION_AGE_S)),
        ("grpc.max_connection_age_grace_ms", milliseconds(limits.MAX_CALL_S)),
        ("grpc.server_handshake_timeout_ms", milliseconds(limits.MAX_HANDSHAKE_S)),
    ]
