"""A wrong configuration stops the start: exit code 2, one sentence that says what to do, nothing written."""

from __future__ import annotations

import datetime as dt
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import apsw
import pytest

from bench.folders import contents
from tests.server.identities import issue, tls_options
from tests.server.server_process import ServerProcess
from unseen.store.checked_pages import CheckedFiles
from unseen.store.schema import SCHEMA_VERSION
from unseen.store.sqlite import FILE_NAME

Wrong = Callable[[ServerProcess], Sequence[str]]
"""Makes something about a server's folder wrong; gives options to start it with."""


def unreadable_key(server: ServerProcess) -> Sequence[str]:
    server.master_key.write_text("not a key\n")
    return ()


def folder_for_a_key(server: ServerProcess) -> Sequence[str]:
    return ("--master-key", str(server.folder))


def key_that_all_may_read(server: ServerProcess) -> Sequence[str]:
    server.master_key.chmod(0o644)
    return ()


def key_of_another_store(server: ServerProcess) -> Sequence[str]:
    other = ServerProcess(server.folder / "other")
    other.folder.mkdir()
    other.start()
    assert other.stop() == 0
    shutil.copy(other.master_key, server.master_key)
    return ()


def lost_key(server: ServerProcess) -> Sequence[str]:
    server.master_key.unlink()
    return ()


def slip_in_the_kind_of_key(server: ServerProcess) -> Sequence[str]:
    return ("--master-key", f"passphase:{server.master_key}")


def unknown_option(server: ServerProcess) -> Sequence[str]:
    return ("--no-such-option",)


def number_that_is_none(server: ServerProcess) -> Sequence[str]:
    return ("--searches-per-minute", "many")


def expired_certificate(server: ServerProcess) -> Sequence[str]:
    day = dt.timedelta(days=1)
    return tls_options(server.folder, issue("server", issue("authority"), -2 * day, -day))


def folder_of_somebody_else(server: ServerProcess) -> Sequence[str]:
    shutil.rmtree(server.data)
    server.data.mkdir()
    (server.data / "letters.txt").write_text("not ours")
    return ()


def file_of_another_program(server: ServerProcess) -> Sequence[str]:
    shutil.rmtree(server.data)
    server.data.mkdir()
    db = apsw.Connection(str(server.data / FILE_NAME))
    db.execute("CREATE TABLE notes (text)")
    db.close()
    return ()


def newer_schema(server: ServerProcess) -> Sequence[str]:
    files = CheckedFiles("newer-schema")
    db = apsw.Connection(str(server.data / FILE_NAME), vfs=files.name)
    db.pragma("user_version", SCHEMA_VERSION + 1)
    db.close()
    files.unregister()
    return ()


@pytest.fixture(scope="module")
def once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a server that ran and was stopped; each test has a copy."""
    server = ServerProcess(tmp_path_factory.mktemp("once")).start()
    assert server.stop() == 0
    return server.folder


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (unreadable_key, "expected one line"),
        (folder_for_a_key, "Is a directory"),
        (key_that_all_may_read, "chmod 600 it"),
        (key_of_another_store, "give the master key file it was made with"),
        (lost_key, "give --master-key the file that was made with the data"),
        (slip_in_the_kind_of_key, "it is one of file, passphrase, aws-kms, pkcs11, vault"),
        (unknown_option, "`unseen serve --help` explains every option"),
        (number_that_is_none, "is not a whole number from 1 on"),
        (expired_certificate, "renew it"),
        (folder_of_somebody_else, "give --data the folder of a store, or an empty one"),
        (file_of_another_program, "is not an Unseen store"),
        (newer_schema, "run the release that wrote it or a newer one"),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
def test_wrong_configuration_is_refused_in_one_sentence_and_nothing_is_written(
    once: Path, tmp_path: Path, wrong: Wrong, says: str
) -> None:
    server = ServerProcess(shutil.copytree(once, tmp_path / "server"))
    options = wrong(server)
    before = contents(server.folder)
    result = subprocess.run(server.command(*options), capture_output=True, text=True, check=False, timeout=120)
    assert (result.returncode, len(result.stderr.splitlines())) == (2, 1), result.stderr
    assert result.stderr.startswith("unseen server: ")
    assert says in result.stderr
    assert contents(server.folder) == before
