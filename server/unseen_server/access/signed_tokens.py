"""JSON Web Tokens (RFC 7519) of one issuer, checked with keys from a file. Nothing is ever fetched over the network.

    header: its algorithm must be the key's, and its kid too where both have one; anything else in it is ignored
    claims: iss, aud, sub, exp; unseen_tenant, unseen_roles and, to name collections, unseen_collections

Holds public keys. A token cannot be revoked here, so one that lives longer than a day is refused (RFC 8725 section 3.10
asks to limit what an old token can do).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from unseen.errors import InvalidConfiguration, InvalidInput, NotAuthenticated
from unseen.json_text import read_json
from unseen.signature import require_sound_key
from unseen_server import limits
from unseen_server.access.names import require_collections, require_name, require_roles, require_tenant
from unseen_server.call import Caller

TENANT, ROLES, COLLECTIONS = "unseen_tenant", "unseen_roles", "unseen_collections"
LEAST_RSA_BITS = 2048
LARGEST_TIME_S = 1e12
"""Far beyond any calendar. What JSON calls NaN or Infinity is not below it."""
CURVES = {"secp256r1": "ES256", "secp384r1": "ES384", "secp521r1": "ES512"}

PublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey


@dataclass(frozen=True)
class JwtSettings:
    """Whose tokens are taken, for whom they must be, and where the issuer's public keys lie: JWKS or PEM."""

    issuer: str
    audience: str
    keys: Path


@dataclass(frozen=True)
class IssuerKey:
    """A public key and the one algorithm that it is used with."""

    key: PublicKey
    algorithm: str
    kid: str | None


class SignedTokens:
    """Says who holds a token of the issuer."""

    def __init__(self, settings: JwtSettings) -> None:
        """Read the keys; InvalidConfiguration when there is none that can be used safely."""
        self._settings = settings
        self._keys = read_keys(settings.keys)

    def caller(self, text: str, now: float) -> Caller:
        """The caller that a token names; NotAuthenticated, without a word of it, when it does not hold."""
        claims = self._verified(text)
        _require_times(claims, now)
        collections = claims.get(COLLECTIONS)
        try:
            return Caller(
                require_tenant(_text(claims, TENANT)),
                require_name(_text(claims, "sub")),
                require_roles(_texts(claims, ROLES)),
                None if collections is None else require_collections(_texts(claims, COLLECTIONS)),
            )
        except InvalidInput as error:
            raise NotAuthenticated(f"the token is signed as it should be, but {error}") from None

    def _verified(self, text: str) -> dict[str, Any]:
        try:
            header = jwt.get_unverified_header(text)
        except jwt.PyJWTError:
            raise NotAuthenticated("what came as a token is none of this server's and no JSON Web Token") from None
        for key in self._keys:
            fits = header.get("alg") == key.algorithm and (key.kid is None or header.get("kid", key.kid) == key.kid)
            claims = self._opened(text, key) if fits else None
            if claims is not None:
                return claims
        raise NotAuthenticated("the token was signed by no key that this server takes; was it made for another one?")

    def _opened(self, text: str, key: IssuerKey) -> dict[str, Any] | None:
        """The claims, None when another key signed them. Times are checked later, by the server's own clock."""
        try:
            claims: dict[str, Any] = jwt.decode(
                text,
                key=key.key,
                algorithms=[key.algorithm],
                issuer=self._settings.issuer,
                audience=self._settings.audience,
                options={
                    "require": ["iss", "aud", "sub", "exp"],
                    "verify_exp": False,
                    "verify_nbf": False,
                    "verify_iat": False,
                },
            )
        except (jwt.InvalidSignatureError, jwt.InvalidAlgorithmError):
            return None
        except (jwt.InvalidIssuerError, jwt.InvalidAudienceError, jwt.MissingRequiredClaimError) as error:
            raise NotAuthenticated(
                f"the token is not for this server ({type(error).__name__}): ask its issuer for one with the right "
                "iss, aud, sub and exp"
            ) from None
        except jwt.PyJWTError as error:
            raise NotAuthenticated(f"the token is malformed ({type(error).__name__})") from None
        return claims


