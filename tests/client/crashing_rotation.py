"""Run as a script in a process of its own: rotate the keys of a collection and be killed on the way.

python crashing_rotation.py SERVER HOME NAME POINT
POINT: made (the new one is there, its key is nowhere), carrying (some rows are), carried (all are, not replaced),
       replaced (the server has done it, this device does not know), destroyed (the old key is gone, the note is not)
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from unseen_client import Client
from unseen_client.flows import rotate
from unseen_client.keys.rotations import Rotations


def die(*_: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def crash_at(point: str) -> None:
    true_exchange = Client._exchange
    sent = []

    def exchange(self, step):
        method = step.rpc.path.rpartition("/")[2]
        if (point, method) == ("carried", "ReplaceCollection"):
            die()
        true_exchange(self, step)
        sent.append(method)
        if (point, method) in (("made", "CreateCollection"), ("replaced", "ReplaceCollection")):
            die()
        if point == "carrying" and sent.count("EnrolRows") == 2:
            die()

    if point == "destroyed":
        Rotations.forget = die  # type: ignore[method-assign,assignment]
        return
    rotate.ROWS_PER_STREAM = 10  # type: ignore[attr-defined]
    Client._exchange = exchange  # type: ignore[method-assign]


if __name__ == "__main__":
    server, home, name, point = sys.argv[1:]
    crash_at(point)
    with Client(server, home=Path(home)) as client:
        client.rotate_keys(name)
