"""By which keys this device knows which servers: read from its books of receipts, without a server, changing nothing.

For commands that only look. A book that cannot be read is named and left out, and hides no other. All stays on the
device.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from unseen.errors import StoreFailed, UnseenError
from unseen.signature import PUBLIC_KEY_BYTES
from unseen_client.home import refuse_others
from unseen_client.receipts import BUSY_TIMEOUT_S, receipts_folder


@dataclass(frozen=True)
class KnownServers:
    """The servers whose audit logs this device knows."""

    keys: dict[str, frozenset[bytes]]
    """By store uid, in hex: every key that one of its logs is known by."""
    unreadable: tuple[str, ...]
    """What kept which book from being read."""

    def signing(self, public_key: bytes) -> list[str]:
        """Store uids, in hex, of the servers that a key belongs to."""
        return sorted(uid for uid, keys in self.keys.items() if public_key in keys)


def known_servers(home: Path) -> KnownServers:
    """Every server that a device knows, as far as its books can be read."""
    keys: dict[str, frozenset[bytes]] = {}
    unreadable: list[str] = []
    for path in sorted(receipts_folder(home).glob("*/*.sqlite")):
        try:
            known = keys_in(path)
        except UnseenError as error:
            unreadable.append(str(error))
        else:
            keys[path.parent.name] = keys.get(path.parent.name, frozenset()).union(known)
    return KnownServers(keys, tuple(unreadable))


def keys_in(path: Path) -> tuple[bytes, ...]:
    """The keys that the log of one book is known by, the newest last; StoreFailed, InvalidConfiguration."""
    try:
        refuse_others(path, "600")
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", BUSY_TIMEOUT_S, uri=True)) as database:
            found = database.execute("SELECT public_keys FROM log").fetchone()
    except (OSError, sqlite3.Error) as error:
        raise StoreFailed(f"the receipts in {path} cannot be read ({error}); what they know is left out") from error
    joined = b"" if found is None else found[0]
    if not isinstance(joined, bytes) or len(joined) % PUBLIC_KEY_BYTES:
        raise StoreFailed(f"the receipts in {path} are damaged; what they know is left out")
    return tuple(joined[at : at + PUBLIC_KEY_BYTES] for at in range(0, len(joined), PUBLIC_KEY_BYTES))
