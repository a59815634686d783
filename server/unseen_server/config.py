"""What the server is told at start: the command line, checked. Refuses what would be unsafe instead of warning."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from unseen.errors import InvalidConfiguration
from unseen_server.access.gate import Entry
from unseen_server.access.signed_tokens import JwtSettings
from unseen_server.call import Allowance
from unseen_server.certificates import TlsFiles
from unseen_server.hosts import is_loopback
from unseen_server.keys.choice import MasterKeyChoice
from unseen_server.one_sentence import OneSentenceParser
from unseen_server.postgres.address import PostgresAddress
from unseen_server.quota import DEFAULT as DEFAULT_ALLOWANCE

QUOTAS = {
    "calls_at_once": (DEFAULT_ALLOWANCE.calls_at_once, "calls of one caller under way"),
    "bytes_per_minute": (DEFAULT_ALLOWANCE.bytes_per_minute, "bytes that one caller may send"),
    "searches_per_minute": (DEFAULT_ALLOWANCE.searches_per_minute, "searches of one caller"),
    "bits_per_row_per_day": (DEFAULT_ALLOWANCE.bits_per_row_per_day, "bits about each row for one caller"),
}
"""What everybody may use whose token does not say otherwise: docs/access.md."""


@dataclass(frozen=True)
class Config:
    """A checked configuration."""

    data: Path
    host: str
    port: int
    """0 lets the system choose."""
    master_key: MasterKeyChoice
    tls: TlsFiles | None
    threads: int
    """Threads of one scan."""
    entry: Entry = Entry.AUTO
    """Whom to let in without a token."""
    signed_tokens: JwtSettings | None = None
    """Whose JSON Web Tokens to take."""
    everybody: Allowance = DEFAULT_ALLOWANCE
    """What a caller may use whose token does not say."""
    key_ring: Path | None = None
    """None: beside the file of the master key."""
    passphrase_fd: int | None = None
    """Where the passphrase of the master key comes from; None: a variable or the terminal."""
    metrics: tuple[str, int] | None = None
    """Host and port of the page that Prometheus reads."""
    metrics_by_tenant: bool = False
    """Whether that page counts by keyed hash of the tenant as well."""
    accept_clock: bool = False
    """Whether the clock is right although the store was last used years before."""
    store: PostgresAddress | None = None
    """None keeps the store in ``data``."""

    def __post_init__(self) -> None:
        if not 0 <= self.port <= 65535:
            raise InvalidConfiguration(f"port {self.port} is not between 0 and 65535")
        if not 1 <= self.threads <= 1024:
            raise InvalidConfiguration(f"got {self.threads} threads, expected 1 to 1024")
        if self.tls is None and not is_loopback(self.host):
            raise InvalidConfiguration(
                f"{self.host} can be reached from other machines, and there is no TLS: give --tls-cert and --tls-key, "
                "or listen on 127.0.0.1"
            )
        if self.tls is None and self.metrics is not None and not is_loopback(self.metrics[0]):
            raise InvalidConfiguration(
                f"--metrics {self.metrics[0]} can be reached from other machines, and there is no TLS: give --tls-cert "
                "and --tls-key, or show metrics on 127.0.0.1"
            )
        if self.entry is Entry.LOOPBACK_OPEN and not is_loopback(self.host):
            raise InvalidConfiguration(
                f"--auth {Entry.LOOPBACK_OPEN} is for a server that only its own machine reaches, and {self.host} can "
                "be reached from others: listen on 127.0.0.1, or leave --auth out"
            )
        require_apart(self.data, self.master_key, self.ring_folder)

    @property
    def ring_folder(self) -> Path:
        """The folder of the key ring."""
        return ring_folder(self.key_ring, self.master_key)

    @property
    def names_callers(self) -> bool:
        """Whether callers are known by a certificate or a signed token; else only tokens of its own are left."""
        return self.signed_tokens is not None or (self.tls is not None and self.tls.client_authority is not None)

    def address(self, port: int) -> str:
        """HOST:PORT as it is written, an IPv6 address in brackets."""
        return f"[{self.host}]:{port}" if ":" in self.host else f"{self.host}:{port}"


def ring_folder(named: Path | None, master_key: MasterKeyChoice) -> Path:
    """The folder of the key ring: as named, or beside the master key; InvalidConfiguration when it has no file."""
    folder = named or master_key.ring_folder
    if folder is None:
        raise InvalidConfiguration(
            f"a master key of kind {master_key.kind} has no file to put the key ring beside; give --key-ring a folder"
        )
    return folder


def require_apart(data: Path, master_key: MasterKeyChoice, ring: Path) -> None:
    """InvalidConfiguration when a key lies in the data directory: whoever takes a backup of one would have both."""
    for name, option, path in (("master key", "--master-key", master_key.path), ("key ring", "--key-ring", ring)):
        if path is not None and _resolved(path).is_relative_to(_resolved(data)):
            raise InvalidConfiguration(
                f"the {name} {path} lies in the data directory {data}: whoever takes a backup of one would have both; "
                f"give {option} a place elsewhere"
            )


def from_arguments(arguments: Sequence[str]) -> Config:
    """The configuration that a command line asks for; InvalidConfiguration says what to change."""
    given = _parser().parse_args(arguments)
    host, port = _host_and_port("--listen", given.listen)
    return Config(
        given.data,
        host,
        port,
        MasterKeyChoice.parse(given.master_key),
        _tls_files(given),
        given.threads,
        Entry(given.auth),
        _signed_tokens(given),
        _allowance(given),
        given.key_ring,
        given.passphrase_fd,
        None if given.metrics is None else _host_and_port("--metrics", given.metrics),
        given.metrics_by_tenant,
        given.accept_clock,
        None if given.store is None else PostgresAddress(given.store),
    )


def _parser() -> argparse.ArgumentParser:
    parser = OneSentenceParser(prog="unseen serve", description=__doc__, allow_abbrev=False)
    parser.add_argument(
        "--data", type=Path, required=True, metavar="DIR", help="the server's files, and the store; made if absent"
    )
    parser.add_argument(
        "--store", metavar="URL", help="postgresql://USER@HOST/DATABASE: keep the store there instead of in --data"
    )
    parser.add_argument("--listen", default="127.0.0.1:7443", metavar="HOST:PORT", help="port 0: the system chooses")
    add_key_arguments(parser)
    parser.add_argument("--tls-cert", type=Path, metavar="PEM", help="the server's certificate chain")
    parser.add_argument("--tls-key", type=Path, metavar="PEM", help="its private key")
    parser.add_argument("--tls-client-ca", type=Path, metavar="PEM", help="clients need a certificate from this one")
    parser.add_argument("--jwt-issuer", metavar="ISS", help="whose JSON Web Tokens are taken, as their iss names it")
    parser.add_argument("--jwt-audience", metavar="AUD", help="what their aud must name")
    parser.add_argument("--jwt-keys", type=Path, metavar="FILE", help="the issuer's public keys: a JWK set, or PEM")
    parser.add_argument(
        "--auth", choices=[str(one) for one in Entry], default=str(Entry.AUTO), help="whom to let in without a token"
    )
    for name, (number, what) in QUOTAS.items():
        option = f"--{name.replace('_', '-')}"
        parser.add_argument(option, type=_positive, default=number, metavar="N", help=f"{what} (default {number:,})")
    parser.add_argument("--metrics", metavar="HOST:PORT", help="show metrics for Prometheus there: docs/operations.md")
    parser.add_argument("--metrics-by-tenant", action="store_true", help="count by keyed hash of the tenant as well")
    parser.add_argument(
        "--threads",
        type=int,
        default=_usable_cores(),
        metavar="N",
        help="threads that scan, shared by all searches (all cores); each keeps to its part of the cores",
    )
    parser.add_argument(
        "--accept-clock",
        action="store_true",
        help="the clock is right, although the store was last used years before it",
    )
    return parser


def add_key_arguments(parser: argparse.ArgumentParser) -> None:
    """The options about keys, which the server and its key commands share."""
    parser.add_argument(
        "--master-key",
        required=True,
        metavar="KEY",
        help="a file (made at the first start; outside --data), passphrase:FILE, aws-kms:ARN, pkcs11:URI or vault:URL",
    )
    parser.add_argument(
        "--key-ring", type=Path, metavar="DIR", help="folder of the key ring; without it beside the master key's file"
    )
    parser.add_argument(
        "--passphrase-fd", type=int, metavar="N", help="read the master key's passphrase from this file descriptor"
    )


def _usable_cores() -> int:
    """Cores that this process may run on, which in a container are fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _host_and_port(option: str, listen: str) -> tuple[str, int]:
    named, colon, port = listen.rpartition(":")
    host = named.removeprefix("[").removesuffix("]")
    if not colon or not host or not port.isascii() or not port.isdigit():
        raise InvalidConfiguration(f"{option} {listen!r} is not HOST:PORT, for example 127.0.0.1:7443 or [::1]:7443")
    return host, int(port)


def _tls_files(given: argparse.Namespace) -> TlsFiles | None:
    files = (given.tls_cert, given.tls_key, given.tls_client_ca)
    if not any(files):
        return None
    if not (given.tls_cert and given.tls_key):
        raise InvalidConfiguration("TLS needs both --tls-cert and --tls-key; --tls-client-ca is on top of them")
    for file in filter(None, files):
        if not _is_file(file):
            raise InvalidConfiguration(f"{file} is not a file")
    return TlsFiles(*files)


def _signed_tokens(given: argparse.Namespace) -> JwtSettings | None:
    settings = (given.jwt_issuer, given.jwt_audience, given.jwt_keys)
    if not any(settings):
        return None
    if not all(settings):
        raise InvalidConfiguration("JSON Web Tokens need all of --jwt-issuer, --jwt-audience and --jwt-keys")
    return JwtSettings(*settings)


def _allowance(given: argparse.Namespace) -> Allowance:
    return Allowance(**{name: getattr(given, name) for name in QUOTAS})


def _positive(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) >= 1):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 on")
    return int(text)


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
