"""JSON Web Tokens: only what the issuer signed, for this server, for now; never an algorithm that the token chooses."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from hypothesis import given, settings
from hypothesis import strategies as st

from unseen.errors import InvalidConfiguration, NotAuthenticated
from unseen_server.access.signed_tokens import JwtSettings, SignedTokens
from unseen_server.call import Caller, Role

NOW = 1_800_000_000
CLAIMS = {
    "iss": "https://issuer.example",
    "aud": "unseen",
    "sub": "auth0|alice",
    "exp": NOW + 3600,
    "iat": NOW,
    "unseen_tenant": "ward",
    "unseen_roles": ["reader", "contributor"],
}
ALICE = Caller("ward", "auth0|alice", frozenset({Role.READER, Role.CONTRIBUTOR}))
Change = Callable[[dict[str, Any]], Any]


@dataclass
class Issuer:
    """Signs with one key."""

    key: Any
    algorithm: str
    kid: str | None = None

    def sign(self, claims: dict[str, Any] | None = None, **header: Any) -> str:
        headers = ({"kid": self.kid} if self.kid else {}) | header
        return jwt.encode(CLAIMS if claims is None else claims, self.key, header.pop("alg", self.algorithm), headers)

    @property
    def public_pem(self) -> bytes:
        found: bytes = self.key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        return found

    def jwk(self, **fields: Any) -> dict[str, Any]:
        algorithm = jwt.get_algorithm_by_name(self.algorithm)
        written: Any = json.loads(algorithm.to_jwk(self.key.public_key()))
        return written | ({"kid": self.kid} if self.kid else {}) | fields


@pytest.fixture(scope="session")
def issuers() -> dict[str, Issuer]:
    return {
        "RS256": Issuer(rsa.generate_private_key(65537, 2048), "RS256"),
        "ES256": Issuer(ec.generate_private_key(ec.SECP256R1()), "ES256"),
        "EdDSA": Issuer(ed25519.Ed25519PrivateKey.generate(), "EdDSA"),
    }


def server_with(tmp_path: Path, content: bytes | dict[str, Any]) -> SignedTokens:
    file = tmp_path / "issuer.json"
    file.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    return SignedTokens(JwtSettings("https://issuer.example", "unseen", file))


def refusal(server: SignedTokens, text: str, now: float = NOW) -> str:
    with pytest.raises(NotAuthenticated) as refused:
        server.caller(text, now)
    assert text not in str(refused.value)
    assert "alice" not in str(refused.value)
    return str(refused.value)


@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "EdDSA"])
@pytest.mark.parametrize("form", ["PEM", "JWKS"])
def test_signed_token_names_its_caller(tmp_path: Path, issuers: dict[str, Issuer], algorithm: str, form: str) -> None:
    issuer = issuers[algorithm]
    server = server_with(tmp_path, issuer.public_pem if form == "PEM" else {"keys": [issuer.jwk()]})
    assert server.caller(issuer.sign(), NOW) == ALICE
    scoped = server.caller(issuer.sign(CLAIMS | {"unseen_collections": ["scans"]}), NOW)
    assert scoped.collections == frozenset({"scans"})


@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "EdDSA"])
def test_another_issuers_token_is_refused(tmp_path: Path, issuers: dict[str, Issuer], algorithm: str) -> None:
    server = server_with(tmp_path, issuers[algorithm].public_pem)
    strangers = {
        "RS256": Issuer(rsa.generate_private_key(65537, 2048), "RS256"),
        "ES256": Issuer(ec.generate_private_key(ec.SECP256R1()), "ES256"),
        "EdDSA": Issuer(ed25519.Ed25519PrivateKey.generate(), "EdDSA"),
    }
    for stranger in strangers.values():
        assert "signed by no key" in refusal(server, stranger.sign())


def unsigned(header: dict[str, Any], signature: bytes = b"") -> str:
    parts = [json.dumps(header).encode(), json.dumps(CLAIMS).encode()]
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in [*parts, signature])


def test_token_does_not_choose_its_algorithm(tmp_path: Path, issuers: dict[str, Issuer]) -> None:
    """RFC 8725, section 2.1: none at all; and the public key as the secret of an HMAC."""
    for issuer in issuers.values():
        server = server_with(tmp_path, issuer.public_pem)
        for none in ("none", "None", "NONE", ""):
            refusal(server, unsigned({"alg": none, "typ": "JWT"}))
        text = unsigned({"alg": "HS256", "typ": "JWT"}).rstrip(".")
        for secret in (issuer.public_pem, issuer.public_pem.rstrip(b"\n")):
            mac = hmac.new(secret, text.encode(), hashlib.sha256).digest()
            refusal(server, f"{text}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}")
    rsa_issuer = issuers["RS256"]
    server = server_with(tmp_path, rsa_issuer.public_pem)
    for other in ("RS384", "RS512", "PS256"):
        refusal(server, jwt.encode(CLAIMS, rsa_issuer.key, other))


def test_key_that_a_token_brings_along_is_ignored(tmp_path: Path, issuers: dict[str, Issuer]) -> None:
    """RFC 8725, section 3.10: jwk, jku and x5u come from whoever wrote the token."""
    server = server_with(tmp_path, issuers["ES256"].public_pem)
    stranger = Issuer(ec.generate_private_key(ec.SECP256R1()), "ES256")
    refusal(server, stranger.sign(jwk=stranger.jwk(), jku="https://stranger.example/keys", x5u="https://x.example"))


def test_kid_chooses_among_the_keys_of_the_file_and_nothing_else(tmp_path: Path) -> None:
    first, second = (Issuer(ec.generate_private_key(ec.SECP256R1()), "ES256", kid) for kid in ("1", "2"))
    server = server_with(tmp_path, {"keys": [first.jwk(), second.jwk(use="sig", alg="ES256")]})
    for issuer in (first, second):
        assert server.caller(issuer.sign(), NOW) == ALICE
    refusal(server, first.sign(kid="2"))
    refusal(server, first.sign(kid="3"))


CHANGES: dict[str, tuple[Change, str]] = {
    "another issuer": (lambda c: c | {"iss": "https://other.example"}, "not for this server"),
    "another audience": (lambda c: c | {"aud": "other"}, "not for this server"),
    "no issuer": (lambda c: without(c, "iss"), "not for this server"),
    "no audience": (lambda c: without(c, "aud"), "not for this server"),
    "no subject": (lambda c: without(c, "sub"), "not for this server"),
    "no end": (lambda c: without(c, "exp"), "not for this server"),
    "an end in words": (lambda c: c | {"exp": "tomorrow"}, "exp"),
    "an end that is no number": (lambda c: c | {"exp": float("nan")}, "exp"),
    "no end at all": (lambda c: c | {"exp": float("inf")}, "exp"),
    "true as an end": (lambda c: c | {"exp": True}, "exp"),
    "expired": (lambda c: c | {"exp": NOW - 60}, "expired"),
    "from tomorrow on": (lambda c: c | {"nbf": NOW + 61}, "later"),
    "made tomorrow": (lambda c: c | {"iat": NOW + 61}, "later"),
    "longer than a day": (lambda c: c | {"exp": NOW + 86400 + 61}, "longer than a day"),
    "no tenant": (lambda c: without(c, "unseen_tenant"), "unseen_tenant"),
    "a tenant that cannot be": (lambda c: c | {"unseen_tenant": "../ward"}, "tenant"),
    "no roles": (lambda c: without(c, "unseen_roles"), "unseen_roles"),
    "an empty list of roles": (lambda c: c | {"unseen_roles": []}, "no role"),
    "a role as one text": (lambda c: c | {"unseen_roles": "reader"}, "unseen_roles"),
    "a role that there is not": (lambda c: c | {"unseen_roles": ["reader", "king"]}, "role"),
    "an empty scope": (lambda c: c | {"unseen_collections": []}, "scope"),
    "a scope that is no list": (lambda c: c | {"unseen_collections": {"a": 1}}, "unseen_collections"),
    "a name with a line in it": (lambda c: c | {"sub": "alice\nadmin"}, "name"),
    "an empty name": (lambda c: c | {"sub": ""}, "name"),
}


def without(claims: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in claims.items() if key != name}


@pytest.mark.parametrize("change", sorted(CHANGES))
def test_token_that_says_too_little_or_too_much_is_refused(
    tmp_path: Path, issuers: dict[str, Issuer], change: str
) -> None:
    made, words = CHANGES[change]
    server = server_with(tmp_path, issuers["EdDSA"].public_pem)
    assert words in refusal(server, issuers["EdDSA"].sign(made(dict(CLAIMS))))


def test_clocks_may_be_a_minute_apart(tmp_path: Path, issuers: dict[str, Issuer]) -> None:
    server, issuer = server_with(tmp_path, issuers["EdDSA"].public_pem), issuers["EdDSA"]
    for end, start in ((NOW - 59, NOW - 3600), (NOW + 3600, NOW + 59), (NOW + 86400 + 59, NOW)):
        assert server.caller(issuer.sign(CLAIMS | {"exp": end, "nbf": start, "iat": start}), NOW) == ALICE


def plainly_verified(text: str, key: Any) -> bool:
    """The signature checked by hand, without PyJWT: the slower twin."""
    signed, _, mac = text.rpartition(".")
    try:
        signature = base64.urlsafe_b64decode(mac + "=" * (-len(mac) % 4))
        match key:
            case rsa.RSAPublicKey():
                key.verify(signature, signed.encode(), padding.PKCS1v15(), hashes.SHA256())
            case ec.EllipticCurvePublicKey():
                r, s = int.from_bytes(signature[:32]), int.from_bytes(signature[32:])
                key.verify(encode_dss_signature(r, s), signed.encode(), ec.ECDSA(hashes.SHA256()))
            case _:
                key.verify(signature, signed.encode())
    except (InvalidSignature, ValueError):
        return False
    return True


@settings(max_examples=150, deadline=None)
@given(data=st.data(), algorithm=st.sampled_from(["RS256", "ES256", "EdDSA"]))
def test_altered_token_never_passes(
    tmp_path_factory: pytest.TempPathFactory, issuers: dict[str, Issuer], data: st.DataObject, algorithm: str
) -> None:
    """Wherever a character is put, taken or changed: what passes is signed by the plain twin's judgement too."""
    issuer = issuers[algorithm]
    folder = tmp_path_factory.getbasetemp()
    server, text = server_with(folder, issuer.public_pem), issuer.sign()
    assert plainly_verified(text, issuer.key.public_key())
    at = data.draw(st.integers(0, len(text) - 1))
    put = data.draw(st.sampled_from(["", ".", "=", "A", "-", "_", "é", "\x00", text[:10]]))
    altered = text[:at] + put + text[at + data.draw(st.integers(0, 1)) :]
    try:
        caller = server.caller(altered, NOW)
    except NotAuthenticated:
        return
    assert caller == ALICE
    assert plainly_verified(altered, issuer.key.public_key())


