"""The metrics: names as Prometheus wants them, counts that are right, a page under the service's own rules."""

from __future__ import annotations

import socket
import ssl
import subprocess
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.ports import port_to_keep
from tests.server.identities import issue
from unseen.errors import InvalidConfiguration
from unseen_server.certificates import TlsFiles
from unseen_server.operations.metrics import OVER_LIMIT, Metrics
from unseen_server.operations.page import Page

Make = Callable[..., Any]


@pytest.fixture
def metrics() -> Metrics:
    return Metrics("1.2.3")


@pytest.fixture
def open_page(metrics: Metrics) -> Iterator[Callable[..., Page]]:
    opened: list[Page] = []

    def make(host: str = "127.0.0.1", port: int = 0, tls: TlsFiles | None = None) -> Page:
        opened.append(Page(host, port, tls, metrics.registry))
        return opened[-1]

    yield make
    for page in opened:
        page.close()


def read(url: str, context: ssl.SSLContext | None = None) -> str:
    with urllib.request.urlopen(url, timeout=30, context=context) as page:
        return str(page.read().decode())


def samples(text: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_calls_are_counted_by_method_and_outcome(metrics: Metrics, open_page: Callable[..., Page]) -> None:
    for code in ("OK", "OK", "SERVER_BUSY"):
        metrics.call_began()
        metrics.call_ended("Search", code, 0.02, "radiology")
    metrics.call_began()
    metrics.leaves_written(3, 0.001)
    found = samples(read(f"http://127.0.0.1:{open_page().port}/metrics"))
    assert found["unseen_calls_total", (("code", "OK"), ("method", "Search"))] == 2
    assert found["unseen_calls_total", (("code", "SERVER_BUSY"), ("method", "Search"))] == 1
    assert found["unseen_call_duration_seconds_count", (("method", "Search"),)] == 3
    assert found["unseen_calls_in_progress", ()] == 1
    assert found["unseen_audit_leaves_total", ()] == 3
    assert found["unseen_build_info", (("version", "1.2.3"),)] == 1
    assert (metrics.calls(), metrics.calls("Search", ("OK",)), metrics.calls(codes=OVER_LIMIT)) == (3, 2, 1)
    assert metrics.under_way == 1


def test_tenants_are_counted_by_a_keyed_hash_and_only_when_asked_for(
    metrics: Metrics, open_page: Callable[..., Page]
) -> None:
    page = open_page()
    metrics.call_began()
    metrics.call_ended("Search", "OK", 0.02, "radiology")
    assert "unseen_tenant_calls_total{" not in read(f"http://127.0.0.1:{page.port}/")
    metrics.tenant_hash = lambda tenant: "0123456789abcdef" if tenant == "radiology" else "other"
    metrics.call_began()
    metrics.call_ended("Search", "OK", 0.02, "radiology")
    text = read(f"http://127.0.0.1:{page.port}/")
    assert samples(text)["unseen_tenant_calls_total", (("code", "OK"), ("tenant", "0123456789abcdef"))] == 1
    assert "radiology" not in text


def test_names_and_units_are_as_prometheus_wants_them(make_server: Make, call: Make) -> None:
    address = f"127.0.0.1:{port_to_keep()}"
    server = make_server("--metrics", address).start()
    call(server).collections()
    text = read(f"http://{address}/metrics")
    families = [one for one in text_string_to_metric_families(text) if one.name.startswith("unseen_")]
    assert len(families) >= 16
    for family in families:
        assert family.documentation.endswith("."), family.name
        if family.type == "histogram":
            assert family.name.endswith("_seconds")
        for word in ("ms", "millis", "kib", "mib", "minutes"):
            assert word not in family.name.split("_")
    found = samples(text)
    assert found["unseen_calls_total", (("code", "OK"), ("method", "ListCollections"))] == 1
    assert found["unseen_audit_writable", ()] == 1
    assert found["unseen_audit_log_leaves", ()] >= 2
    assert found["unseen_disk_free_bytes", ()] > 0
    labels = {name for (_, pairs) in found for name, _ in pairs}
    assert labels <= {"method", "code", "le", "version"}, "a label that could name somebody"
    assert server.stop() == 0


# The page


def test_a_taken_port_is_refused_with_a_sentence(open_page: Callable[..., Page]) -> None:
    with pytest.raises(InvalidConfiguration, match="cannot be listened on"):
        open_page(port=open_page().port)


def test_the_page_is_not_shown_to_other_machines_without_tls(make_server: Make) -> None:
    server = make_server("--metrics", "0.0.0.0:9100")
    ended = subprocess.run(server.command(), capture_output=True, text=True, check=False, timeout=60)
    assert ended.returncode == 2
    assert "--metrics 0.0.0.0 can be reached from other machines, and there is no TLS" in ended.stderr
    assert not server.data.exists()


def test_under_tls_the_page_wants_the_certificates_that_the_service_wants(
    open_page: Callable[..., Page], tmp_path: Path
) -> None:
    authority, stranger = issue("authority"), issue("stranger")
    server, scraper, outsider = issue("server", authority), issue("scraper", authority), issue("outsider", stranger)
    for name, identity in {"server": server, "scraper": scraper, "outsider": outsider, "authority": authority}.items():
        (tmp_path / f"{name}.pem").write_bytes(identity.certificate_pem)
        (tmp_path / f"{name}.key").write_bytes(identity.key_pem)
    page = open_page(tls=TlsFiles(tmp_path / "server.pem", tmp_path / "server.key", tmp_path / "authority.pem"))
    url = f"https://127.0.0.1:{page.port}/metrics"

    def context(client: str | None) -> ssl.SSLContext:
        made = ssl.create_default_context(cafile=str(tmp_path / "authority.pem"))
        if client is not None:
            made.load_cert_chain(tmp_path / f"{client}.pem", tmp_path / f"{client}.key")
        return made

    assert "unseen_build_info" in read(url, context("scraper"))
    for client in (None, "outsider"):
        with pytest.raises((urllib.error.URLError, ConnectionError, ssl.SSLError)):
            read(url, context(client))
    with pytest.raises((urllib.error.URLError, ConnectionError)):
        read(url.replace("https", "http"))


def test_readers_that_say_nothing_keep_nobody_from_reading(open_page: Callable[..., Page]) -> None:
    page = open_page()
    silent = [socket.create_connection(("127.0.0.1", page.port)) for _ in range(20)]
    assert "unseen_build_info" in read(f"http://127.0.0.1:{page.port}/")
    for connection in silent:
        connection.close()


def test_closing_ends_the_thread(open_page: Callable[..., Page]) -> None:
    page = open_page()
    page.close()
    assert "unseen-metrics" not in {thread.name for thread in threading.enumerate()}
