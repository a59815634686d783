"""Reading from an address: TLS or loopback, within a size, whole or not at all.

Runs where the images are, and sends nothing but the address: no picture, no name of a collection, no token.
What comes is checked by whoever asked; here only who may answer, how much, and that it is all there.
"""

from __future__ import annotations

import http.client
import ipaddress
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import (
    HTTPDefaultErrorHandler,
    HTTPErrorProcessor,
    HTTPHandler,
    HTTPRedirectHandler,
    HTTPSHandler,
    OpenerDirector,
    ProxyHandler,
    Request,
    UnknownHandler,
)

from unseen.errors import DeadlineExceeded, InvalidInput, LimitExceeded, NotFound, ServerUnavailable

TIMEOUT_S = 60.0
"""For the next bytes, not for the whole: a model may take an hour."""
PIECE_BYTES = 1 << 20
_MOST_DIGITS = 18
NOT_FOUND = {404, 410}
NOT_LET_IN = {401, 403}


def read_small(address: str, largest_bytes: int) -> bytes:
    """Return what an address answers; raises LimitExceeded past ``largest_bytes``, and what ``pieces`` raises."""
    return b"".join(pieces(address, largest_bytes))


def pieces(address: str, largest_bytes: int) -> Iterator[bytes]:
    """Yield what an address answers, a megabyte at a time.

    Raises InvalidInput for an address without TLS that is not on this machine, NotFound, ServerUnavailable,
    DeadlineExceeded, and LimitExceeded as soon as more comes than expected. An answer cut short is ServerUnavailable.
    """
    require_tls_or_loopback(address)
    with _telling(address):
        answer: Any
        with opener_for(address).open(address, timeout=TIMEOUT_S) as answer:
            total = _told_bytes(answer.headers.get("Content-Length"))
            if total is not None and total > largest_bytes:
                raise LimitExceeded(f"got {total} bytes from {_host(address)}, expected at most {largest_bytes}")
            done = 0
            while piece := answer.read(PIECE_BYTES):
                done += len(piece)
                if done > largest_bytes:
                    raise LimitExceeded(f"got more than {largest_bytes} bytes from {_host(address)}; not taken")
                yield piece
            if total is not None and done != total:
                raise ServerUnavailable(f"{_host(address)} stopped after {done} of {total} bytes; try again")


def require_tls_or_loopback(address: str) -> None:
    """Raise InvalidInput for an address that anybody on the way could answer in place of its owner."""
    try:
        parts = urlsplit(address)
    except ValueError as error:
        raise InvalidInput("got something that is no address, expected https://HOST/...") from error
    if "@" in parts.netloc:
        raise InvalidInput(
            "got an address with a user's name in it, expected https://HOST/...: nothing is signed in to"
        )
    if parts.scheme == "https" and parts.hostname:
        return
    if parts.scheme == "http" and _on_this_machine(parts.hostname or ""):
        return
    raise InvalidInput(f"got the address {parts.scheme}://{parts.hostname}, expected https (http on loopback only)")


class _Redirects(HTTPRedirectHandler):
    """Hubs send large files on to other hosts: those too must have TLS, and from TLS nobody goes back."""

    def redirect_request(self, req: Request, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Request | None:
        require_tls_or_loopback(newurl)
        if req.full_url.startswith("https:") and not newurl.startswith("https:"):
            raise InvalidInput(f"{_host(req.full_url)} sends on to an address without TLS; not followed")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _told_bytes(told: str | None) -> int | None:
    """The length that an answer names; None where it names none that can be read: what comes is counted anyway."""
    return int(told) if told and told.isascii() and told.isdigit() and len(told) <= _MOST_DIGITS else None


def opener_for(address: str) -> OpenerDirector:
    """What speaks HTTP and nothing else: urllib's own opener would read files and FTP too."""
    opener = OpenerDirector()
    opener.addheaders = [("User-Agent", "unseen")]
    proxies = ProxyHandler({}) if _on_this_machine(urlsplit(address).hostname or "") else ProxyHandler()
    for handler in (
        proxies,
        HTTPHandler(),
        HTTPSHandler(),
        _Redirects(),
        HTTPErrorProcessor(),
        HTTPDefaultErrorHandler(),
        UnknownHandler(),
    ):
        opener.add_handler(handler)
    return opener


@contextmanager
def _telling(address: str) -> Iterator[None]:
    try:
        yield
    except HTTPError as error:
        with error:
            if error.code in NOT_FOUND:
                raise NotFound(f"{_host(address)} has no {urlsplit(address).path}; check name and revision") from error
            if error.code in NOT_LET_IN:
                raise NotFound(
                    f"{_host(address)} does not show {urlsplit(address).path} to everybody (it may not exist, or its "
                    "licence must be accepted there): fetch it by hand, then pull from the folder"
                ) from error
            raise ServerUnavailable(f"{_host(address)} answered {error.code}; try again later") from error
    except TimeoutError as error:
        raise DeadlineExceeded(f"{_host(address)} sent nothing for {TIMEOUT_S:.0f} s; try again") from error
    except (URLError, OSError, http.client.HTTPException, ValueError, OverflowError) as error:
        # ValueError: what a host sends on to is no address. OverflowError: a piece longer than any number of bytes.
        raise ServerUnavailable(f"cannot read from {_host(address)}: {type(error).__name__}; try again") from error


def _host(address: str) -> str:
    return urlsplit(address).netloc


def _on_this_machine(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
