"""A secret of this device in the operating system's keyring: Secret Service, KWallet, Keychain, Credential Locker.

The package `keyring` (extra ``keyring``) talks to it and is imported here only. The keyring is as safe as the session
that has it unlocked: any program of the same account may ask it.
"""

from __future__ import annotations

import base64
from contextlib import suppress
from types import ModuleType

from unseen.envelope import KEY_BYTES
from unseen.errors import InvalidConfiguration, WrongKey

SERVICE = "unseen"
NO_KEYRINGS = ("keyring.backends.fail", "keyring.backends.null", "keyrings.alt.")
"""Backends that keep nothing, or keep it in a file that is in the clear or under a passphrase of its own."""


def keep(entry: str, secret: bytes) -> None:
    """Put a secret under a name; InvalidConfiguration where there is no keyring."""
    keyring = _keyring("use `unseen keys protect passphrase`")
    from keyring.errors import KeyringError

    try:
        keyring.set_password(SERVICE, entry, base64.b64encode(secret).decode("ascii"))
    except (KeyringError, OSError) as error:
        raise InvalidConfiguration("the system's keyring did not keep the secret; unlock it, then try again") from error


def fetch(entry: str) -> bytes:
    """The secret under a name; WrongKey when the keyring has none or is locked, InvalidConfiguration without one."""
    keyring = _keyring(
        "the keys of this device lie under a secret that one holds: run this in the session that has it, as the same "
        "account"
    )
    from keyring.errors import KeyringError

    try:
        text = keyring.get_password(SERVICE, entry)
    except (KeyringError, OSError) as error:  # OSError: a session's bus that is gone
        raise WrongKey("the system's keyring did not answer; unlock it, then try again") from error
    try:
        secret = base64.b64decode(text or "", validate=True)
    except ValueError:
        secret = b""
    if len(secret) != KEY_BYTES:
        raise WrongKey(
            "the system's keyring holds no secret for the keys of this device: is this the account that made them? "
            "Without it import the keys from their exports into a new home"
        )
    return secret


def forget(entry: str) -> None:
    """Remove a secret that opens nothing any more; a keyring that refuses, or is gone, keeps it: that harms nobody."""
    try:
        keyring = _keyring("the secret stays where it is")
    except InvalidConfiguration:
        return
    from keyring.errors import KeyringError

    with suppress(KeyringError, OSError):
        keyring.delete_password(SERVICE, entry)


def _keyring(otherwise: str) -> ModuleType:
    """The package, once there is a keyring for it; ``otherwise``: what to do where there is none."""
    try:
        import keyring
    except ImportError as error:
        raise InvalidConfiguration(
            "the system's keyring needs the package keyring: pip install 'unseen[keyring]'"
        ) from error
    backend = type(keyring.get_keyring())
    if f"{backend.__module__}.".startswith(NO_KEYRINGS):
        raise InvalidConfiguration(f"there is no keyring here that keeps a secret safe; {otherwise}")
    return keyring
