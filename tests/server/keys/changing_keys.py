"""A process that changes keys until it is killed: rotates, renews, erases, again and again. Says what was acknowledged.

python tests/server/keys/changing_keys.py DATA RINGS KEY_A KEY_B
"""

from __future__ import annotations

import sys
from pathlib import Path

from unseen.entropy import random_uid
from unseen.keys.provider import HeldKey
from unseen.keys.ring import KeyRings
from unseen.store.sqlite import SqliteStore
from unseen_server.master_key import open_master_key


def main(data: str, rings: str, *keys: str) -> None:
    held = [HeldKey("file", open_master_key(Path(key), make=False)) for key in keys]
    store = SqliteStore(Path(data), KeyRings(Path(rings), held[0]))
    uid = store.collections()[0].info.uid
    rows = [entry.row_id for page in store.changes(uid, 0, 1 << 60, 1 << 20, 1 << 30) for entry in page.added]
    step = 0
    while True:
        step += 1
        store.ring.rewrap(held[step % 2])
        if step % 3 == 0:
            store.renew_keys(uid)
        if step % 4 == 0:
            doomed = rows.pop()
            say("asked", doomed)
            store.erase(random_uid(), uid, (doomed,))
            say("erased", doomed)


def say(what: str, row_id: bytes) -> None:
    sys.stdout.write(f"{what} {row_id.hex()}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
