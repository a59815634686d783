"""An erased row is gone when the answer comes: from every file in the data directory and from every later score."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from unseen.store.sqlite import SqliteStore
from unseen_server.master_key import open_master_key

Make = Callable[..., Any]


def disk(server: Any) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(path for path in server.data.rglob("*") if path.is_file()))


def sealed_vector(data: Path, key: Path, slot: int) -> bytes:
    """A vector's sealed bytes, read while no server runs."""
    store = SqliteStore(data, open_master_key(key, make=False))
    with store._file.reading() as db:
        sealed = db.execute("SELECT sealed FROM vectors_1 WHERE slot = ?", (slot,)).get
    store.close()
    assert isinstance(sealed, bytes)
    return sealed


def test_erased_row_is_found_nowhere_in_the_data_directory(make_server: Make, call: Make, make_rows: Make) -> None:
    server = make_server().start()
    caller = call(server)
    uid = caller.create().uid
    vectors, batch = make_rows(60, 16, 700)
    caller.enrol(uid, batch)
    caller.close()
    server.stop()
    sealed = sealed_vector(server.data, server.master_key, 7)
    caller = call(server.start())
    before = disk(server)
    assert sealed in before
    assert batch.sealed_records[7] in before
    caller.erase(uid, batch.row_ids[7:8])
    after = disk(server)
    for part in (sealed[:24], sealed[-24:], batch.sealed_records[7][:24], batch.sealed_records[7][-24:]):
        assert part not in after
    assert batch.sealed_records[8] in after
    scores = caller.search(caller.collection(), vectors[7])
    assert abs(scores[7]) < 0.012
    assert abs(scores[8] - vectors[8] @ vectors[7]) < 0.012
    assert np.argmax(scores) != 7


def test_no_vector_is_on_disk_in_the_clear(make_server: Make, call: Make, make_rows: Make) -> None:
    server = make_server().start()
    caller = call(server)
    vectors, batch = make_rows(60, 64)
    caller.enrol(caller.create(dimension=64).uid, batch)
    everything = disk(server)
    for quantised, vector in zip(batch.vectors, vectors, strict=True):
        assert quantised.tobytes()[:16] not in everything
        assert vector.tobytes()[:16] not in everything
