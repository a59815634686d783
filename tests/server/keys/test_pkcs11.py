"""A key in a token: named by an RFC 7512 URI, reached with a PIN that no command line shows."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tests.server.keys.conftest import PIN, SOFTHSM_MODULE
from unseen.errors import InvalidConfiguration, KeyServiceFailed, SealBroken
from unseen_server.keys.pkcs11_token import PIN_VARIABLE, Pkcs11Token

Uri = Callable[..., str]
KEY, PLACE = bytes(range(32)), b"place"


def token(uri: str) -> Pkcs11Token:
    return Pkcs11Token(uri.removeprefix("pkcs11:"))


def test_what_the_token_wraps_is_aes_gcm_as_the_library_has_it(softhsm: Path, pkcs11_uri: Uri) -> None:
    """The plain twin: the same key, taken out of a token that allows it."""
    import pkcs11

    key = bytes(range(100, 132))
    template = {
        pkcs11.Attribute.CLASS: pkcs11.ObjectClass.SECRET_KEY,
        pkcs11.Attribute.KEY_TYPE: pkcs11.KeyType.AES,
        pkcs11.Attribute.LABEL: "known",
        pkcs11.Attribute.TOKEN: True,
        pkcs11.Attribute.ENCRYPT: True,
        pkcs11.Attribute.DECRYPT: True,
        pkcs11.Attribute.VALUE: key,
    }
    held = pkcs11.lib(SOFTHSM_MODULE).get_token(token_label="unseen")
    with held.open(user_pin=PIN, rw=True) as session:
        session.create_object(template)
    wrapped = token(pkcs11_uri("known")).wrap(KEY, PLACE)
    assert AESGCM(key).decrypt(wrapped[:12], wrapped[12:], PLACE) == KEY


def test_pin_may_come_from_the_environment(pkcs11_uri: Uri, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PIN_VARIABLE, PIN)
    provider = token(pkcs11_uri(pin=None))
    assert provider.unwrap(provider.wrap(KEY, PLACE), PLACE) == KEY


def test_wrong_pin_is_told_and_not_shown(pkcs11_uri: Uri, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PIN_VARIABLE, "9999-canary")
    with pytest.raises(InvalidConfiguration, match="refuses the PIN") as refused:
        token(pkcs11_uri(pin=None)).wrap(KEY, PLACE)
    assert "canary" not in str(refused.value)


def test_pin_file_that_others_can_open_is_refused(tmp_path: Path, pkcs11_uri: Uri) -> None:
    (tmp_path / "pin").write_text(PIN)
    (tmp_path / "pin").chmod(0o644)
    with pytest.raises(InvalidConfiguration, match="chmod 600"):
        token(pkcs11_uri(pin=tmp_path / "pin"))


def test_no_pin_at_all_is_a_failure_of_the_token(pkcs11_uri: Uri, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(PIN_VARIABLE, raising=False)
    with pytest.raises((InvalidConfiguration, KeyServiceFailed)):
        token(pkcs11_uri(pin=None)).wrap(KEY, PLACE)


def test_token_or_key_that_is_not_there_is_told(pkcs11_uri: Uri) -> None:
    with pytest.raises(InvalidConfiguration, match="no token"):
        token(pkcs11_uri(token="another")).wrap(KEY, PLACE)
    with pytest.raises(InvalidConfiguration, match="no AES key"):
        token(pkcs11_uri("another")).wrap(KEY, PLACE)


def test_another_length_is_refused_before_the_token_is_asked(pkcs11_uri: Uri) -> None:
    with pytest.raises(SealBroken, match="expected 60"):
        token(pkcs11_uri()).unwrap(bytes(59), PLACE)


@pytest.mark.parametrize(
    ("uri", "says"),
    [
        ("token=a;object=b", "lacks module-path"),
        ("token=a?module-path=/m", "lacks object"),
        ("object=b?module-path=/m", "lacks token"),
        ("token=;object=b?module-path=/m", "lacks token"),
        ("token=a;object=b?module-path=/m&pin-value=canary", "can be read by every user"),
        ("token=a;object=b;slot-id=1?module-path=/m", "unknown or comes twice"),
        ("token=a;object=b;token=c?module-path=/m", "unknown or comes twice"),
        ("token=a;object=b?module-path=/nowhere/module.so", "cannot be loaded"),
    ],
)
def test_address_that_is_incomplete_or_unsafe_is_refused(uri: str, says: str) -> None:
    with pytest.raises(InvalidConfiguration, match=says) as refused:
        Pkcs11Token(uri)
    assert "canary" not in str(refused.value)


def test_percent_encoding_is_undone(pkcs11_uri: Uri) -> None:
    provider = token(pkcs11_uri().replace("token=unseen", "token=%75nseen"))
    assert provider.unwrap(provider.wrap(KEY, PLACE), PLACE) == KEY


def test_token_that_is_gone_stops_the_start_with_2_and_nothing_is_written(
    make_server: Callable[..., Any], pkcs11_uri: Uri
) -> None:
    server = make_server("--master-key", pkcs11_uri(token="gone-canary"))
    result = subprocess.run(
        server.command("--key-ring", str(server.folder / "ring")), capture_output=True, text=True, check=False
    )
    assert result.returncode == 2, result.stderr
    assert "no token" in result.stderr
    assert "canary" not in result.stderr
    assert list(server.folder.iterdir()) == []
