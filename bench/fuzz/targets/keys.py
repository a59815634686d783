"""Keys and tokens: rings, master keys, exports, seals, bearer tokens, JSON Web Tokens and their issuers' keys."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import jwt
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from bench.fuzz.target import Target, as_tree, scratch_folder
from unseen import envelope
from unseen.bearer import BearerToken, life_s
from unseen.errors import (
    IntegrityError,
    InvalidConfiguration,
    InvalidInput,
    NotAuthenticated,
    SealBroken,
    WrongKey,
)
from unseen.keys import ring_content
from unseen.keys.ring_content import CollectionTree, Destroyed, Erasure, RingContent, WrappedRoot
from unseen.keys.tree import KeyTree
from unseen_client.keys import key_export
from unseen_client.keys.keystore import CollectionKey
from unseen_client.keys.passphrase import Stretching
from unseen_server.access.signed_tokens import JwtSettings, SignedTokens, read_keys
from unseen_server.keys import passphrase_file
from unseen_server.master_key import HEADER, _parse

KEY, UID, PLACE = bytes(range(32)), bytes(range(16)), b"place"
Stretch = Callable[[Stretching, str], bytes]
SMALL_COST = 2
"""scrypt's n: what is fuzzed is the file's form, not the stretching."""


# Seals


def seal(data: bytes) -> None:
    """Either kind; nothing opens but what was made with the key: these two."""
    if data[:1] == b"\2":
        assert envelope.unwrap_key(KEY, data, PLACE) == bytes(32)
    else:
        assert envelope.open_sealed(KEY, data, PLACE) == b"text"


SEALS = (envelope.seal(KEY, b"text", PLACE), envelope.wrap_key(KEY, bytes(32), PLACE))


# Rings


def ring(data: bytes) -> None:
    _, _, commitment_at = ring_content.read_head(data)
    content = ring_content.read_body(data, commitment_at, KEY)
    for one in content.trees:
        one.tree.holds(0)


def sealed_ring(body: bytes) -> bytes:
    """A ring whose body is these bytes, sealed as it should be."""
    head = RING[: ring_content.read_head(RING)[2]] + ring_content._commitment(KEY)
    return head + envelope.seal(ring_content._sealing_key(KEY), body, ring_content._place(head))


CONTENT = RingContent(
    UID,
    KEY,
    Erasure(UID, KEY, UID, 3),
    (CollectionTree(UID, UID, KeyTree.grown_from(KEY).without([5])),),
    ((UID, Destroyed.KEYS_RENEWED),),
)
RING = ring_content.write(UID, WrappedRoot("file", envelope.wrap_key(KEY, KEY, PLACE)), KEY, CONTENT)


# Keys in files


def exported(data: bytes) -> None:
    """A cost that a file asks for is brought down to the least: stretching is not what is looked at."""
    with mock.patch.object(Stretching, "key", cheap):
        key_export.unwrap(data, "passphrase")


def cheap(stretching: Stretching, passphrase: str, stretch: Stretch = Stretching.key) -> bytes:
    return stretch(Stretching(stretching.salt, SMALL_COST), passphrase)


def sealed_export(data: bytes) -> bytes:
    """An export whose sealed content is these bytes."""
    fields = json.loads(EXPORT)
    salt, key = bytes(16), Stretching(bytes(16), SMALL_COST).key("passphrase")
    sealed = envelope.seal(key, data, envelope.context("key-export", key_export.FORMAT))
    fields["scrypt"]["salt"] = base64.b64encode(salt).decode()
    fields["sealed"] = base64.b64encode(sealed).decode()
    return json.dumps(fields).encode()


def passphrase(data: bytes) -> None:
    passphrase_file._parsed(data, Path("master.key"))


def master_key(data: bytes) -> None:
    assert len(_parse(data, Path("master.key"))) == 32


HELD = CollectionKey(UID, "scans", KEY, True, UID)
EXPORT = key_export.wrap(HELD, "passphrase", Stretching(bytes(16), SMALL_COST))
SEALED_MASTER_KEY = passphrase_file.seal(KEY, "passphrase", bytes(16), SMALL_COST)


# Tokens


def bearer(data: bytes) -> None:
    text = data.decode("utf-8", "surrogateescape")
    assert BearerToken.parse(text).text() == text


def life(data: bytes) -> None:
    assert life_s(data.decode("utf-8", "replace")) > 0


NOW = 1_800_000_000
ISSUER = ed25519.Ed25519PrivateKey.from_private_bytes(KEY)
CLAIMS = {
    "iss": "https://issuer.example",
    "aud": "unseen",
    "sub": "alice",
    "exp": NOW + 3600,
    "nbf": NOW,
    "iat": NOW,
    "unseen_tenant": "ward",
    "unseen_roles": ["reader"],
    "unseen_collections": ["scans"],
}
PEM = ISSUER.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


class Tokens:
    """A server's view of JSON Web Tokens."""

    def __init__(self) -> None:
        self._path = scratch_folder() / "keys"
        self._path.write_bytes(PEM)
        self._signed = SignedTokens(JwtSettings("https://issuer.example", "unseen", self._path))

    def caller(self, data: bytes) -> None:
        self._signed.caller(data.decode("ascii", "replace"), NOW)

    def keys(self, data: bytes) -> None:
        self._path.write_bytes(data)
        assert read_keys(self._path)


def signed_claims(data: bytes) -> bytes:
    """A token with these claims, signed by the issuer."""
    claims = as_tree(data)
    payload = data if not isinstance(claims, dict) else json.dumps(claims).encode()
    return jwt.api_jws.encode(payload, ISSUER, "EdDSA").encode()


JWKS = json.dumps(
    {"keys": [{**jwt.get_algorithm_by_name("EdDSA").to_jwk(ISSUER.public_key(), as_dict=True), "use": "sig"}]}
).encode()


TARGETS = (
    Target("envelope.open_sealed", seal, (SealBroken, WrongKey), SEALS),
    Target(
        "keys.ring_content",
        ring,
        (SealBroken, WrongKey),
        (RING,),
        dress=sealed_ring,
        dressed_seeds=(ring_content._write_body(CONTENT),),
    ),
    Target(
        "client.key_export.unwrap",
        exported,
        (IntegrityError, WrongKey),
        (EXPORT,),
        dress=sealed_export,
        dressed_seeds=(json.dumps(HELD.to_json()).encode(),),
        is_json=True,
    ),
    Target("server.keys.passphrase_file", passphrase, (InvalidConfiguration,), (SEALED_MASTER_KEY,), is_json=True),
    Target(
        "server.master_key", master_key, (InvalidConfiguration,), (f"{HEADER}{KEY.hex()}\n".encode(),), most_bytes=200
    ),
    Target("bearer.parse", bearer, (NotAuthenticated,), (BearerToken(UID, KEY).text().encode(),), most_bytes=200),
    Target("bearer.life_s", life, (InvalidInput,), (b"90d", b"12h", b"30min"), most_bytes=64),
    Target(
        "server.access.signed_tokens.caller",
        Tokens().caller,
        (NotAuthenticated,),
        (signed_claims(json.dumps(CLAIMS).encode()),),
        dress=signed_claims,
        dressed_seeds=(json.dumps(CLAIMS).encode(),),
        is_json=True,
    ),
    Target("server.access.signed_tokens.read_keys", Tokens().keys, (InvalidConfiguration,), (JWKS, PEM), is_json=True),
)
