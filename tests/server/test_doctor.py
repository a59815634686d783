"""``unseen doctor`` as somebody runs it: what it says, how it ends, and that it leaves the store as it was."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bench.folders import contents
from tests.postgres import Cluster
from unseen_server.master_key import open_master_key

Make = Callable[..., Any]


def doctor(server: Any, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "unseen_server.doctor", "--data", str(server.data)]
    command += ["--master-key", str(server.master_key), *server.options, *options]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture(params=["sqlite", "postgres"])
def filled(request: pytest.FixtureRequest, make_server: Make, call: Make, make_rows: Make) -> Any:
    """A server with five rows, one of them erased; stopped."""
    options = []
    if request.param == "postgres":
        cluster: Cluster = request.getfixturevalue("postgres_cluster")
        cluster.empty()
        options = ["--store", cluster.address]
    server = make_server(*options).start()
    caller = call(server)
    uid = caller.create().uid
    _, batch = make_rows(5)
    caller.enrol(uid, batch)
    caller.erase(uid, batch.row_ids[:1])
    caller.close()
    assert server.stop() == 0
    return server


def test_sound_store_ends_with_0_in_words_and_in_json(filled: Any) -> None:
    in_words, in_json = doctor(filled), doctor(filled, "--json")
    assert (in_words.returncode, in_json.returncode) == (0, 0), in_words.stdout + in_words.stderr
    assert "checked: 4 vectors" in in_words.stdout.splitlines()
    assert in_words.stdout.endswith("the store is sound\n")
    fields = json.loads(in_json.stdout)
    assert fields["sound"]
    assert fields["findings"] == []
    assert fields["checked"]["vectors"] == 4
    assert fields["checked"]["audit leaves"] >= 8


def test_another_key_and_no_store_end_with_2(filled: Any, tmp_path: Path) -> None:
    open_master_key(tmp_path / "other.key", make=True)
    result = doctor(filled, "--master-key", str(tmp_path / "other.key"))
    assert (result.returncode, result.stdout) == (2, "")
    assert "another master key" in result.stderr
    result = doctor(filled, "--master-key", str(tmp_path / "none.key"))
    assert result.returncode == 2
    assert not (tmp_path / "none.key").exists()


def test_altered_byte_ends_with_1_and_is_named(make_server: Make) -> None:
    server = make_server().start()
    server.stop()
    path = server.data / "unseen.sqlite"
    content = bytearray(path.read_bytes())
    content[3 * 16384 + 5] ^= 1
    path.write_bytes(content)
    result = doctor(server)
    assert result.returncode == 1
    assert "BROKEN: file: 1 pages are not what was written: 4" in result.stdout
    assert "unseen restore" in result.stdout


def test_altered_byte_of_the_audit_log_is_named_and_nothing_is_written(filled: Any) -> None:
    (leaves,) = filled.data.glob("audit/*/leaves")
    content = bytearray(leaves.read_bytes())
    content[200] ^= 1
    leaves.write_bytes(content)
    before = contents(filled.data)
    result = doctor(filled)
    assert result.returncode == 1
    assert f"BROKEN: audit log {leaves.parent.name}: " in result.stdout
    assert contents(filled.data) == before


def test_running_server_is_not_disturbed(make_server: Make, postgres_cluster: Cluster) -> None:
    server = make_server().start()
    result = doctor(server)
    assert (result.returncode, "in use by" in result.stderr) == (2, True)
    assert server.stop() == 0
    shutil.rmtree(server.data)  # its audit log belongs to the other store
    postgres_cluster.empty()
    server = make_server("--store", postgres_cluster.address).start()
    assert doctor(server).returncode == 0, "PostgreSQL shows a store to many"
    assert server.stop() == 0


def test_data_directory_without_a_store_ends_with_2(make_server: Make, postgres_cluster: Cluster) -> None:
    postgres_cluster.empty()
    for options in ((), ("--store", postgres_cluster.address)):
        server = make_server(*options)
        if not server.master_key.exists():
            open_master_key(server.master_key, make=True)
        result = doctor(server)
        assert result.returncode == 2
        assert "no store at" in result.stderr or "cannot be read" in result.stderr
