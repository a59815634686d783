"""A master key inside a token or HSM, through its PKCS#11 module. ``unseen[pkcs11]``.

The server holds the right to use the key, not the key. Named by an RFC 7512 URI:

    pkcs11:token=LABEL;object=LABEL?module-path=/path/to/module.so&pin-source=file:/path/to/pin

The key is an AES key of 256 bits that may encrypt and decrypt (CKM_AES_GCM, PKCS#11 v3.0 section 2.11.7). The PIN comes
from the file that pin-source names, or from UNSEEN_PKCS11_PIN; pin-value is refused, since every user of the machine
can read a command line. What is wrapped: nonce 12 | ciphertext 32 | tag 16, with the context as additional data.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from unseen.entropy import random_bytes
from unseen.envelope import KEY_BYTES, NONCE_BYTES, TAG_BYTES
from unseen.errors import InvalidConfiguration, KeyServiceFailed, SealBroken, WrongKey
from unseen.keys.provider import KeyProvider
from unseen_server.master_key import read_private

PIN_VARIABLE = "UNSEEN_PKCS11_PIN"
WRAPPED_BYTES = NONCE_BYTES + KEY_BYTES + TAG_BYTES
LONGEST_PIN_BYTES = 256
_KNOWN = {"token", "object", "module-path", "pin-source"}


class Pkcs11Token(KeyProvider):
    """One AES key of one token."""

    def __init__(self, uri: str) -> None:
        """``uri`` is what stands behind ``pkcs11:``; the token is asked later."""
        try:
            import pkcs11
        except ImportError:
            raise InvalidConfiguration(
                "--master-key pkcs11 needs python-pkcs11; pip install 'unseen[pkcs11]'"
            ) from None
        self._pkcs11: Any = pkcs11
        named = _attributes(uri)
        self._token, self._object = named["token"], named["object"]
        self._pin = _pin(named.get("pin-source"))
        try:
            self._module: Any = pkcs11.lib(named["module-path"])
        except pkcs11.exceptions.PKCS11Error as error:
            raise InvalidConfiguration(
                f"the PKCS#11 module cannot be loaded ({type(error).__name__}); look at module-path"
            ) from None

    @property
    def kind(self) -> str:
        return "pkcs11"

    def wrap(self, key: bytes, context: bytes) -> bytes:
        nonce = random_bytes(NONCE_BYTES)
        return nonce + self._with_key(lambda held: held.encrypt(key, **self._gcm(nonce, context)))

    def unwrap(self, wrapped: bytes, context: bytes) -> bytes:
        if len(wrapped) != WRAPPED_BYTES:
            raise SealBroken(f"the key ring holds {len(wrapped)} bytes from a token, expected {WRAPPED_BYTES}")
        nonce, sealed = wrapped[:NONCE_BYTES], wrapped[NONCE_BYTES:]

        def decrypt(held: Any) -> bytes:
            try:
                return bytes(held.decrypt(sealed, **self._gcm(nonce, context)))
            except self._pkcs11.exceptions.PKCS11Error:
                raise WrongKey(
                    "the token does not unwrap the key ring with this key; give the one it was made or rotated with"
                ) from None

        return self._with_key(decrypt)

    def _gcm(self, nonce: bytes, context: bytes) -> dict[str, Any]:
        parameters = self._pkcs11.GCMParams(nonce, context, TAG_BYTES * 8)
        return {"mechanism": self._pkcs11.Mechanism.AES_GCM, "mechanism_param": parameters}

    def _with_key(self, work: Callable[[Any], bytes]) -> bytes:
        """Do something with the key in a session of its own."""
        errors = self._pkcs11.exceptions
        try:
            token = self._module.get_token(token_label=self._token)
            with token.open(user_pin=self._pin) as session:
                kind, of = self._pkcs11.KeyType.AES, self._pkcs11.ObjectClass.SECRET_KEY
                return bytes(work(session.get_key(label=self._object, key_type=kind, object_class=of)))
        except (errors.NoSuchToken, errors.MultipleTokensReturned):
            raise InvalidConfiguration("the PKCS#11 module shows no token, or several, with this label") from None
        except (errors.NoSuchKey, errors.MultipleObjectsReturned):
            raise InvalidConfiguration("the token holds no AES key, or several, with this label") from None
        except (errors.PinIncorrect, errors.PinLenRange, errors.PinInvalid):
            raise InvalidConfiguration("the token refuses the PIN; it may lock itself after a few tries") from None
        except errors.PKCS11Error as error:
            raise KeyServiceFailed(
                f"the token did not do it ({type(error).__name__}); is it there, unlocked, and may its key encrypt?"
            ) from None


def _attributes(uri: str) -> dict[str, str]:
    """The attributes of path and query, percent-decoded; InvalidConfiguration when one is missing or unknown."""
    path, _, query = uri.partition("?")
    named: dict[str, str] = {}
    for part in [*path.split(";"), *query.split("&")]:
        if not part:
            continue
        name, _, value = part.partition("=")
        if name == "pin-value":
            raise InvalidConfiguration(
                f"pin-value on a command line can be read by every user; use pin-source=file:PATH or {PIN_VARIABLE}"
            )
        if name not in _KNOWN or name in named:
            raise InvalidConfiguration(
                "the PKCS#11 address holds an attribute that is unknown or comes twice; expected "
                "pkcs11:token=LABEL;object=LABEL?module-path=PATH&pin-source=file:PATH"
            )
        named[name] = unquote(value)
    missing = sorted(_KNOWN - {"pin-source"} - {name for name, value in named.items() if value})
    if missing:
        raise InvalidConfiguration(f"the PKCS#11 address lacks {', '.join(missing)}")
    return named


def _pin(source: str | None) -> str | None:
    if source is None:
        return os.environ.get(PIN_VARIABLE)
    content = read_private(Path(source.removeprefix("file:")), LONGEST_PIN_BYTES)
    return content.decode("utf-8", "replace").rstrip("\r\n")
