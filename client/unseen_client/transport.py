"""The wire: channels, TLS, and the one table that turns what gRPC raises into Unseen's errors.

Holds the client certificate's key while a channel lives. Without TLS it talks to this machine only.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import grpc

from unseen import wire
from unseen.errors import (
    DeadlineExceeded,
    InvalidConfiguration,
    LimitExceeded,
    MethodUnknown,
    NotAuthenticated,
    NotPermitted,
    ServerBusy,
    ServerUnavailable,
    UnseenError,
)
from unseen_client.bearer import TokenBearer

MOST_MESSAGE_BYTES = 2 << 20
"""The contract's messages have at most 1 MiB of content; a larger one is refused before it is read."""
Options: TypeAlias = list[tuple[str, int]]
CHANNEL_OPTIONS: Options = [
    ("grpc.max_receive_message_length", MOST_MESSAGE_BYTES),
    ("grpc.max_send_message_length", MOST_MESSAGE_BYTES),
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 2_000),
    ("grpc.enable_retries", 0),
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.enable_http_proxy", 0),
]
"""No proxy is asked, whatever the environment names: it would see plain text meant for this machine only. Retries are
the protocol's (``retry``), because only it knows what may be sent twice; clients share no connection."""

MOST_RETRY_S = 1e7
"""A third of a year; a longer wait is no answer."""

_CUT_MARKS = ("RST_STREAM", "Stream removed", "Socket closed", "Connection reset", "GOAWAY", "Internal error from Core")
"""gRPC reports a connection that breaks in the middle as INTERNAL or UNKNOWN with one of these."""


@dataclass(frozen=True)
class TLS:
    """Certificates in PEM files: ``ca`` checks the server, ``cert`` and ``key`` show who this client is."""

    ca: str | Path | None = None
    """Whom to trust; None for the system's authorities."""
    cert: str | Path | None = None
    key: str | Path | None = field(default=None, repr=False)

    def credentials(self) -> grpc.ChannelCredentials:
        """The files, read; raises InvalidConfiguration when one cannot be."""
        if (self.cert is None) != (self.key is None):
            raise InvalidConfiguration(
                "a client certificate needs its key and the other way round; give cert= and key="
            )
        return grpc.ssl_channel_credentials(_read(self.ca), _read(self.key), _read(self.cert))


def _read(path: str | Path | None) -> bytes | None:
    try:
        return None if path is None else Path(path).read_bytes()
    except OSError as error:
        raise InvalidConfiguration(f"cannot read {path}: {error.strerror}; give the path of a PEM file") from error


def channel_credentials(
    server: str, tls: TLS | None, bearer: TokenBearer, insecure_no_tls: bool
) -> grpc.ChannelCredentials | None:
    """How to secure the channel to ``server``; None for plain text, which only this machine may get."""
    if tls is not None:
        return tls.credentials()
    if bearer.has_token and not is_loopback(server):
        raise InvalidConfiguration("a token travels under TLS, or to this machine; give tls=TLS(ca=...) as well")
    if not insecure_no_tls and not is_loopback(server):
        raise InvalidConfiguration(
            f"{server} is not this machine, and without TLS everybody on the way sees what is enrolled; "
            "give tls=TLS(ca=..., cert=..., key=...)"
        )
    return None


def is_loopback(server: str) -> bool:
    """Whether HOST:PORT can only be this machine."""
    if server.startswith("unix:"):
        return True
    host = server.rpartition(":")[0].strip("[]")
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def require_address(server: str) -> str:
    """Pass HOST:PORT or unix:PATH through; raises InvalidConfiguration for anything else."""
    host, colon, port = server.rpartition(":")
    if server.startswith("unix:") or (host and colon and port.isascii() and port.isdigit() and int(port) < 1 << 16):
        return server
    raise InvalidConfiguration(f"got server {server!r}; give HOST:PORT, such as 127.0.0.1:7443")


def translated(error: grpc.RpcError, server: str) -> UnseenError:
    """The Unseen error for what gRPC raised: the server's own when it named one, else by status."""
    status, details = error.code(), error.details() or ""
    trailer = _trailer(error.trailing_metadata())
    if wire.CODE_METADATA_KEY in trailer:
        retry_after_s = _seconds(trailer.get(wire.RETRY_METADATA_KEY))
        return wire.error_from(trailer[wire.CODE_METADATA_KEY], details, retry_after_s)
    match status:
        case grpc.StatusCode.UNAVAILABLE | grpc.StatusCode.CANCELLED:
            return ServerUnavailable(_unavailable(server, details))
        case grpc.StatusCode.DEADLINE_EXCEEDED:
            return DeadlineExceeded(f"{server} did not answer in time; give a longer timeout_s")
        case grpc.StatusCode.RESOURCE_EXHAUSTED if "RPC limit" in details:
            return ServerBusy(f"{server} has too many calls under way; wait a little, then try again")
        case grpc.StatusCode.RESOURCE_EXHAUSTED:
            return LimitExceeded(f"{server} or this client refused the size of a message: {details}")
        case grpc.StatusCode.UNIMPLEMENTED:
            return MethodUnknown(
                f"{server} does not speak this release's contract (unseen.v1); install matching releases"
            )
        case grpc.StatusCode.UNAUTHENTICATED:
            return NotAuthenticated(f"{server} does not know this client; check tls= and token=")
        case grpc.StatusCode.PERMISSION_DENIED:
            return NotPermitted(f"{server} does not let this client do that; ask for a token with another role")
        case _ if any(mark in details for mark in _CUT_MARKS):
            return ServerUnavailable(_unavailable(server, details))
    return UnseenError(f"{server} failed with {status.name}: {details or 'no details'}; look at the server's log")


def _trailer(metadata: Iterable[Any] | None) -> dict[str, str]:
    return {key: str(value) for key, value in metadata or ()}


def _seconds(text: str | None) -> float | None:
    """A time to wait as a server named it; None for none, and for what is none."""
    try:
        seconds = float(text or "nan")
    except ValueError:
        return None
    return seconds if 0 <= seconds < MOST_RETRY_S else None


def _unavailable(server: str, details: str) -> str:
    if "handshak" in details.lower() or "ssl" in details.lower() or "certificate" in details.lower():
        return f"{server} and this client do not agree on TLS ({details[:200]}); check ca, cert and key on both sides"
    return (
        f"no answer from {server}; start it with `unseen serve --listen {server}`, or check the address and whether it "
        "speaks TLS (ca=, --ca, --tls)"
    )
