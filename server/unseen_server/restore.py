"""``unseen restore``: put a backup where a server will serve it from, whole or not at all, and only where nothing is.

    unpack beside the data directory -> its seal fits -> every seal in it opens -> the data directory gets its name

With ``--store`` the store goes into PostgreSQL in one transaction, and the audit logs into the data directory. What was
erased since the backup does not come back with today's key ring, which has its keys no more: the next start removes it.

Exit codes: 0 restored, 1 the backup is damaged, 2 the configuration or a key is wrong, or there is no room. After 1
and 2 nothing was restored.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from unseen.errors import IntegrityError, InvalidConfiguration, InvalidInput, KeyServiceFailed, UnseenError, WrongKey
from unseen.keys.ring import KeyRing, KeyRings
from unseen.store import backup, copying
from unseen.store.database import Database, Transaction
from unseen.store.examination import Report, found_in_words, in_words
from unseen.store.recovery import require_trees
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
    except (InvalidConfiguration, InvalidInput, WrongKey, KeyServiceFailed) as error:
        sys.stderr.write(f"unseen restore: {error}\n")
        return REFUSED
    except UnseenError as error:
        sys.stderr.write(f"unseen restore: {error}\n")
        return FAILED
    sys.stdout.write("\n".join(in_words(report)) + "\nrestored; start the server\n")
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
        with _beside(config.data) as folder:
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
    except OSError as error:
        raise InvalidConfiguration(
            f"{error.filename} cannot be written: {error.strerror}; nothing was restored"
        ) from error
    finally:
        database.close()
    return report


def _require_nothing(data: Path) -> None:
    if data.exists() and (not data.is_dir() or any(data.iterdir())):
        raise InvalidConfiguration(f"{data} is not empty: give --data a place where nothing is; nothing was restored")


@contextmanager
def _beside(data: Path) -> Iterator[Path]:
    """A private folder on the disk of the data directory; what earlier tries left there is removed."""
    data = data.absolute()
    prefix = f".{data.name}-"
    data.parent.mkdir(parents=True, exist_ok=True)
    for left in data.parent.glob(f"{prefix}*{SUFFIX}"):
        shutil.rmtree(left, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix=prefix, suffix=SUFFIX, dir=data.parent))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


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
            (folder / FILE_NAME).unlink()
            _give_name(folder, config.data)  # the last thing before the transaction ends

        try:
            database.make(uid, state, fill)
        except BaseException:
            if not folder.exists():
                shutil.rmtree(config.data)
            raise


def _give_name(folder: Path, data: Path) -> None:
    """The folder becomes the data directory, in one step: an empty one gives way, another is an error."""
    for path in (folder, *(found for found in folder.rglob("*") if found.is_dir())):
        sync(path)
    os.rename(folder, data)  # noqa: PTH104 - Path.rename says nothing about a folder that is there
    sync(data.absolute().parent)


if __name__ == "__main__":
    sys.exit(main())
