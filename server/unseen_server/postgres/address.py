"""Where the PostgreSQL is: the address as it was given, refused when it would tell a secret.

What a command line holds, every user of the machine can read, and logs keep it. So a password comes from a file
(PGPASSFILE, ~/.pgpass) or a service (PGSERVICEFILE, ?service=NAME), never from here.
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit, urlunsplit

from unseen.errors import InvalidConfiguration

SCHEMES = ("postgresql", "postgres")


@dataclass(frozen=True)
class PostgresAddress:
    """A checked address."""

    url: str

    def __post_init__(self) -> None:
        try:
            parts = urlsplit(self.url)
            has_password = parts.password is not None or "password" in parse_qs(parts.query, keep_blank_values=True)
        except ValueError:
            raise InvalidConfiguration("--store is not an address; give postgresql://USER@HOST/DATABASE") from None
        if parts.scheme not in SCHEMES:
            raise InvalidConfiguration(
                f"--store begins with {parts.scheme!r}; give postgresql://USER@HOST/DATABASE, or leave it out to keep "
                "the store in --data"
            )
        if has_password:
            raise InvalidConfiguration(
                "--store holds a password, and every user of this machine can read it; leave it out and put it into "
                "the file that PGPASSFILE names, or give ?service=NAME"
            )

    def __str__(self) -> str:
        """For people: without what stands behind the question mark."""
        parts = urlsplit(self.url)
        return urlunsplit((parts.scheme, parts.netloc, parts.path, "", ""))
