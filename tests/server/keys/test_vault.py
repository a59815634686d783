"""Vault's transit engine, as a small double speaks it: the right calls, over TLS, and refusals told without secrets."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.server.keys.vault_double import VaultDouble
from unseen.errors import InvalidConfiguration, KeyServiceFailed, SealBroken, WrongKey
from unseen_server.keys.vault import VaultTransit

KEY, PLACE = bytes(range(32)), b"place"


def transit(vault: VaultDouble, key: str = "first", mount: str = "transit") -> VaultTransit:
    return VaultTransit(vault.choice(key, mount).removeprefix("vault:"))


def test_calls_are_those_of_the_api(vault: VaultDouble, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VAULT_NAMESPACE", "hospital/imaging")
    provider = transit(vault)
    assert provider.unwrap(provider.wrap(KEY, PLACE), PLACE) == KEY
    assert [path for path, _ in vault.seen] == ["/v1/transit/encrypt/first", "/v1/transit/decrypt/first"]
    for _, headers in vault.seen:
        assert headers["X-Vault-Token"] == vault.token
        assert headers["X-Vault-Namespace"] == "hospital/imaging"


def test_context_is_bound_also_by_a_vault_that_does_not_know_associated_data(vault: VaultDouble) -> None:
    vault.ignores_associated_data = True
    provider = transit(vault)
    wrapped = provider.wrap(KEY, PLACE)
    assert provider.unwrap(wrapped, PLACE) == KEY
    with pytest.raises(SealBroken, match="another place"):
        provider.unwrap(wrapped, b"another place")


def test_certificate_of_somebody_else_is_refused(vault: VaultDouble, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VAULT_CACERT")
    with pytest.raises(KeyServiceFailed, match="SSLCertVerificationError"):
        transit(vault).wrap(KEY, PLACE)
    assert vault.seen == [], "the token was sent before the certificate was checked"


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (503, b'{"errors":["Vault is sealed"]}', KeyServiceFailed),
        (403, b'{"errors":["permission denied"]}', KeyServiceFailed),
        (404, b"", KeyServiceFailed),
        (500, b"canary", KeyServiceFailed),
        (400, b'{"errors":["cipher: message authentication failed"]}', WrongKey),
        (400, b'{"errors":["something else"]}', KeyServiceFailed),
        (200, b"", KeyServiceFailed),
        (200, b"<html>canary</html>", KeyServiceFailed),
        (200, b"[" * 50_000, KeyServiceFailed),
        (200, b"[]", KeyServiceFailed),
        (200, b'{"data": null}', KeyServiceFailed),
        (200, b'{"data": {"plaintext": 7}}', KeyServiceFailed),
        (200, b'{"data": {"plaintext": "no base64!"}}', KeyServiceFailed),
        (200, b'{"data": {"plaintext": "AAAA"}}', SealBroken),
    ],
)
def test_answer_that_is_no_key_is_told(vault: VaultDouble, status: int, body: bytes, kind: type[Exception]) -> None:
    provider = transit(vault)
    wrapped = provider.wrap(KEY, PLACE)
    vault.answer = (status, body)
    with pytest.raises(kind) as refused:
        provider.unwrap(wrapped, PLACE)
    assert "canary" not in str(refused.value)
    assert vault.token not in str(refused.value)
    assert "127.0.0.1" not in str(refused.value)


def test_redirect_is_not_followed(vault: VaultDouble) -> None:
    vault.answer = (307, f"{vault.url}/v1/elsewhere".encode())
    with pytest.raises(KeyServiceFailed, match="status 307"):
        transit(vault).wrap(KEY, PLACE)
    assert len(vault.seen) == 1


def test_proxy_of_the_environment_does_not_get_the_token(vault: VaultDouble, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("https_proxy", "http_proxy", "HTTPS_PROXY", "HTTP_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    assert transit(vault).wrap(KEY, PLACE)


def test_plain_http_is_for_the_own_machine_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    agent = VaultDouble(tmp_path, with_tls=False)
    monkeypatch.setenv("VAULT_TOKEN", agent.token)
    try:
        provider = transit(agent)
        assert provider.unwrap(provider.wrap(KEY, PLACE), PLACE) == KEY
    finally:
        agent.close()
    with pytest.raises(InvalidConfiguration, match="use https"):
        VaultTransit("http://vault.example.org/transit/k")


def test_token_may_come_from_a_private_file(
    vault: VaultDouble, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("VAULT_TOKEN")
    with pytest.raises(InvalidConfiguration, match="no token"):
        transit(vault)
    monkeypatch.setenv("VAULT_TOKEN_FILE", str(tmp_path / "token"))
    (tmp_path / "token").touch(0o600)
    (tmp_path / "token").write_text(f"{vault.token}\n")
    assert transit(vault).wrap(KEY, PLACE)
    (tmp_path / "token").chmod(0o644)
    with pytest.raises(InvalidConfiguration, match="chmod 600"):
        transit(vault)


def test_token_with_a_line_break_cannot_add_headers(vault: VaultDouble, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VAULT_TOKEN", "canary\r\nX-Other: 1")
    with pytest.raises(InvalidConfiguration, match="no printable ASCII") as refused:
        transit(vault)
    assert "canary" not in str(refused.value)


@pytest.mark.parametrize(
    "url",
    [
        "vault.example.org/transit/k",
        "ftp://h/transit/k",
        "https:///transit/k",
        "https://h/k",
        "https://h/transit/",
        "https://user:canary@h/transit/k",
        "https://h/transit/k?token=canary",
        "https://h/transit/k#canary",
    ],
)
def test_address_of_another_form_is_refused_without_being_repeated(vault: VaultDouble, url: str) -> None:
    with pytest.raises(InvalidConfiguration, match="address of Vault") as refused:
        VaultTransit(url)
    assert "canary" not in str(refused.value)


def test_unreadable_certificates_are_named(vault: VaultDouble, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VAULT_CACERT", "/nowhere")
    with pytest.raises(InvalidConfiguration, match="VAULT_CACERT"):
        transit(vault)


def test_vault_that_is_sealed_stops_the_start_with_2_and_nothing_is_written(
    vault: VaultDouble, make_server: Callable[..., Any]
) -> None:
    vault.sealed = True
    server = make_server("--master-key", vault.choice(), "--key-ring")
    before = sorted(server.folder.rglob("*"))
    result = subprocess.run(server.command(str(server.folder / "ring")), capture_output=True, text=True, check=False)
    assert result.returncode == 2, result.stderr
    assert "unseen server: Vault refused (status 503)" in result.stderr
    assert vault.token not in result.stderr
    assert sorted(server.folder.rglob("*")) == before
