"""What the server is told at start: the command line, checked. Refuses what would be unsafe instead of warning."""

from __future__ import annotations

import argparse
import ipaddress
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from unseen.errors import InvalidConfiguration
from unseen_server.access.gate import Entry


@dataclass(frozen=True)
class TlsFiles:
    """PEM files: what the server proves itself with, and whose clients it lets in."""

    certificate: Path
    key: Path
    client_authority: Path


@dataclass(frozen=True)
class Config:
    """A checked configuration."""

    data: Path
    host: str
    port: int
    """0 lets the system choose."""
    master_key: Path
    tls: TlsFiles | None
    threads: int
    """Threads of one scan."""
    entry: Entry = Entry.AUTO
    """Whom to let in without a token."""
    metrics: tuple[str, int] | None = None
    """Host and port of the page that Prometheus reads."""
    metrics_by_tenant: bool = False
    """Whether that page counts by keyed hash of the tenant as well."""

    def __post_init__(self) -> None:
        if not 0 <= self.port <= 65535:
            raise InvalidConfiguration(f"port {self.port} is not between 0 and 65535")
        if not 1 <= self.threads <= 1024:
            raise InvalidConfiguration(f"got {self.threads} threads, expected 1 to 1024")
        if self.tls is None and not is_loopback(self.host):
            raise InvalidConfiguration(
                f"{self.host} can be reached from other machines, and there is no TLS: give --tls-cert, --tls-key and "
                "--tls-client-ca, or listen on 127.0.0.1"
            )
        if self.tls is None and self.metrics is not None and not is_loopback(self.metrics[0]):
            raise InvalidConfiguration(
                f"--metrics {self.metrics[0]} can be reached from other machines, and there is no TLS: give --tls-cert "
                "and --tls-key, or show metrics on 127.0.0.1"
            )
        if _resolved(self.master_key).is_relative_to(_resolved(self.data)):
            raise InvalidConfiguration(
                f"the master key {self.master_key} lies in the data directory {self.data}: whoever takes a backup of "
                "one would have both; give --master-key a place elsewhere"
            )

    def address(self, port: int) -> str:
        """HOST:PORT as it is written, an IPv6 address in brackets."""
        return f"[{self.host}]:{port}" if ":" in self.host else f"{self.host}:{port}"


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach the host."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def from_arguments(arguments: Sequence[str]) -> Config:
    """The configuration that a command line asks for; InvalidConfiguration says what to change."""
    given = _parser().parse_args(arguments)
    host, port = _host_and_port("--listen", given.listen)
    return Config(
        given.data,
        host,
        port,
        given.master_key,
        _tls_files(given),
        given.threads,
        given.auth,
        metrics=None if given.metrics is None else _host_and_port("--metrics", given.metrics),
        metrics_by_tenant=given.metrics_by_tenant,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m unseen_server", description=__doc__, allow_abbrev=False)
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="where the store lives; made if absent")
    parser.add_argument("--listen", default="127.0.0.1:7443", metavar="HOST:PORT", help="port 0: the system chooses")
    parser.add_argument(
        "--master-key", type=Path, required=True, metavar="FILE", help="made at the first start; outside --data"
    )
    parser.add_argument("--tls-cert", type=Path, metavar="PEM", help="the server's certificate chain")
    parser.add_argument("--tls-key", type=Path, metavar="PEM", help="its private key")
    parser.add_argument("--tls-client-ca", type=Path, metavar="PEM", help="clients need a certificate from this one")
    parser.add_argument(
        "--auth", type=Entry, choices=list(Entry), default=Entry.AUTO, help="whom to let in without a token"
    )
    parser.add_argument("--metrics", metavar="HOST:PORT", help="show metrics for Prometheus there: docs/operations.md")
    parser.add_argument("--metrics-by-tenant", action="store_true", help="count by keyed hash of the tenant as well")
    parser.add_argument("--threads", type=int, default=_usable_cores(), metavar="N", help="threads of one scan")
    return parser


def _usable_cores() -> int:
    """Cores that this process may run on, which in a container are fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _host_and_port(option: str, listen: str) -> tuple[str, int]:
    host, colon, port = listen.rpartition(":")
    if not colon or not host or not port.isascii() or not port.isdigit():
        raise InvalidConfiguration(f"{option} {listen!r} is not HOST:PORT, for example 127.0.0.1:7443 or [::1]:7443")
    return host.removeprefix("[").removesuffix("]"), int(port)


def _tls_files(given: argparse.Namespace) -> TlsFiles | None:
    files = (given.tls_cert, given.tls_key, given.tls_client_ca)
    if not any(files):
        return None
    if not all(files):
        raise InvalidConfiguration("TLS needs all of --tls-cert, --tls-key and --tls-client-ca")
    for file in files:
        if not _is_file(file):
            raise InvalidConfiguration(f"{file} is not a file")
    return TlsFiles(*files)


def _resolved(path: Path) -> Path:
    try:
        return path.resolve()
    except (OSError, RuntimeError, ValueError) as error:  # a link that leads to itself is a RuntimeError
        raise InvalidConfiguration(f"the path {path} cannot be followed: {error}") from error


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError as error:
        raise InvalidConfiguration(f"{path} cannot be looked for: {error.strerror}") from error
