"""Putting an output where it belongs: whole or not at all, on disk when this returns, and never over another file.

Runs where the images are.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from unseen.errors import AlreadyExists, StoreFailed
from unseen_client.home import name_anew, sync_folder


@contextmanager
def waiting(target: Path, data: bytes) -> Iterator[Path]:
    """Write ``data`` beside the target under a name of its own, for the length of a block; StoreFailed.

    Whatever ends the block, nothing is left of it but what ``settle`` put in place.
    """
    fresh = target.with_name(f".{target.name}.{secrets.token_hex(8)}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        yield fresh
    except OSError as error:
        raise StoreFailed(f"cannot write {target}: {error.strerror}; nothing of it was written") from error
    finally:
        fresh.unlink(missing_ok=True)


def settle(fresh: Path, target: Path, *, overwrite: bool) -> None:
    """Give a waiting file its name; AlreadyExists when the name is taken and ``overwrite`` is not set."""
    if overwrite:
        fresh.replace(target)
    else:
        try:
            name_anew(fresh, target)
        except AlreadyExists as error:
            raise AlreadyExists(
                f"{target} is there already and is not the output of this run; move it away, or add --overwrite"
            ) from error
    sync_folder(target.parent)
