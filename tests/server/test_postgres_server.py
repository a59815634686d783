"""A server whose store is PostgreSQL: the same answers, one server at a time, and an end when the database is gone."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.postgres import Cluster

Make = Callable[..., Any]
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def cluster(postgres_cluster: Cluster) -> Cluster:
    postgres_cluster.empty()
    return postgres_cluster


def test_rows_are_found_after_a_restart_and_erased_ones_are_not(
    cluster: Cluster, make_server: Make, call: Make, make_rows: Make
) -> None:
    server = make_server("--store", cluster.address).start()
    caller = call(server)
    uid = caller.create().uid
    vectors, batch = make_rows(50)
    caller.enrol(uid, batch)
    caller.close()
    assert server.stop() == 0
    assert [path.name for path in server.data.iterdir()] == ["audit"]
    caller = call(server.start())
    assert caller.search(caller.collection(), vectors[7])[7] > 0.98
    caller.erase(uid, batch.row_ids[7:8])
    assert abs(caller.search(caller.collection(), vectors[7])[7]) < 0.02
    _, entries, _ = caller.sync(uid)
    assert set(entries) == set(batch.row_ids) - {batch.row_ids[7]}
    caller.close()
    server.stop(signal.SIGKILL)
    caller = call(server.start())
    assert caller.collection().rows == 49


def test_second_server_on_the_same_database_is_refused_in_one_sentence(cluster: Cluster, make_server: Make) -> None:
    first = make_server("--store", cluster.address).start()
    second = make_server("--store", cluster.address)
    result = subprocess.run(second.command(), capture_output=True, text=True, check=False)
    assert result.returncode == 2
    assert "in use by another server" in result.stderr
    assert first.stop() == 0


def test_server_ends_with_1_when_its_connection_is_lost_although_nobody_calls(
    cluster: Cluster, make_server: Make
) -> None:
    server = make_server("--store", cluster.address).start()
    cluster.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'unseen'")
    assert server.process.wait(60) == 1
    server.process.stdout.close()


def test_password_on_the_command_line_is_refused_and_written_nowhere(make_server: Make) -> None:
    server = make_server("--store", "postgresql://me:secret-word@127.0.0.1/db")
    result = subprocess.run(server.command(), capture_output=True, text=True, check=False)
    assert result.returncode == 2
    assert "PGPASSFILE" in result.stderr
    assert "secret-word" not in result.stdout + result.stderr
    assert not server.data.exists()
    assert not server.master_key.exists()


def test_unreachable_database_ends_the_start_and_leaves_no_trace(make_server: Make, tmp_path: Path) -> None:
    server = make_server("--store", f"postgresql://me@/db?host={tmp_path}")
    result = subprocess.run(server.command(), capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert "is PostgreSQL running" in result.stderr
    assert not server.data.exists()
    assert not server.master_key.exists()


def test_driver_is_loaded_only_when_it_is_asked_for(tmp_path: Path) -> None:
    program = """
import json, sys
from pathlib import Path
from unseen_server import __main__, app
from unseen_server.config import from_arguments
from unseen_server.storage import open_store
open_store(from_arguments(["--data", sys.argv[1] + "/data", "--master-key", sys.argv[1] + "/key"])).close()
print(json.dumps(sorted(sys.modules)))
"""
    command = [sys.executable, "-c", program, str(tmp_path)]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = json.loads(result.stdout)
    assert "apsw" in loaded
    assert not [name for name in loaded if name.startswith("asyncpg")]


def test_missing_driver_is_named_with_what_to_install(make_server: Make) -> None:
    server = make_server("--store", "postgresql://me@/db")
    program = "import sys; sys.modules['asyncpg'] = None; from unseen_server import __main__; sys.exit(__main__.main())"
    command = [sys.executable, "-c", program, *server.command()[3:]]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 2
    assert "pip install 'unseen[server,postgres]'" in result.stderr
