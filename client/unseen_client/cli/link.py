"""The options by which every command finds its server: declared once, added to each command that asks for a link."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from unseen.errors import InvalidConfiguration
from unseen_client.cli.outcome import telling
from unseen_client.cli.spread import spread

if TYPE_CHECKING:
    from unseen.deid.settings import DeidSettings
    from unseen_client.sync import Client

Home = Annotated[Path | None, typer.Option(envvar="UNSEEN_HOME", help="Folder of keys on this device.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of words.")]
"""For commands that need no server; with one, ``Link`` has both."""
TOKEN_VARIABLE = "UNSEEN_TOKEN"  # noqa: S105 - the variable's name; options can be read by every user of the machine


@dataclass(frozen=True)
class Link:
    """How to reach the server, and how to answer the person or script."""

    server: Annotated[str, typer.Option(envvar="UNSEEN_SERVER", help="HOST:PORT of the server.")] = "127.0.0.1:7443"
    ca: Annotated[Path | None, typer.Option(envvar="UNSEEN_CA", help="PEM file of who signed the server.")] = None
    cert: Annotated[Path | None, typer.Option(envvar="UNSEEN_CERT", help="PEM file of this client's own.")] = None
    key: Annotated[Path | None, typer.Option(envvar="UNSEEN_KEY", help="PEM file of the certificate's key.")] = None
    token_file: Annotated[
        Path | None, typer.Option(envvar="UNSEEN_TOKEN_FILE", help="File with a token; UNSEEN_TOKEN holds one itself.")
    ] = None
    tls: Annotated[bool, typer.Option(help="Use TLS; --ca and --cert imply it.")] = False
    insecure_no_tls: Annotated[bool, typer.Option(help="Talk to another machine in the clear.")] = False
    timeout_s: Annotated[float, typer.Option("--timeout", min=0.1, help="Seconds for a request with its retries.")] = (
        30.0
    )
    home: Annotated[
        Path | None, typer.Option(envvar="UNSEEN_HOME", help="Folder of record keys and mirrors on this device.")
    ] = None
    json: Json = False

    def client(self, deid: DeidSettings | None = None) -> Client:
        """A client for this server, to be used in a ``with``; ``deid`` says how it covers faces."""
        from unseen_client.sync import Client
        from unseen_client.transport import TLS

        secured = self.tls or self.ca is not None or self.cert is not None
        if self.insecure_no_tls and secured:
            raise InvalidConfiguration("--insecure-no-tls contradicts --tls, --ca and --cert; leave one of them out")
        return Client(
            self.server,
            tls=TLS(self.ca, self.cert, self.key) if secured else None,
            token=os.environ.get(TOKEN_VARIABLE) or self.token_file,
            timeout_s=self.timeout_s,
            home=self.home,
            insecure_no_tls=self.insecure_no_tls,
            deid=deid,
        )


def linked(command: Callable[..., None]) -> Callable[..., None]:
    """Replace a command's ``link`` argument with the options of ``Link``, and tell its errors."""

    @functools.wraps(command)
    def told(*, link: Link, **values: object) -> None:
        with telling(link.json):
            command(**values, link=link)

    return spread(link=Link)(told)
