"""TLS both ways: the server proves itself, and lets in only clients whose certificate comes from its own authority."""

from __future__ import annotations

import datetime as dt
import ipaddress
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

Make = Callable[..., Any]


@dataclass
class Identity:
    """A certificate and its key, PEM."""

    certificate: x509.Certificate
    private_key: ec.EllipticCurvePrivateKey

    @property
    def certificate_pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def key_pem(self) -> bytes:
        return self.private_key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )


def issue(name: str, issuer: Identity | None = None) -> Identity:
    """A certificate for 127.0.0.1, by an issuer or by itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
    )
    return Identity(builder.sign(issuer.private_key if issuer else key, hashes.SHA256()), key)


@pytest.fixture
def authority() -> Identity:
    return issue("our authority")


@pytest.fixture
def tls_server(make_server: Make, authority: Identity, tmp_path: Path) -> Any:
    identity = issue("server", authority)
    contents = {
        "server.pem": identity.certificate_pem,
        "server.key": identity.key_pem,
        "ca.pem": authority.certificate_pem,
    }
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    names = ("--tls-cert", "--tls-key", "--tls-client-ca")
    return make_server(
        *(word for pair in zip(names, (str(tmp_path / name) for name in contents), strict=True) for word in pair)
    ).start()


def credentials(trusted: Identity, client: Identity | None) -> grpc.ChannelCredentials:
    pair = (client.key_pem, client.certificate_pem) if client else (None, None)
    return grpc.ssl_channel_credentials(trusted.certificate_pem, *pair)


def test_client_of_our_authority_searches(tls_server: Any, authority: Identity, call: Make, make_rows: Make) -> None:
    caller = call(tls_server, credentials(authority, issue("device", authority)))
    vectors, batch = make_rows(5)
    caller.enrol(caller.create().uid, batch)
    assert caller.search(caller.collection(), vectors[3])[3] > 0.98


def test_others_are_not_let_in(tls_server: Any, authority: Identity, call: Make) -> None:
    stranger = issue("their authority")
    for given in (
        None,
        credentials(authority, None),
        credentials(authority, issue("device", stranger)),
        credentials(stranger, issue("device", authority)),
    ):
        caller = call(tls_server, given)
        assert caller.refusal(caller.info).status == "UNAVAILABLE"
    friend = call(tls_server, credentials(authority, issue("device", authority)))
    assert len(friend.info().store_uid) == 16
