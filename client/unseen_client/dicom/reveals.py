"""Who was shown which real object, on this device: an account, a grant that runs out, a reason, a line in a log.

Never sent anywhere. What a device can check of a role is who is logged in to it and whether somebody let that account.
Whoever owns the device's folder of keys can let himself: the grant and the line make it a deliberate act that leaves a
trace, they are no wall against the owner of the machine.

    {"at": ISO time, "account": name, "collection": uid, "row": id, "reason": text, "outcome": "shown" | "refused"}
"""

from __future__ import annotations

import getpass
import json
import os
import sys
from datetime import UTC, datetime
from pathlib import Path

from unseen.errors import InvalidInput, StoreFailed
from unseen_client.home import private_folder, refuse_others, sync_folder

LOG_NAME = "reveals.jsonl"
LONGEST_REASON_CHARACTERS = 500


def account() -> str:
    """The account of this machine that runs this process, as the system says and no variable of the environment."""
    if sys.platform == "win32":
        return getpass.getuser()
    import pwd

    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())


def require_reason(reason: str) -> str:
    """Pass a reason through that can stand in the log; InvalidInput for none."""
    told = reason.strip()
    if 0 < len(told) <= LONGEST_REASON_CHARACTERS and told.isprintable():
        return told
    raise InvalidInput(
        f"got a reason of {len(told)} characters, expected one line of 1 to {LONGEST_REASON_CHARACTERS}; say why the "
        "real study is looked up"
    )


def write_line(home: Path, at_s: float, who: str, collection: bytes, row: str, reason: str, outcome: str) -> None:
    """Add a line to the log, on disk when this returns; StoreFailed, and then nothing may be shown."""
    folder = private_folder(private_folder(home) / "crosswalks")
    path = folder / LOG_NAME
    line = {
        "at": datetime.fromtimestamp(at_s, UTC).isoformat(timespec="seconds"),
        "account": who,
        "collection": collection.hex(),
        "row": row,
        "reason": reason,
        "outcome": outcome,
    }
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        with os.fdopen(descriptor, "ab") as file:
            refuse_others(path, "600")
            file.write(json.dumps(line).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        sync_folder(folder)
    except OSError as error:
        raise StoreFailed(f"cannot write the log {path}: {error.strerror}; nothing was revealed") from error
