"""What the DICOM node listens to and how much of it, checked once. Holds paths of keys, no keys.

Runs at the edge of the site.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import asdict, dataclass
from typing import Any

from unseen.errors import InvalidConfiguration

_TITLE = re.compile(r"[\x20-\x5b\x5d-\x7e]{1,16}")
"""An application entity title: up to 16 printable characters but the backslash (PS3.5 section 6.2)."""
DEFAULT_PORT = 11112
MOST_ASSOCIATIONS = 64


@dataclass(frozen=True)
class NodeSettings:
    """The node's own name, whom it lets in, and its limits; InvalidConfiguration when one makes no sense."""

    title: str = "UNSEEN"
    """The application entity title that senders call; others are rejected."""
    host: str = "127.0.0.1"
    port: int = DEFAULT_PORT
    senders: tuple[str, ...] = ()
    """Titles of those who may send, at least one. A title is no secret: TLS says who somebody is."""
    certificate: str = ""
    """PEM files: of this node with its key, and of who signed the senders. All three, or none: no TLS then."""
    key: str = ""
    authority: str = ""
    insecure_no_tls: bool = False
    associations: int = 8
    largest_mib: int = 128
    """Of one object. Twice as much may be on its way in at once."""
    idle_s: float = 60.0
    """Without a message for so long an association is aborted; as long may one unit of data be on its way."""

    def __post_init__(self) -> None:
        titles = (self.title, *self.senders)
        if not self.senders or not all(_TITLE.fullmatch(title) and title.strip() for title in titles):
            raise InvalidConfiguration(
                f"got the application entity titles {titles}, expected this node's and those of one sender or more, "
                "each of 1 to 16 printable characters; give --sender for every system that may send"
            )
        files = (self.certificate, self.key, self.authority)
        if any(files) and not all(files):
            raise InvalidConfiguration(
                "the node needs its certificate, its key and the authority of the senders; got only some of them"
            )
        if not any(files) and not self.insecure_no_tls and not _is_loopback(self.host):
            raise InvalidConfiguration(
                f"{self.host} is not this machine alone, and without TLS everybody on the way sees the studies; give "
                "--dicom-cert, --dicom-key and --dicom-ca, or --insecure-dicom where the network is trusted"
            )
        numbers = 0 <= self.port < 1 << 16 and 1 <= self.associations <= MOST_ASSOCIATIONS
        if not numbers or not 1 <= self.largest_mib <= 512 or not 1 <= self.idle_s <= 3600:
            raise InvalidConfiguration(
                f"expected a port below 65536, 1 to {MOST_ASSOCIATIONS} associations, objects of 1 to 512 MiB and 1 to "
                "3600 seconds; see `unseen gateway run --help`"
            )

    def as_dict(self) -> dict[str, Any]:
        """Return every choice, ready for JSON."""
        return asdict(self)

    @staticmethod
    def from_dict(fields: dict[str, Any]) -> NodeSettings:
        """The inverse of ``as_dict``."""
        return NodeSettings(**fields | {"senders": tuple(fields["senders"])})


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
