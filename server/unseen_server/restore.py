"""``unseen restore``: put a backup where a server will serve it from, whole or not at all, and only where nothing is.

    unpack beside the data directory -> its seal fits -> every seal in it opens -> the data directory gets its name

With ``--store`` the store goes into PostgreSQL in one transaction, and the audit logs into the data directory. What was
erased since the backup does not come back with today's key ring, which has its keys no more: the next start removes it.

Exit codes: 0 restored, 1 the backup is damaged, 2 the configuration or a key is wrong, there is no room, or the
database failed. After 1 and 2 nothing was restored, unless it says that nobody knows.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from unseen.errors import (
    IntegrityError,
    InvalidConfiguration,
    InvalidInput,
    KeyServiceFailed,
    LimitExceeded,
    StoreFailed,
    UnseenError,
    WrongKey,
)
from unseen.keys.ring import KeyRing, KeyRings
from unseen.store import backup, copying
from unseen.store.database import Database, Transaction
from unseen.store.examination import Report, found_in_words
from unseen.store.recovery import require_trees
from unseen.store.row_keys import read_uid
from unseen.store.schema import SCHEMA_VERSION
from unseen.store.sealing import StoreSeals
from unseen.store.sqlite import FILE_NAME
from unseen.store.sqlite_examination import examine_file, unchanging
from unseen.store.sqlite_making import sync
from unseen_server.audit import AUDIT_FOLDER
from unseen_server.audit_examination import examine_logs
from unseen_server.config import Config, from_arguments
from unseen_server.one_sentence import OneSentenceParser
from unseen_server.process import prepare_process
from unseen_server.storage import open_database, open_rings

DONE, FAILED, REFUSED = 0, 1, 2
SUFFIX = ".unfinished"
TRIES, TRY_AGAIN_S = 20, 0.5
"""How long a database that lost a connection is asked what it made of it."""


def main() -> int:
    """Restore the backup that the command line names."""
    prepare_process()
    parser = OneSentenceParser(
        prog="unseen restore",
        description="Restore a backup for a server that is stopped. What was erased since stays away with today's key "
        "ring, and comes back with an older one. Other options are the server's: --data...",
        allow_abbrev=False,
    )
    parser.add_argument("backup", type=Path, metavar="FILE", help="what `unseen backup` wrote")
    parser.add_argument(
        "--anyway", action="store_true", help="restore a genuine backup of a store that was damaged before"
    )
    try:
        given, rest = parser.parse_known_args()
        report = restore(given.backup, from_arguments(rest), given.anyway)
    except (InvalidInput, WrongKey, KeyServiceFailed, StoreFailed, LimitExceeded) as error:
        sys.stderr.write(f"unseen restore: {error}\n")
        return REFUSED
    except UnseenError as error:
        sys.stderr.write(f"unseen restore: {error}\n")
        return FAILED
    sys.stdout.write("\n".join(found_in_words(report)) + "\nrestored; start the server\n")
    return DONE


def restore(file: Path, config: Config, anyway: bool = False) -> Report:
    """Restore a backup; gives what was found when it was examined.

    InvalidConfiguration when something is there already; IntegrityError when the backup was altered, or, unless
    ``anyway``, when the store was damaged already when it was made.
    """
    _require_nothing(config.data)
    database = open_database(config)
    try:
        if not database.is_blank:
            raise InvalidConfiguration("there is a store in that database already; restore into an empty one")
        rings = open_rings(config, make=False)
        with _writing_to(config.data), _beside(config.data) as folder:
            uid = _unpack(file, folder, rings)
            _require_keys(folder / FILE_NAME, rings.open(uid))
            report = examine_file(folder / FILE_NAME, rings)
            examine_logs(folder / AUDIT_FOLDER, report)
            if report.findings and not anyway:
                found = "\n".join(found_in_words(report))
                raise IntegrityError(
                    f"the store was damaged before this backup was made:\n{found}\n"
                    "nothing was restored; take an older backup, or this one with --anyway"
                )
            _put_in_place(config, database, folder, uid)
    finally:
        database.close()
    return report


@contextmanager
def _writing_to(data: Path) -> Iterator[None]:
    """InvalidConfiguration for what the disk refuses; it names no file when a write fails."""
    try:
        yield
    except OSError as error:
        place = error.filename or data
        raise InvalidConfiguration(f"{place} cannot be written: {error.strerror}; nothing was restored") from error


def _require_nothing(data: Path) -> None:
    if data.is_mount():
        raise InvalidConfiguration(
            f"a volume is mounted at {data}: what is restored gets its name in one step, which no mount point allows; "
            "give --data a folder in it; nothing was restored"
        )
    if data.exists() and (not data.is_dir() or any(data.iterdir())):
        raise InvalidConfiguration(f"{data} is not empty: give --data a place where nothing is; nothing was restored")


@contextmanager
def _beside(data: Path) -> Iterator[Path]:
    """A private folder on the disk of the data directory, of one restore at a time; what earlier ones left goes."""
    data = data.absolute()
    folder = data.with_name(f".{data.name}{SUFFIX}")  # no pattern: other targets have folders beside it
    data.parent.mkdir(parents=True, exist_ok=True)
    folder.mkdir(mode=0o700, exist_ok=True)
    # Of a link nothing is emptied, and nobody else's folder is written to: not everybody's parent is theirs alone.
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        os.fchmod(descriptor, 0o700)
        _require_alone(descriptor, folder, data)
        try:
            _empty(folder)
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    finally:
        os.close(descriptor)


def _require_alone(descriptor: int, folder: Path, data: Path) -> None:
    """InvalidConfiguration while another restore has the folder, or had it until now."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        is_ours = False
    except OSError:
        is_ours = True  # file systems of other machines may lock no folders
    else:
        is_ours = folder.exists() and folder.stat().st_ino == os.fstat(descriptor).st_ino
    if not is_ours:
        raise InvalidConfiguration(f"another restore into {data} is under way; nothing was restored by this one")