# The keys' file


def private_pem(key: Any) -> bytes:
    content: bytes = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return content


def test_keys_that_cannot_be_used_safely_stop_the_start(tmp_path: Path, issuers: dict[str, Issuer]) -> None:
    good = issuers["ES256"]
    algorithm = jwt.get_algorithm_by_name("ES256")
    private_jwk: Any = json.loads(algorithm.to_jwk(good.key))
    short = Issuer(rsa.generate_private_key(65537, 1024), "RS256")
    weak_curve = ec.generate_private_key(ec.SECP192R1()).public_key()
    cases: list[bytes | dict[str, Any]] = [
        b"",
        b"no keys",
        b"[]",
        {"keys": []},
        {"keys": [{"kty": "oct", "k": "c2VjcmV0"}]},
        {"keys": [private_jwk]},
        {"keys": [good.jwk(alg="RS256")]},
        {"keys": [good.jwk(use="enc")]},
        {"keys": [{"kty": "EC"}]},
        private_pem(good.key),
        short.public_pem,
        weak_curve.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
    ]
    for content in cases:
        with pytest.raises(InvalidConfiguration, match="key"):
            server_with(tmp_path, content)
    with pytest.raises(InvalidConfiguration, match="cannot be read"):
        SignedTokens(JwtSettings("i", "a", tmp_path / "absent"))
