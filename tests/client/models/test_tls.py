"""A hub behind TLS is asked only when its certificate holds."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.certificate import write_certificate
from tests.http_double import Answer, Asked, serving
from unseen.errors import InvalidInput, ServerUnavailable
from unseen_client.models.fetching import read_small


def hub(request: Asked) -> Answer:
    return Answer(302, headers={"Location": "http://127.0.0.1:9/x"}) if request.path == "/down" else Answer(body=b"ok")


@pytest.fixture
def served(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[tuple[str, Path]]:
    """Address of a hub and its certificate, which is for the host that the test names."""
    certificate, key = tmp_path / "hub.pem", tmp_path / "hub.key"
    write_certificate(certificate, key, getattr(request, "param", "127.0.0.1"))
    with serving(hub, certificate, key) as address:
        yield address, certificate


def test_a_certificate_that_nobody_vouches_for_is_refused(served: tuple[str, Path]) -> None:
    with pytest.raises(ServerUnavailable, match="cannot read"):
        read_small(f"{served[0]}/x", 10)


@pytest.mark.parametrize("served", ["127.0.0.2"], indirect=True)
def test_a_certificate_of_another_host_is_refused(served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(served[1]))
    with pytest.raises(ServerUnavailable, match="cannot read"):
        read_small(f"{served[0]}/x", 10)


def test_a_certificate_that_holds_is_taken_and_tls_is_not_left(served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(served[1]))
    assert read_small(f"{served[0]}/x", 10) == b"ok"
    with pytest.raises(InvalidInput, match="without TLS"):
        read_small(f"{served[0]}/down", 10)