def _empty(folder: Path) -> None:
    for path in folder.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()


def _unpack(file: Path, folder: Path, rings: KeyRings) -> bytes:
    try:
        opened = file.open("rb")
    except OSError as error:
        raise InvalidConfiguration(f"{file} cannot be read: {error.strerror}") from error
    with opened:
        return backup.unpack(opened, folder, rings)


def _require_keys(file: Path, ring: KeyRing) -> None:
    """InvalidConfiguration when the ring holds no more, or not yet, the keys that a collection is sealed under."""
    with unchanging(file) as source:
        if source.fetch("PRAGMA user_version")[0][0] == SCHEMA_VERSION:
            require_trees(source, StoreSeals(ring))


def _put_in_place(config: Config, database: Database, folder: Path, uid: bytes) -> None:
    if config.store is None:
        _give_name(folder, config.data)
        return
    with unchanging(folder / FILE_NAME) as source:
        state = source.fetch("SELECT ring_state FROM store")[0][0]

        def fill(target: Transaction) -> None:
            copying.copy(source, target)
            with _writing_to(config.data):  # in our words: the database takes a bare one for its own
                (folder / FILE_NAME).unlink()
                _give_name(folder, config.data)  # the last thing before the transaction ends

        try:
            database.make(uid, state, fill)
        except BaseException as error:
            if folder.exists():
                raise
            database.close()
            if not _is_there(config, uid, error):
                shutil.rmtree(config.data)
                raise


def _is_there(config: Config, uid: bytes, error: BaseException) -> bool:
    """Whether the database has the store after all: an answer to COMMIT can be lost. StoreFailed if it says nothing."""
    for _ in range(TRIES):
        time.sleep(TRY_AGAIN_S)
        # Alone: as long as the lost connection lives there, and might still commit, no other is let in.
        with suppress(InvalidConfiguration, StoreFailed), closing(open_database(config)) as database:
            if database.is_blank:
                return False
            with database.reading() as tx:
                return read_uid(tx) == uid
    raise StoreFailed(
        f"the database does not answer, and may have the store or not: the audit logs are in {config.data}. When it "
        "answers, start the server; only if that says that there is no store, remove that folder and restore again"
    ) from error


def _give_name(folder: Path, data: Path) -> None:
    """The folder becomes the data directory, in one step: an empty one gives way, another is an error."""
    for path in (folder, *(found for found in folder.rglob("*") if found.is_dir())):
        sync(path)
    os.rename(folder, data)  # noqa: PTH104 - Path.rename says nothing about a folder that is there
    try:
        sync(data.absolute().parent)
    except OSError:
        data.rename(folder)
        raise


if __name__ == "__main__":
    sys.exit(main())
