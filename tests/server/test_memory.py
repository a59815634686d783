"""An erased vector is found nowhere: not on disk, not in a copy made after, not in the memory of the running server.

Every search is made of a real server, first to show that it finds what is there.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.server.caller import Caller
from tests.server.memory import OpenServer, needles_of, places, residues_of
from tests.server.server_process import ServerProcess
from unseen.he.packing import Packing
from unseen.params import DEFAULT

Rows = Callable[..., tuple[Any, Any]]


@dataclass
class Canary:
    """One row among others, and what spells it out."""

    row_id: bytes
    slot: int
    needles: dict[str, list[bytes]]


def filled(caller: Caller, make_rows: Rows, dimension: int, count: int) -> tuple[bytes, Canary, Any]:
    """A collection whose middle row is the canary, and has been searched."""
    uid = caller.create(dimension=dimension).uid
    vectors, batch = make_rows(count, dimension)
    caller.enrol(uid, batch)
    caller.search(caller.collection(), vectors[0])
    slot = count // 2
    needles = needles_of(batch.vectors[slot], vectors[slot])
    packing = packing_of(caller)
    padded = np.zeros((packing.rows_per_block, dimension), np.int16)
    block = slot // packing.rows_per_block
    here = batch.vectors[block * packing.rows_per_block : (block + 1) * packing.rows_per_block]
    padded[: len(here)] = here
    needles["residues"] = residues_of(packing, padded)
    return uid, Canary(batch.row_ids[slot], slot, needles), batch


def packing_of(caller: Caller) -> Packing:
    info = caller.collection()
    return Packing(DEFAULT.ring_degree, info.dimension, info.packing_factor)


@pytest.fixture
def open_server(tmp_path: Path) -> Any:
    server = OpenServer(tmp_path, "--threads", "1")
    yield server
    server.end()


SIZES = [(16, 1), (64, 60), (512, 300)]


@pytest.mark.parametrize(("dimension", "count"), SIZES)
def test_erased_vector_is_found_nowhere_in_the_memory_of_the_server(
    open_server: OpenServer, make_rows: Rows, call: Any, dimension: int, count: int
) -> None:
    caller = call(open_server.start())
    uid, canary, _ = filled(caller, make_rows, dimension, count)
    assert places(open_server.pid, canary.needles["residues"]) >= 1, "the search must find the packed block"
    caller.erase(uid, [canary.row_id])
    assert {kind: places(open_server.pid, found) for kind, found in canary.needles.items()} == NOWHERE


NOWHERE = {"float32": 0, "int16": 0, "residues": 0}


def test_without_overwriting_the_same_search_finds_copies(open_server: OpenServer, make_rows: Rows, call: Any) -> None:
    caller = call(open_server.start(env={"OVERWRITE": "no"}))
    _, canary, batch = filled(caller, make_rows, 64, 60)
    rows = (needles_of(row, row.astype(np.float32))["int16"] for row in batch.vectors)
    assert any(places(open_server.pid, row) for row in rows), "the search must find what was freed"
    assert places(open_server.pid, canary.needles["residues"]) > 0


def test_what_was_read_from_disk_at_a_start_is_found_nowhere_after_its_erasure(
    open_server: OpenServer, make_rows: Rows, call: Any
) -> None:
    caller = call(open_server.start())
    uid, canary, _ = filled(caller, make_rows, 64, 60)
    caller.close()
    assert open_server.stop() == 0
    caller = call(open_server.start())
    other = call(open_server)
    assert places(open_server.pid, canary.needles["residues"]) >= 1
    assert places(open_server.pid, canary.needles["int16"]) == 0, "memory holds rows in transformed form only"
    other.erase(uid, [canary.row_id])
    assert {kind: places(open_server.pid, found) for kind, found in canary.needles.items()} == NOWHERE


def test_erased_row_is_in_no_file_and_in_no_copy_made_after(
    open_server: OpenServer, make_rows: Rows, call: Any, tmp_path: Path
) -> None:
    caller = call(open_server.start())
    uid, canary, batch = filled(caller, make_rows, 64, 60)
    canary_record = batch.sealed_records[canary.slot]
    caller.erase(uid, [canary.row_id])
    copy = tmp_path / "backup"
    shutil.copytree(open_server.data, copy)
    assert open_server.stop() == 0
    for folder in (open_server.data, copy):
        everything = b"".join(path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file())
        for needles in (*canary.needles.values(), [canary_record[:24], canary_record[-24:]]):
            assert not any(needle in everything for needle in needles)


@pytest.mark.parametrize(("given", "arenas"), [({"GLIBC_TUNABLES": "glibc.malloc.arena_max=4"}, b"4"), ({}, b"2")])
def test_the_server_starts_over_once_and_keeps_what_the_environment_says(
    tmp_path: Path, given: dict[str, str], arenas: bytes
) -> None:
    server = ServerProcess(tmp_path, "--threads", "1")
    server.start(env=os.environ | {"KEPT": "yes"} | given)
    assert server.process is not None
    said = re.split(rb"[\0:=]", Path(f"/proc/{server.process.pid}/environ").read_bytes())
    for name, value in (
        (b"PYTHONMALLOC", b"malloc"),
        (b"glibc.malloc.arena_max", arenas),
        (b"glibc.malloc.perturb", b"85"),
        (b"glibc.malloc.tcache_count", b"0"),
        (b"KEPT", b"yes"),
    ):
        assert said[said.index(name) + 1] == value
        assert said.count(name) == 1
    assert server.stop() == 0
