"""The server's TLS files: looked at before the port opens, and taken anew when they are renewed while it runs.

Holds the server's private key. What is wrong with a file is said in one sentence that names the file and what to do;
nothing of its content is.
"""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from unseen.errors import InvalidConfiguration

log = logging.getLogger(__name__)

MAKE_ANOTHER = "docs/access.md shows how to make one"


@dataclass(frozen=True)
class TlsFiles:
    """PEM files: what the server proves itself with, and, where clients need certificates, whose."""

    certificate: Path
    key: Path
    client_authority: Path | None = None


def server_credentials(files: TlsFiles, now: Callable[[], dt.datetime]) -> grpc.ServerCredentials:
    """Credentials for a port; InvalidConfiguration when a file cannot be read, does not fit or is out of its time.

    Files that are replaced by better ones serve the next connection; worse ones are passed over with a line in the log.
    """
    first, seen = _checked(files, now()), _stamp(files)

    def renewed() -> Any:
        nonlocal seen
        stamp = _stamp(files)
        if stamp == seen:
            return None
        seen = stamp
        try:
            better = _checked(files, now())
        except InvalidConfiguration as error:
            log.error("TLS files were changed, and the old ones stay in use", extra={"reason": str(error)})
            return None
        log.info("TLS files were changed: new connections get the new ones")
        return better

    return grpc.dynamic_ssl_server_credentials(
        first, renewed, require_client_authentication=files.client_authority is not None
    )


def _checked(files: TlsFiles, now: dt.datetime) -> grpc.ServerCertificateConfiguration:
    chain, key = _content(files.certificate), _content(files.key)
    own = _certificates(files.certificate, chain)[0]
    _require_in_time(files.certificate, own, now)
    if _public_key_of(files.key, key) != own.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo):
        raise InvalidConfiguration(
            f"the key {files.key} is not the one of the certificate {files.certificate}: give the pair that belongs "
            "together as --tls-key and --tls-cert"
        )
    authority = None
    if files.client_authority is not None:
        authority = _content(files.client_authority)
        for certificate in _certificates(files.client_authority, authority):
            _require_in_time(files.client_authority, certificate, now)
    return grpc.ssl_server_certificate_configuration([(key, chain)], root_certificates=authority)


def _certificates(file: Path, content: bytes) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(content)
    except ValueError:
        raise InvalidConfiguration(f"{file} holds no certificate in PEM form; {MAKE_ANOTHER}") from None


def _require_in_time(file: Path, certificate: x509.Certificate, now: dt.datetime) -> None:
    first, last = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if now > last:
        raise InvalidConfiguration(f"the certificate {file} expired on {last:%Y-%m-%d}: renew it; {MAKE_ANOTHER}")
    if now < first:
        raise InvalidConfiguration(
            f"the certificate {file} is valid from {first:%Y-%m-%d %H:%M} UTC on, and by this machine's "
            f"clock it is {now:%Y-%m-%d %H:%M}: set the clock, or wait"
        )


def _public_key_of(file: Path, content: bytes) -> bytes:
    try:
        key = load_pem_private_key(content, password=None)
    except TypeError:
        raise InvalidConfiguration(
            f"the key {file} is under a passphrase, and nobody is there to ask: `openssl pkey -in {file} -out FILE` "
            "writes it without one"
        ) from None
    except ValueError:
        raise InvalidConfiguration(f"{file} holds no private key in PEM form; {MAKE_ANOTHER}") from None
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _content(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise InvalidConfiguration(f"{file} cannot be read: {error.strerror}") from error


def _stamp(files: TlsFiles) -> tuple[tuple[int, int] | None, ...]:
    """Changes when a file does."""

    def stamp(file: Path | None) -> tuple[int, int] | None:
        try:
            found = None if file is None else file.stat()
        except OSError:
            return None
        return None if found is None else (found.st_mtime_ns, found.st_size)

    return tuple(stamp(file) for file in (files.certificate, files.key, files.client_authority))
