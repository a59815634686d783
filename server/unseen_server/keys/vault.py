"""A master key in HashiCorp Vault's transit engine: the root key goes there to be wrapped and unwrapped.

The server holds a token with the right to use the key, not the key. Named by vault:https://HOST:PORT/MOUNT/KEY, where
KEY is a transit key of an AEAD type (aes256-gcm96). Taken from the environment, as Vault's own tools do: VAULT_TOKEN
(or the file that VAULT_TOKEN_FILE names), VAULT_CACERT, VAULT_NAMESPACE. Spoken to over HTTPS without redirects or
proxies; plain HTTP only where it does not leave the machine, to a Vault agent.

What is wrapped carries a digest of its context beside the key: transit binds ``associated_data`` too, but a release
that does not know that field would leave it out without a word.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import os
import ssl
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import quote, urlsplit
from urllib.request import HTTPRedirectHandler, HTTPSHandler, ProxyHandler, Request, build_opener

from unseen.envelope import KEY_BYTES
from unseen.errors import InvalidConfiguration, KeyServiceFailed, SealBroken, WrongKey
from unseen.json_text import read_json
from unseen.keys.provider import KeyProvider
from unseen_server.hosts import is_loopback
from unseen_server.master_key import read_private

TIMEOUT_S = 10
LARGEST_ANSWER_BYTES = 1 << 16
LONGEST_TOKEN_BYTES = 4096
_PURPOSE = b"unseen/vault/context"
_ANOTHER_KEY = ("message authentication failed", "invalid ciphertext", "unable to decrypt")


class VaultTransit(KeyProvider):
    """One key of a transit engine."""

    def __init__(self, url: str) -> None:
        """``url`` is what stands behind ``vault:``; Vault is asked later."""
        parts = urlsplit(url)
        mount, _, key = parts.path.strip("/").rpartition("/")
        if parts.scheme not in ("https", "http") or not parts.hostname or not mount or not key:
            raise InvalidConfiguration("the address of Vault is not of the form vault:https://HOST:PORT/MOUNT/KEY")
        if parts.username or parts.password or parts.query or parts.fragment:
            raise InvalidConfiguration("the address of Vault holds more than host, mount and key; secrets go elsewhere")
        if parts.scheme == "http" and not is_loopback(parts.hostname):
            raise InvalidConfiguration("Vault over plain http would show the token to the network; use https")
        self._base = f"{parts.scheme}://{parts.netloc}/v1/{quote(mount)}"
        self._key = quote(key, safe="")
        self._headers = _headers()
        self._opener = build_opener(_NoRedirect, ProxyHandler({}), HTTPSHandler(context=_tls()))

    @property
    def kind(self) -> str:
        return "vault"

    def wrap(self, key: bytes, context: bytes) -> bytes:
        data = self._ask("encrypt", plaintext=_base64(key + _digest(context)), associated_data=_base64(context))
        return _field(data, "ciphertext").encode("ascii", "replace")

    def unwrap(self, wrapped: bytes, context: bytes) -> bytes:
        data = self._ask("decrypt", ciphertext=wrapped.decode("ascii", "replace"), associated_data=_base64(context))
        try:
            plain = base64.b64decode(_field(data, "plaintext"), validate=True)
        except binascii.Error:
            raise KeyServiceFailed("Vault gave back something that is no key") from None
        key, digest = plain[:KEY_BYTES], plain[KEY_BYTES:]
        if not hmac.compare_digest(digest, _digest(context)):
            raise SealBroken("Vault unwrapped a key that belongs to another place; restore the key ring from a copy")
        return key

    def _ask(self, action: str, **fields: str) -> dict[str, Any]:
        body = json.dumps(fields).encode()
        request = Request(f"{self._base}/{action}/{self._key}", body, self._headers, method="POST")  # noqa: S310
        try:
            with self._opener.open(request, timeout=TIMEOUT_S) as answer:
                return _data(answer.read(LARGEST_ANSWER_BYTES))
        except HTTPError as error:
            with error:
                raise _refusal(error.code, error.read(LARGEST_ANSWER_BYTES)) from None
        except (URLError, OSError, HTTPException) as error:
            reason = getattr(error, "reason", error)
            raise KeyServiceFailed(
                f"Vault did not answer ({type(reason).__name__}); look at its address, its certificate and the network"
            ) from None


class _NoRedirect(HTTPRedirectHandler):
    """A redirect would take the token to another host."""

    def redirect_request(self, *_: Any) -> None:
        return None


def _refusal(status: int, body: bytes) -> WrongKey | KeyServiceFailed:
    text = body.decode("utf-8", "replace")
    if status == 400 and any(words in text for words in _ANOTHER_KEY):
        return WrongKey(
            "Vault does not unwrap the key ring with this key; give the key it was made or last rotated with"
        )
    return KeyServiceFailed(
        f"Vault refused (status {status}); is it unsealed, is the token good, and may it use this key?"
    )


def _headers() -> dict[str, str]:
    token = os.environ.get("VAULT_TOKEN", "")
    if not token and (path := os.environ.get("VAULT_TOKEN_FILE")):
        token = read_private(Path(path), LONGEST_TOKEN_BYTES).decode("ascii", "replace").strip()
    if not token:
        raise InvalidConfiguration("there is no token for Vault; set VAULT_TOKEN or VAULT_TOKEN_FILE")
    if not token.isascii() or not token.isprintable():
        raise InvalidConfiguration("the token for Vault is no printable ASCII text")
    headers = {"X-Vault-Token": token, "X-Vault-Request": "true", "Content-Type": "application/json"}
    if namespace := os.environ.get("VAULT_NAMESPACE"):
        headers["X-Vault-Namespace"] = namespace
    return headers


def _tls() -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=os.environ.get("VAULT_CACERT"))
    except (OSError, ssl.SSLError) as error:
        raise InvalidConfiguration(
            f"the certificates that VAULT_CACERT names cannot be read ({type(error).__name__})"
        ) from None


def _data(body: bytes) -> dict[str, Any]:
    try:
        answer = read_json(body)
    except ValueError:
        answer = None
    if not isinstance(answer, dict) or not isinstance(answer.get("data"), dict):
        raise KeyServiceFailed("what answered is not Vault; look at its address")
    return dict(answer["data"])


def _field(data: dict[str, Any], name: str) -> str:
    if not isinstance(data.get(name), str):
        raise KeyServiceFailed("what answered is not Vault's transit engine; look at the mount and the key's name")
    return str(data[name])


def _digest(context: bytes) -> bytes:
    return hashlib.sha256(_PURPOSE + context).digest()


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
