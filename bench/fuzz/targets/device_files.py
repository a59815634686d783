"""Files in a device's home, and files that people name: ledgers, budgets, journals, keys, arrays, tokens."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from bench.fuzz.target import Target, as_tree, scratch_folder
from unseen.deid.settings import DeidSettings
from unseen.dp import ledger_file
from unseen.dp.event import Event
from unseen.dp.ledger import LEDGER_NAME, Budget, Ledger
from unseen.dp.privunit import PrivUnit
from unseen.errors import (
    IntegrityError,
    InvalidConfiguration,
    InvalidInput,
    KeyMissing,
    UnsupportedEvent,
)
from unseen_client.adapt.plan import Plan
from unseen_client.adapt.run_folder import RunFolder
from unseen_client.agreements import Accepted, Agreements
from unseen_client.array_file import read_array
from unseen_client.bearer import TokenBearer
from unseen_client.cli.described import read_records
from unseen_client.deid.journal import Journal
from unseen_client.deid.passed import Passed
from unseen_client.deid.site_key import site_key
from unseen_client.keys.controller_keys import ControllerKeys
from unseen_client.keys.keystore import CollectionKey, KeyStore
from unseen_client.privacy.budgets import default_budgets, read_budgets, write_budgets

UID, KEY = bytes(range(16)), bytes(range(32))
EVENT = PrivUnit(64.0).event(512)


class Home:
    """A device's home with one file in it that every execution writes anew."""

    def __init__(self, name: str, read: Callable[[Path], object]) -> None:
        self.path = scratch_folder()
        self._file = self.path / name
        for parent in reversed(self._file.relative_to(self.path).parents[:-1]):
            (self.path / parent).mkdir(mode=0o700)
        self._read = read

    def read(self, data: bytes) -> object:
        descriptor = os.open(self._file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            os.write(descriptor, data)
        finally:
            os.close(descriptor)
        return self._read(self.path)

    def content(self) -> bytes:
        return self._file.read_bytes()


# The ledger


def opened_ledger(home: Path) -> None:
    ledger = Ledger(home, Budget(64.0, 1e-6), Budget(1e6, 1e-6))
    assert isinstance(ledger.subjects(), tuple)


def chained(data: bytes) -> bytes:
    """Lines, each behind the hash that it should have."""
    chain, lines = ledger_file.FIRST_CHAIN, []
    for line in data.splitlines():
        chain = hashlib.sha256(chain.encode() + b" " + line).hexdigest()[: ledger_file.CHAIN_HEX]
        lines.append(chain.encode() + b" " + line + b"\n")
    return b"".join(lines)


CHARGE = json.dumps(
    {"at": "", "device": "d", "event": json.loads(EVENT.to_json()), "subjects": {"one": 1, "two": 2}},
    sort_keys=True,
    separators=(",", ":"),
).encode()


def event(data: bytes) -> None:
    assert Event.from_json(text := data.decode("utf-8", "replace")).to_json() == text


# Small files


def journal(path: Path) -> None:
    with Journal(path / "report.jsonl") as read:
        read.done_before("a.jpg", "0" * 64, "p", path)
    Passed.read(path / "report.jsonl", DeidSettings(), "0" * 64)


def array(path: Path) -> None:
    assert isinstance(read_array(path / "vectors.npy"), np.ndarray)


def arrays(path: Path) -> None:
    assert isinstance(RunFolder(path).kept("material.npz"), dict)


def plan(data: bytes) -> None:
    Plan.from_json(data.decode("utf-8", "replace"))


def token(path: Path) -> None:
    assert TokenBearer(path / "token").metadata()


def saved(save: Callable[..., None], *args: Any, **kwargs: Any) -> bytes:
    buffer = io.BytesIO()
    save(buffer, *args, **kwargs)
    return buffer.getvalue()


def written(name: str, write: Callable[[Path], object]) -> bytes:
    """What a device writes into a file of its home."""
    home = Home(name, lambda _: None)
    write(home.path)
    return home.content()


LINES = (
    {"format": "unseen-deid-report-1"},
    {"pipeline": "p", "description": {"release": "1"}},
    {
        "source": "a.jpg",
        "outcome": "done",
        "target": "a.jpg",
        "covered": 1,
        "facts": {},
        "pipeline": "p",
        "source_sha256": "0" * 64,
        "target_sha256": None,
    },
)
JOURNAL = b"".join(json.dumps(line).encode() + b"\n" for line in LINES)
AGREEMENT = f"agreements/{UID.hex()}.json"
CONTROLLER_KEY = json.dumps(
    {"format": "unseen-controller-key-1", "name": "k", "private_key": base64.b64encode(KEY).decode()}
).encode()
PLAN = Plan(1.0, 1e-5, 100, 20, 0.25, 200, 1.0, 1.0, 1.0, 20.0, 12, 1.0)
KEY_FILE = f"keys/{UID.hex()}.json"


def _file(
    name: str, file: str, read: Callable[[Path], object], declared: Any, *seeds: bytes, is_json: bool = True
) -> Target:
    return Target(name, Home(file, read).read, declared, seeds, is_json=is_json)


def _journal_lines(data: bytes) -> bytes:
    """The header, then the lines of a JSON array: a document that is changed as a tree."""
    tree = as_tree(data)
    lines = tree if isinstance(tree, list) else [tree]
    return JOURNAL.partition(b"\n")[0] + b"\n" + b"".join(json.dumps(line).encode() + b"\n" for line in lines)


TARGETS = (
    Target(
        "dp.ledger",
        Home(LEDGER_NAME, opened_ledger).read,
        (IntegrityError, UnsupportedEvent),
        (chained(CHARGE),),
        dress=chained,
        dressed_seeds=(CHARGE,),
        is_json=True,
    ),
    Target("dp.event.from_json", event, (UnsupportedEvent,), (EVENT.to_json().encode(),), is_json=True),
    _file(
        "client.privacy.read_budgets",
        "budgets.json",
        read_budgets,
        (IntegrityError,),
        written("budgets.json", lambda home: write_budgets(home, default_budgets())),
    ),
    Target(
        "client.deid.journal",
        Home("report.jsonl", journal).read,
        (InvalidInput,),
        (JOURNAL,),
        dress=_journal_lines,
        dressed_seeds=(json.dumps(LINES[1:]).encode(),),
        is_json=True,
    ),
    _file(
        "client.agreements",
        AGREEMENT,
        lambda home: Agreements(home).of(UID),
        (IntegrityError,),
        written(AGREEMENT, lambda home: Agreements(home).accept(UID, KEY, Accepted(1, bytes(32), "{}"))),
    ),
    _file(
        "client.controller_keys",
        "controller-keys/k.json",
        lambda home: ControllerKeys(home).get("k"),
        (IntegrityError, KeyMissing),
        CONTROLLER_KEY,
    ),
    _file(
        "client.keystore",
        KEY_FILE,
        lambda home: KeyStore(home).get(UID),
        (IntegrityError, KeyMissing),
        json.dumps(CollectionKey(UID, "scans", KEY, True, UID).to_json()).encode(),
        json.dumps(CollectionKey(UID, "scans", KEY).to_json()).encode(),
        json.dumps(CollectionKey(UID, "scans", KEY, True, UID, "l2", 12.5).to_json()).encode(),
    ),
    _file("client.deid.site_key", "site-key.json", site_key, (IntegrityError,), written("site-key.json", site_key)),
    Target("client.adapt.plan", plan, (IntegrityError,), (PLAN.to_json().encode(),), is_json=True),
    _file(
        "client.adapt.run_folder.kept",
        "material.npz",
        arrays,
        (IntegrityError,),
        saved(np.savez, allow_pickle=False, a=np.zeros(3), b=np.ones((2, 2))),
        is_json=False,
    ),
    _file(
        "client.array_file.read_array",
        "vectors.npy",
        array,
        (InvalidInput,),
        saved(np.save, np.zeros((2, 3), np.float32)),
        is_json=False,
    ),
    _file(
        "client.cli.described.read_records",
        "records.json",
        lambda home: read_records(home / "records.json"),
        (InvalidInput,),
        b'{"a.jpg":{"caption":"x","tags":["y"]}}',
    ),
    _file("client.bearer", "token", token, (InvalidConfiguration,), b"unseen_abc\n", is_json=False),
)
