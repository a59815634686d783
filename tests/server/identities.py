"""Certificates for tests, made when they are needed."""

from __future__ import annotations

import datetime as dt
import ipaddress
from dataclasses import dataclass
from pathlib import Path

import grpc
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

DAY = dt.timedelta(days=1)


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
        return self._key(serialization.NoEncryption())

    def key_under(self, passphrase: bytes) -> bytes:
        """The key as PEM under a passphrase."""
        return self._key(serialization.BestAvailableEncryption(passphrase))

    def _key(self, encryption: serialization.KeySerializationEncryption) -> bytes:
        return self.private_key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)


def issue(name: str, issuer: Identity | None = None, begin: dt.timedelta = -DAY, end: dt.timedelta = DAY) -> Identity:
    """A certificate for 127.0.0.1, by an issuer or by itself; it holds from and until so long from now."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + begin)
        .not_valid_after(now + end)
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
    )
    return Identity(builder.sign(issuer.private_key if issuer else key, hashes.SHA256()), key)


def tls_options(folder: Path, server: Identity, client_authority: Identity | None = None) -> list[str]:
    """The server's options, their files written."""
    contents = {"cert": server.certificate_pem, "key": server.key_pem}
    if client_authority is not None:
        contents["client-ca"] = client_authority.certificate_pem
    options = []
    for name, content in contents.items():
        path = folder / f"{name}.pem"
        path.write_bytes(content)
        options += [f"--tls-{name}", str(path)]
    return options


def credentials(trusted: Identity, client: Identity | None = None) -> grpc.ChannelCredentials:
    """What a client trusts, and what it shows."""
    pair = (client.key_pem, client.certificate_pem) if client else (None, None)
    return grpc.ssl_channel_credentials(trusted.certificate_pem, *pair)
