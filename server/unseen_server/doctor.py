"""``unseen doctor``: examine a store that no server uses, and say what was found. Writes nothing.

Exit codes: 0 the store is sound, 1 something is broken, 2 it could not be examined (wrong key, in use, no store).
"""

from __future__ import annotations

import json
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

from unseen.errors import IntegrityError, InvalidConfiguration, InvalidInput, KeyServiceFailed, StoreFailed, WrongKey
from unseen.store import backup
from unseen.store.examination import Report, in_words
from unseen.store.sqlite import FILE_NAME
from unseen.store.sqlite_examination import examine_file
from unseen_server.audit import AUDIT_FOLDER
from unseen_server.audit_examination import examine_logs
from unseen_server.config import Config, from_arguments
from unseen_server.one_sentence import OneSentenceParser
from unseen_server.process import prepare_process
from unseen_server.storage import needing_the_driver, open_rings

SOUND, BROKEN, REFUSED = 0, 1, 2


def main() -> int:
    """Examine the store that the command line names."""
    prepare_process()
    parser = OneSentenceParser(
        prog="unseen doctor",
        description="Examine the store of a stopped server. Other options are the server's: --data, --master-key...",
        allow_abbrev=False,
    )
    parser.add_argument("--backup", type=Path, metavar="FILE", help="examine this backup, in a copy, instead of --data")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of words")
    try:
        given, rest = parser.parse_known_args()
        if given.backup is None:
            report = examined(from_arguments(rest))
        else:
            report = examined_backup(given.backup, from_arguments(["--data", f"{given.backup}.data", *rest]))
    except (InvalidInput, WrongKey, KeyServiceFailed, StoreFailed) as error:
        sys.stderr.write(f"unseen doctor: {error}\n")
        return REFUSED
    except IntegrityError as error:
        sys.stderr.write(f"unseen doctor: {error}\n")
        return BROKEN
    sys.stdout.write(json.dumps(as_fields(report)) + "\n" if given.json else "\n".join(in_words(report)) + "\n")
    return BROKEN if report.findings else SOUND


def examined(config: Config) -> Report:
    """The report on the store of a configuration and on its audit logs."""
    report = _examined_store(config)
    examine_logs(config.data / AUDIT_FOLDER, report)
    return report


def _examined_store(config: Config) -> Report:
    rings = open_rings(config, make=False)
    if config.store is None:
        return examine_file(config.data / FILE_NAME, rings)
    with needing_the_driver():
        from unseen_server.postgres.examination import examine_database
    return examine_database(config.store, rings)


def examined_backup(file: Path, config: Config) -> Report:
    """The report on the store in a backup; IntegrityError when the backup itself is damaged."""
    rings = open_rings(config, make=False)
    with tempfile.TemporaryDirectory(prefix="unseen-doctor-") as folder:
        try:
            with file.open("rb") as opened:
                backup.unpack(opened, Path(folder), rings)
        except OSError as error:
            raise InvalidConfiguration(f"{file} cannot be examined: {error.strerror}") from error
        report = examine_file(Path(folder) / FILE_NAME, rings)
        examine_logs(Path(folder) / AUDIT_FOLDER, report)
        return report


def as_fields(report: Report) -> dict[str, object]:
    """The report as JSON has it."""
    findings = [asdict(finding) for finding in report.findings]
    return {"sound": not findings, "checked": dict(report.checked), "findings": findings, "notes": report.notes}


if __name__ == "__main__":
    sys.exit(main())
