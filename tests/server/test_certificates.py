"""TLS files that will not do stop the start in one sentence; renewed ones are taken while the server runs."""

from __future__ import annotations

import datetime as dt
import os
import ssl
import subprocess
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from tests.server.identities import DAY, Identity, credentials, issue, tls_options
from unseen.errors import InvalidConfiguration
from unseen_server.certificates import TlsFiles, server_credentials

Make = Callable[..., Any]


def files_of(folder: Path, identity: Identity, authority: Identity | None = None) -> TlsFiles:
    options = tls_options(folder, identity, authority)
    return TlsFiles(*(Path(path) for path in options[1::2]))


def _in(time: dt.timedelta) -> dt.datetime:
    return dt.datetime.now(dt.UTC) + time


def refusal(files: TlsFiles) -> str:
    with pytest.raises(InvalidConfiguration) as refused:
        server_credentials(files, lambda: dt.datetime.now(dt.UTC))
    words = str(refused.value)
    assert "\n" not in words
    assert "BEGIN" not in words
    return words


@pytest.fixture
def authority() -> Identity:
    return issue("our authority")


def test_expired_certificate_is_named_with_its_day(tmp_path: Path, authority: Identity) -> None:
    identity = issue("server", authority, -3 * DAY, -DAY)
    files = files_of(tmp_path, identity)
    words = refusal(files)
    assert str(files.certificate) in words
    assert f"expired on {identity.certificate.not_valid_after_utc:%Y-%m-%d}" in words


def test_certificate_from_tomorrow_on_points_at_the_clock(tmp_path: Path, authority: Identity) -> None:
    assert "set the clock" in refusal(files_of(tmp_path, issue("server", authority, DAY, 2 * DAY)))


def test_clock_ten_years_off_is_refused_either_way(tmp_path: Path, authority: Identity) -> None:
    files = files_of(tmp_path, issue("server", authority))
    for off in (-3652 * DAY, 3652 * DAY):
        with pytest.raises(InvalidConfiguration):
            server_credentials(files, partial(_in, off))


def test_expired_client_authority_is_refused(tmp_path: Path, authority: Identity) -> None:
    old = issue("old authority", None, -3 * DAY, -DAY)
    assert "client-ca.pem expired" in refusal(files_of(tmp_path, issue("server", authority), old))


def test_key_of_another_certificate_is_refused(tmp_path: Path, authority: Identity) -> None:
    files = files_of(tmp_path, issue("server", authority))
    files.key.write_bytes(issue("another", authority).key_pem)
    assert "is not the one of the certificate" in refusal(files)


def test_key_under_a_passphrase_is_refused_with_the_command_that_helps(tmp_path: Path, authority: Identity) -> None:
    identity = issue("server", authority)
    files = files_of(tmp_path, identity)
    files.key.write_bytes(identity.key_under(b"secret"))
    assert "openssl pkey" in refusal(files)


@pytest.mark.parametrize("which", ["certificate", "key", "client_authority"])
@pytest.mark.parametrize(
    "content", [b"", b"no PEM\n", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"]
)
def test_file_that_holds_something_else_is_named(
    tmp_path: Path, authority: Identity, which: str, content: bytes
) -> None:
    files = files_of(tmp_path, issue("server", authority), authority)
    getattr(files, which).write_bytes(content)
    assert str(getattr(files, which)) in refusal(files)
    getattr(files, which).unlink()
    assert "cannot be read" in refusal(files)


def test_start_is_refused_before_anything_is_written(make_server: Make, tmp_path: Path, authority: Identity) -> None:
    server = make_server(*tls_options(tmp_path, issue("server", authority, -3 * DAY, -DAY)))
    before = sorted(tmp_path.rglob("*"))
    result = subprocess.run(server.command(), capture_output=True, text=True, check=False)
    assert (result.returncode, len(result.stderr.splitlines())) == (2, 1)
    assert "expired" in result.stderr
    assert sorted(tmp_path.rglob("*")) == before


def shown(port: int) -> x509.Certificate:
    """The certificate that a new connection is shown."""
    return x509.load_pem_x509_certificate(ssl.get_server_certificate(("127.0.0.1", port), timeout=30).encode())


def test_renewed_certificate_serves_the_next_connection_and_a_worse_one_none(
    make_server: Make, tmp_path: Path, authority: Identity, call: Make
) -> None:
    first = issue("server", authority)
    server = make_server(*tls_options(tmp_path, first)).start()
    assert shown(server.port) == first.certificate
    old = call(server, credentials(authority))
    old.create()
    for worse in (issue("server", authority, -3 * DAY, -DAY).certificate_pem, b"half a fi"):
        (tmp_path / "cert.pem").write_bytes(worse)
        assert shown(server.port) == first.certificate
    assert "the old ones stay in use" in server.log()
    second = issue("server", authority)
    tls_options(tmp_path, second)
    os.utime(tmp_path / "key.pem", ns=(1, 1))
    assert shown(server.port) == second.certificate
    assert old.collection().rows == 0, "who is connected stays so"
    fresh = call(server, credentials(authority))
    assert fresh.collection().rows == 0
