"""unseen server-keys: status, rotate, rekey; and kill -9 in the middle of each, again and again on one store.

UNSEEN_KILLS sets how often (10 here, 1,000 in a night).
"""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from unseen.audit.leaf import leaf_fields
from unseen.entropy import random_uid
from unseen.errors import WrongKey
from unseen.keys.provider import HeldKey
from unseen.keys.ring import KeyRings
from unseen.store.interface import NewCollection, Store
from unseen.store.sqlite import SqliteStore
from unseen.types import RowBatch
from unseen_server.config import from_arguments
from unseen_server.keys.choice import RING_FOLDER
from unseen_server.master_key import open_master_key
from unseen_server.opening import open_audit
from unseen_server.storage import open_store

ROOT = Path(__file__).resolve().parents[3]
KILLS = int(os.environ.get("UNSEEN_KILLS", "10"))
MOST_LIVES = KILLS + 60
"""Where a kill lands is chance: half of the lives end after an odd number of rotations."""
LONGEST_LIFE_S = 0.3
ROWS = 400
ROWS_TO_ERASE = 360 + 4 * KILLS
"""More than are erased: a life erases one or two."""
PAGE = 16384
PASSPHRASE = "a passphrase for tests"


def command(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "unseen_server.keys", *map(str, arguments)]


def run(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*arguments), env=os.environ | environment, capture_output=True, text=True, check=False, timeout=300
    )


def opened(folder: Path, key: str = "a.key") -> SqliteStore:
    provider = HeldKey("file", open_master_key(folder / key, make=False))
    return SqliteStore(folder / "data", KeyRings(folder / RING_FOLDER, provider))


@pytest.fixture
def batch(request: pytest.FixtureRequest) -> RowBatch:
    draw, count = np.random.default_rng(1), getattr(request, "param", ROWS)
    vectors = draw.integers(-300, 300, (count, 16), dtype=np.int16)
    return RowBatch(tuple(draw.bytes(16) for _ in range(count)), vectors, tuple(draw.bytes(100) for _ in range(count)))


@pytest.fixture
def folder(tmp_path: Path, batch: RowBatch) -> Path:
    """A stopped server's folder: data, a.key, and the ring beside it; one collection."""
    open_master_key(tmp_path / "a.key", make=True)
    (tmp_path / "data").mkdir()
    store = opened(tmp_path)
    uid = store.create(random_uid(), NewCollection("photos", 16, "0" * 16, "none", 8, "clinic")).info.uid
    store.enrol(random_uid(), uid, batch)
    store.close()
    return tmp_path


def rows(store: Store) -> dict[bytes, bytes]:
    """Row id and vector of every row; its record opens too."""
    uid = store.collections()[0].info.uid
    pages = store.changes(uid, 0, 1 << 60, 1 << 20, 1 << 30)
    ids = {entry.slot: entry.row_id for page in pages for entry in page.added}
    found = {
        ids[int(slot)]: row.tobytes()
        for page in store.vectors(uid)
        for slot, row in zip(page.slots, page.vectors, strict=True)
    }
    assert len(found) == len(ids)
    return found


def expected(batch: RowBatch) -> dict[bytes, bytes]:
    return {row_id: row.tobytes() for row_id, row in zip(batch.row_ids, batch.vectors, strict=True)}


def test_status_says_what_there_is(folder: Path, batch: RowBatch) -> None:
    store = opened(folder)
    store.erase(random_uid(), store.collections()[0].info.uid, batch.row_ids[:1])
    store.close()
    options = ("--data", folder / "data", "--master-key", folder / "a.key")
    words, fields = run("status", *options), run("status", *options, "--json")
    assert words.returncode == 0, words.stderr
    assert "clinic/photos: 399 rows, 60 key nodes" in words.stdout
    told = json.loads(fields.stdout)
    assert told["provider"] == "file"
    assert told["collections"][0]["rekey_interrupted"] is False
    assert told["key_ring_bytes"] == Path(told["key_ring"]).stat().st_size


