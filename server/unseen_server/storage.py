"""The store that a configuration asks for, opened: a file in the data directory, or PostgreSQL.

The driver of PostgreSQL is loaded only when it is asked for.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from unseen.errors import InvalidConfiguration, UnseenError
from unseen.keys.ring import KeyRings
from unseen.store.database import Database
from unseen.store.durable import DurableStore
from unseen.store.recovery import Recovery
from unseen.store.sqlite import FILE_NAME
from unseen.store.sqlite_file import SqliteFile
from unseen.store.sqlite_making import UNFINISHED
from unseen_server.config import Config
from unseen_server.keys.choice import open_provider
from unseen_server.keys.passphrase import VARIABLE, passphrase_from

log = logging.getLogger(__name__)

SQLITE, POSTGRESQL = "sqlite", "postgresql"
LEFT_BEHIND = frozenset({"lost+found", *(f"{FILE_NAME}{UNFINISHED}{end}" for end in ("", "-journal"))})
"""What may lie in an empty data directory: a file system's own folder, and what an interrupted first start left."""


def kind(config: Config) -> str:
    """What keeps the store, in one word."""
    return SQLITE if config.store is None else POSTGRESQL


def open_store(config: Config, before_making: Callable[[], None] = lambda: None) -> DurableStore:
    """The store of a configuration, made where there is none; InvalidConfiguration, WrongKey before any write.

    ``before_making`` may refuse to make one. A start that is refused leaves no trace.
    """
    had_folder = _exists(config.data)
    database = open_database(config)
    try:
        if database.is_blank:
            _require_nobodys(config.data)
            before_making()
        _make_folder(config.data)
        try:
            rings = open_rings(config, make=database.is_blank)
            store = DurableStore(database, rings)
        except UnseenError:
            if not had_folder and not any(config.data.iterdir()):
                config.data.rmdir()
            raise
    except BaseException:
        database.close()
        raise
    _tell(store.recovery)
    return store


def open_database(config: Config) -> Database:
    """What lies beneath the store, blank or not; nothing is written."""
    if config.store is None:
        return SqliteFile(config.data / FILE_NAME)
    with needing_the_driver():
        from unseen_server.postgres.database import PostgresDatabase
    return PostgresDatabase(config.store)


def open_rings(config: Config, make: bool) -> KeyRings:
    """The folder of key rings and the master key that opens them; a missing key file is made when ``make`` says so."""
    ask = passphrase_from(config.passphrase_fd, VARIABLE, "passphrase of the master key")
    return KeyRings(config.ring_folder, open_provider(config.master_key, make, ask))


@contextmanager
def needing_the_driver() -> Iterator[None]:
    """Around an import: InvalidConfiguration when the driver of PostgreSQL is not installed."""
    try:
        yield
    except ImportError as error:
        raise InvalidConfiguration(
            f"--store needs a driver that is not installed here ({error.name}); pip install 'unseen[server,postgres]'"
        ) from None


def _tell(recovery: Recovery) -> None:
    """Say what had to be finished; the operator may have put back a copy without knowing what that means."""
    if recovery.erased_rows or recovery.deleted_collections or recovery.forgotten_facts:
        log.warning(
            "rows, collections and consents whose keys are destroyed were removed from the data: an erasure was cut "
            "short, or the data is a copy from before one",
            extra={
                "rows": recovery.erased_rows,
                "collections": recovery.deleted_collections,
                "count": recovery.forgotten_facts,
            },
        )
    if recovery.repeated_cuts or recovery.repeated_fact_cuts:
        log.warning(
            "the key ring was older than the data: keys of erased rows and consents were destroyed again",
            extra={"rows": recovery.repeated_cuts, "count": recovery.repeated_fact_cuts},
        )


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError as error:
        raise InvalidConfiguration(f"the data directory {path} cannot be read: {error.strerror}") from error


def _require_nobodys(path: Path) -> None:
    """A new store is made in a folder of its own: one with files of others is the wrong one, or has lost its store."""
    if not path.is_dir():
        return
    try:
        found = sorted(entry.name for entry in path.iterdir() if entry.name not in LEFT_BEHIND)
    except OSError as error:
        raise InvalidConfiguration(f"the data directory {path} cannot be read: {error.strerror}") from error
    if found:
        raise InvalidConfiguration(
            f"the data directory {path} holds no store, and is not empty (there is {found[0]!r}): give --data the "
            "folder of a store, or an empty one"
        )


def _make_folder(path: Path) -> None:
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise InvalidConfiguration(
            f"the data directory {path} cannot be made ({error.strerror}); give --data another folder"
        ) from error
