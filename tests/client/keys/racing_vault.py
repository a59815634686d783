"""Run as a script in a process of its own: keep a first owner key at the same moment as another process.

python racing_vault.py HOME MEETING NAME PASSPHRASE UID
MEETING: a folder. Both processes have found the keys in the clear before one goes on, and who draws a vault key gives
the other a second to draw one too. Says "kept", or the code of the error.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from unittest import mock

from unseen.entropy import random_bytes
from unseen.errors import UnseenError
from unseen_client.keys import vault
from unseen_client.keys.keystore import CollectionKey, KeyStore
from unseen_client.keys.passphrase import Stretching
from unseen_client.keys.vault import Vault


def meet(folder: Path, point: str, name: str, seconds: float) -> None:
    """Wait until two processes have come to this point."""
    (folder / f"{point}-{name}").touch()
    end = time.monotonic() + seconds
    while len(list(folder.glob(f"{point}-*"))) < 2 and time.monotonic() < end:
        time.sleep(0.01)


if __name__ == "__main__":
    home, meeting, name, passphrase, uid = sys.argv[1:]

    def asked() -> str:
        meet(Path(meeting), "asked", name, 60.0)
        return passphrase

    def drawn(count: int) -> bytes:
        meet(Path(meeting), "drawn", name, 1.0)
        return random_bytes(count)

    cheap = staticmethod(lambda: Stretching(random_bytes(16), 1 << 10))
    key = CollectionKey(bytes.fromhex(uid), "secret", bytes(32), True, bytes(16), owner_key=bytes.fromhex(uid) * 2)
    try:
        with mock.patch.object(Stretching, "make", cheap), mock.patch.object(vault, "random_bytes", drawn):
            KeyStore(Path(home), Vault(Path(home), asked)).put(key)
        print("kept")
    except UnseenError as error:
        print(error.code)
