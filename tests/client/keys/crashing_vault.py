"""Run as a script in a process of its own: protect a key store and be killed on the way.

python crashing_vault.py HOME OLD NEW POINT
POINT: which write, counted from 1, is cut short: its bytes are on disk, and have not got their name
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from unittest import mock

from unseen_client.keys.vault import Vault

writes = 0


def crash_at(point: int) -> None:
    true_replace, true_link = Path.replace, os.link

    def written() -> None:
        global writes
        writes += 1
        if writes == point:
            os.kill(os.getpid(), signal.SIGKILL)

    def replace(self: Path, target: Path) -> Path:
        written()
        return true_replace(self, target)

    def link(fresh: Path, path: Path) -> None:
        written()
        true_link(fresh, path)

    mock.patch.object(Path, "replace", replace).start()
    mock.patch.object(os, "link", link).start()


if __name__ == "__main__":
    home, old, new, point = sys.argv[1:]
    crash_at(int(point))
    Vault(Path(home), old or None).protect_with_passphrase(new, cost=1 << 10)