def test_rotation_moves_to_a_passphrase_without_touching_the_data(folder: Path, batch: RowBatch) -> None:
    (folder / "later").mkdir()
    new = f"passphrase:{folder / 'later/sealed.key'}"
    before = (folder / "data/unseen.sqlite").read_bytes()
    done = run(
        "rotate", "--data", folder / "data", "--master-key", folder / "a.key", "--new-master-key", new,
        UNSEEN_NEW_MASTER_PASSPHRASE=PASSPHRASE,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert f"--key-ring {folder / RING_FOLDER}" in done.stdout, "the ring stays where it is"
    wrong = run("status", "--data", folder / "data", "--master-key", folder / "a.key")
    assert wrong.returncode == 2
    assert "kind 'passphrase'" in wrong.stderr
    options = ["--data", str(folder / "data"), "--master-key", new, "--key-ring", str(folder / RING_FOLDER)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("UNSEEN_MASTER_PASSPHRASE", PASSPHRASE)
        config = from_arguments(options)
        store = open_store(config)
    assert rows(store) == expected(batch)
    audit = open_audit(config, store)
    acts = [(fields["act"], fields["outcome"]) for fields in map(leaf_fields, audit.log_of("").leaves())]
    audit.close()
    store.close()
    assert acts == [("RotateKeys", "ASKED"), ("RotateKeys", "OK")]
    after = (folder / "data/unseen.sqlite").read_bytes()
    changed = [at for at in range(0, len(before), PAGE) if before[at : at + PAGE] != after[at : at + PAGE]]
    assert len(changed) <= 3, "the audit log's keys are facts; nothing else was written"


def test_rekey_renews_every_row_and_older_copies_open_no_more(folder: Path, batch: RowBatch) -> None:
    shutil.copytree(folder / "data", folder / "copy")
    done = run("rekey", "--data", folder / "data", "--master-key", folder / "a.key", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["rekeyed"] == [{"tenant": "clinic", "name": "photos", "rows": ROWS}]
    store = opened(folder)
    assert rows(store) == expected(batch)
    store.close()
    refused = run("status", "--data", folder / "copy", "--master-key", folder / "a.key")
    assert refused.returncode == 2
    assert "before its keys were renewed" in refused.stderr


def test_command_is_refused_while_a_server_runs_and_where_there_is_no_store(folder: Path) -> None:
    running = opened(folder)
    before = running.ring.path.read_bytes()
    more = ("--master-key", folder / "a.key", "--new-master-key", folder / "b.key")
    busy = run("rotate", "--data", folder / "data", *more)
    nothing = run("rotate", "--data", folder / "empty", *more)
    assert running.ring.path.read_bytes() == before
    running.close()
    assert (busy.returncode, nothing.returncode) == (2, 2)
    assert "in use by another server" in busy.stderr
    assert "no store there" in nothing.stderr
    assert not (folder / "b.key").exists()
    assert not (folder / "empty").exists()


def test_new_master_key_in_the_data_directory_is_refused(folder: Path) -> None:
    options = ("--data", folder / "data", "--master-key", folder / "a.key")
    done = run("rotate", *options, "--new-master-key", folder / "data/b.key")
    assert done.returncode == 2
    assert "lies in the data directory" in done.stderr


def the_key_that_opens(folder: Path) -> str:
    """One of the two, and only one."""
    found = []
    for name in ("a.key", "b.key"):
        try:
            opened(folder, name).close()
        except WrongKey:
            continue
        found.append(name)
    assert len(found) == 1, "a ring opens with the old key or the new one"
    return found[0]


@pytest.mark.parametrize("batch", [ROWS_TO_ERASE], indirect=True)
def test_kill_nine_while_keys_change_loses_nothing_and_brings_nothing_back(folder: Path, batch: RowBatch) -> None:
    open_master_key(folder / "b.key", make=True)
    copy = folder / "copy"
    shutil.copytree(folder / "data", copy)
    asked, erased = set[bytes](), set[bytes]()
    lives = moved = 0
    while lives < KILLS or not moved:
        assert lives < MOST_LIVES, "no kill came after an odd number of rotations: is the process too slow?"
        lives += 1
        key = the_key_that_opens(folder)
        store = opened(folder, key)
        there = rows(store)
        store.close()
        assert there.items() <= expected(batch).items()
        assert erased.isdisjoint(there), "an erased row is back"
        assert set(batch.row_ids) - asked <= set(there), "a row is lost"
        for said, row_id in life_of_changes(folder, key):
            (asked if said == "asked" else erased).add(bytes.fromhex(row_id))
        moved += key != the_key_that_opens(folder)
    assert erased
    remaining_files = {path.suffix for path in (folder / RING_FOLDER).iterdir()}
    assert remaining_files == {".ring"}, "what a crash left beside the ring is gone"


def life_of_changes(folder: Path, key: str) -> list[list[str]]:
    """Let keys change until a kill; what was said before it."""
    keys = [folder / key, folder / ("b.key" if key == "a.key" else "a.key")]
    program = [sys.executable, str(ROOT / "tests/server/keys/changing_keys.py"), folder / "data", folder / RING_FOLDER]
    roots = os.pathsep.join(str(ROOT / root) for root in ("core", "server"))
    with subprocess.Popen(
        [*map(str, program), *map(str, keys)], stdout=subprocess.PIPE, text=True, env=os.environ | {"PYTHONPATH": roots}
    ) as process:
        assert process.stdout is not None
        first = process.stdout.readline()
        time.sleep(random.uniform(0, LONGEST_LIFE_S))
        process.kill()
        rest = process.stdout.read()
    return [line.split() for line in (first + rest).splitlines(keepends=True) if line.endswith("\n")]


def test_rotation_through_the_client_command(folder: Path) -> None:
    """`unseen server-keys` hands over to the server's own process."""
    unseen = Path(sys.executable).with_name("unseen")
    options = ["--data", folder / "data", "--master-key", folder / "a.key"]
    done = subprocess.run(
        [str(part) for part in (unseen, "server-keys", "rotate", *options, "--new-master-key", folder / "b.key")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert the_key_that_opens(folder) == "b.key"