def read_keys(file: Path) -> tuple[IssuerKey, ...]:
    """The issuer's public keys, from a JWK set (RFC 7517) or from PEM; InvalidConfiguration."""
    try:
        content = file.read_bytes()
    except OSError as error:
        raise InvalidConfiguration(f"{file} cannot be read: {error.strerror}; give --jwt-keys a file") from error
    keys = _from_pem(file, content) if b"-----BEGIN" in content else _from_jwks(file, content)
    if not keys:
        raise InvalidConfiguration(f"{file} holds no public key for signatures; give --jwt-keys a JWK set or PEM")
    return keys


def _from_pem(file: Path, content: bytes) -> tuple[IssuerKey, ...]:
    try:
        key = load_pem_public_key(content)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise InvalidConfiguration(
            f"{file} holds no public key in PEM form; private keys stay with the issuer"
        ) from None
    return (_issuer_key(file, key, None, None),)


def _from_jwks(file: Path, content: bytes) -> tuple[IssuerKey, ...]:
    try:
        listed = read_json(content)["keys"]
        wanted = [one for one in listed if one.get("use", "sig") == "sig"]
        if any("d" in one or one.get("kty") == "oct" for one in wanted):
            raise InvalidConfiguration(f"{file} holds a secret or private key; give the issuer's public keys alone")
        return tuple(_issuer_key(file, jwt.PyJWK(one).key, one.get("alg"), one.get("kid")) for one in wanted)
    except (ValueError, KeyError, TypeError, AttributeError, UnsupportedAlgorithm, jwt.PyJWTError):
        raise InvalidConfiguration(f"{file} is no JWK set that can be read; give --jwt-keys a JWK set or PEM") from None


def _issuer_key(file: Path, key: object, algorithm: str | None, kid: str | None) -> IssuerKey:
    match key:
        case rsa.RSAPublicKey() if key.key_size >= LEAST_RSA_BITS:
            usual, others = "RS256", {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}
        case ec.EllipticCurvePublicKey() if key.curve.name in CURVES:
            usual, others = CURVES[key.curve.name], {CURVES[key.curve.name]}
        case ed25519.Ed25519PublicKey():
            _require_sound(file, key)
            usual, others = "EdDSA", {"EdDSA"}
        case _:
            raise InvalidConfiguration(
                f"{file} holds a key that is not taken; use RSA of {LEAST_RSA_BITS} bits or more, P-256 to P-521 or "
                "Ed25519"
            )
    if algorithm is not None and algorithm not in others:
        raise InvalidConfiguration(f"{file} names an algorithm that does not fit its key; leave it out, or correct it")
    return IssuerKey(key, algorithm or usual, kid)


def _require_sound(file: Path, key: ed25519.Ed25519PublicKey) -> None:
    try:
        require_sound_key(key.public_bytes_raw())
    except InvalidInput as error:
        raise InvalidConfiguration(f"{file} cannot be used: {error}") from None


def _require_times(claims: dict[str, Any], now: float) -> None:
    leeway = limits.CLOCK_LEEWAY_S
    expires_at, from_at = _seconds(claims, "exp"), _seconds(claims, "nbf", default=now)
    if now >= expires_at + leeway:
        raise NotAuthenticated("the token has expired; ask its issuer for another one")
    if now < from_at - leeway or now < _seconds(claims, "iat", default=now) - leeway:
        raise NotAuthenticated("the token holds from later on by this server's clock; is one of the clocks wrong?")
    if expires_at - now > limits.MAX_SIGNED_TOKEN_LIFE_S + leeway:
        raise NotAuthenticated(
            "the token lives longer than a day, and signed tokens cannot be revoked; let its issuer make shorter ones"
        )


def _seconds(claims: dict[str, Any], name: str, default: float | None = None) -> float:
    value = claims.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < LARGEST_TIME_S:
        raise NotAuthenticated(f"the token's {name} is no number of seconds")
    return float(value)


def _text(claims: dict[str, Any], name: str) -> str:
    value = claims.get(name)
    if not isinstance(value, str):
        raise InvalidInput(f"its claim {name} is no text")
    return value


def _texts(claims: dict[str, Any], name: str) -> list[str]:
    values = claims.get(name)
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise InvalidInput(f"its claim {name} is no list of texts")
    return values
