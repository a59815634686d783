"""Keys on the command line, run in this process: protected, shared to another device, printed and split, rotated."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pytest
from typer.testing import CliRunner

from unseen.entropy import random_bytes
from unseen_client.cli.app import app
from unseen_client.keys.device_key import device_key
from unseen_client.keys.keystore import CollectionKey, KeyStore
from unseen_client.keys.passphrase import Stretching
from unseen_client.keys.vault import Vault

FIRST, SECOND = "first passphrase", "second passphrase"


def output(done):
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """A passphrase costs little to try: what it costs is no matter here."""
    monkeypatch.setattr(Stretching, "make", staticmethod(lambda: Stretching(random_bytes(16), 1 << 10)))


@pytest.fixture
def unseen(server, home):
    """As the fixture of this name, without a process for each run: many of them are needed here."""

    def run(*arguments, **environment):
        known = {"UNSEEN_SERVER": server.address, "UNSEEN_HOME": str(home), "UNSEEN_KEYS_PASSPHRASE": FIRST}
        done = CliRunner().invoke(app, list(map(str, arguments)), env=known | environment)
        return SimpleNamespace(returncode=done.exit_code, stdout=done.stdout, stderr=done.stderr)

    return run


@pytest.fixture
def filled(unseen, name, tmp_path, unit_vectors):
    """An owner-encrypted collection with three rows, and what was said when it was made."""
    np.save(tmp_path / "vectors.npy", unit_vectors(3, 16))
    (tmp_path / "ids.txt").write_text("one\ntwo\nthree")
    made = unseen("create", name, "--dimension", 16, "--protection", "owner")
    assert unseen("enrol", name, tmp_path / "vectors.npy", "--ids", tmp_path / "ids.txt").returncode == 0
    return made


def listed(unseen, name, **environment):
    return {row["id"] for row in output(unseen("list", name, "--json", **environment))["rows"]}


@pytest.mark.filterwarnings("always:losing the key of ")
def test_an_owner_key_is_never_in_the_clear_and_its_passphrase_locks_every_command(unseen, name, filled, home):
    nothing = {"UNSEEN_HOME": str(home.with_name("unlocked")), "UNSEEN_KEYS_PASSPHRASE": ""}
    refused = unseen("create", f"{name}1", "--dimension", 16, "--protection", "owner", **nothing)
    assert refused.returncode == 2
    assert "never lies in the clear: run `unseen keys protect keyring`" in refused.stderr
    assert name in unseen("collections").stdout
    assert f"{name}1" not in unseen("collections").stdout
    sheet = home.with_name("sheet.txt")
    assert unseen("keys", "export", name, sheet, "--printable").returncode == 0
    refused = unseen("keys", "import", sheet, **nothing)
    assert refused.returncode == 2
    assert "never lies in the clear" in refused.stderr
    assert filled.stderr.startswith(f"warning: losing the key of {name} loses the collection")
    assert f"unseen keys export {name} FILE --printable" in filled.stderr
    assert unseen("keys", "protect", "passphrase").returncode == 2
    assert unseen("list", name, UNSEEN_KEYS_PASSPHRASE="").returncode == 6
    assert unseen("list", name, UNSEEN_KEYS_PASSPHRASE=SECOND).returncode == 6
    assert listed(unseen, name) == {"one", "two", "three"}
    both = {"UNSEEN_KEYS_PASSPHRASE": FIRST, "UNSEEN_KEYS_NEW_PASSPHRASE": SECOND}
    assert output(unseen("keys", "protect", "passphrase", "--json", **both)) == {"under": "passphrase"}
    assert unseen("keys", "list", UNSEEN_KEYS_PASSPHRASE=FIRST).returncode == 6
    shown = unseen("keys", "list", UNSEEN_KEYS_PASSPHRASE=SECOND).stdout
    assert "lie under: passphrase" in shown
    made = unseen("create", f"{name}2", "--dimension", 16, "--protection", "owner", UNSEEN_KEYS_PASSPHRASE=SECOND)
    assert f"losing the key of {name}2 " in made.stderr
    assert not [path for path in home.rglob("*") if path.is_file() and b"owner_key" in path.read_bytes()]


def test_an_owner_key_that_an_earlier_build_left_in_the_clear_is_protected_by_the_command_that_its_error_names(
    unseen, home
):
    key = CollectionKey(bytes(16), "secret", bytes(32), True, bytes(16), owner_key=bytes(32))
    KeyStore(home).require_private()
    Vault(home).write(home / "keys" / f"{bytes(16).hex()}.json", json.dumps(key.to_json()).encode())
    refused = unseen("keys", "list")
    assert refused.returncode == 2
    assert (
        "in the clear, where it is not used; put the keys of this device under a lock: `unseen keys" in refused.stderr
    )
    assert unseen("keys", "protect", "passphrase", UNSEEN_KEYS_NEW_PASSPHRASE=FIRST).returncode == 0
    assert output(unseen("keys", "list", "--json"))["keys"][0]["protection"] == "owner"
    assert not [path for path in home.rglob("*") if path.is_file() and b"owner_key" in path.read_bytes()]


def test_a_key_is_shared_to_one_device_listed_and_revoked_by_rotation(unseen, name, filled, tmp_path):
    alice, bob = ({"UNSEEN_HOME": str(tmp_path / who)} for who in ("alice", "bob"))
    public = output(unseen("keys", "device", "--json", **alice))
    (tmp_path / "alice.device").write_text(unseen("keys", "device", **alice).stdout)
    shared = tmp_path / "for-alice"
    told = output(unseen("keys", "share", name, shared, "--to", tmp_path / "alice.device", "--as", "Alice", "--json"))
    assert told["device"] == public["fingerprint"]
    assert unseen("keys", "accept", shared, **bob).returncode == 6
    accepted = output(unseen("keys", "accept", shared, "--json", **alice))
    assert (accepted["accepted"], accepted["key_id"]) == (name, told["key_id"])
    assert listed(unseen, name, **alice) == {"one", "two", "three"}
    (given,) = output(unseen("keys", "list", "--json"))["given"]
    assert (given["label"], given["to"], given["key_id"], given["still_in_use"]) == (
        "Alice", public["fingerprint"], told["key_id"], True
    )  # fmt: skip
    assert output(unseen("keys", "rotate", name, "--json")) == {"rotated": name, "rows": 3}
    assert unseen("list", name, **alice).returncode == 6
    assert listed(unseen, name) == {"one", "two", "three"}
    assert "not in use here any more\tdevice" in unseen("keys", "list").stdout
    again = tmp_path / "again"
    assert unseen("keys", "share", name, again, "--to", public["public_key"]).returncode == 0
    assert unseen("keys", "accept", again, **alice).returncode == 0
    assert listed(unseen, name, **alice) == {"one", "two", "three"}


def test_a_key_whose_name_says_a_folder_is_shared_to_a_file_here(tmp_path, monkeypatch):
    here, home = tmp_path / "here", tmp_path / "home"
    here.mkdir()
    monkeypatch.chdir(here)
    key = CollectionKey.make(bytes(16), "../there", keep_vectors=True, store_uid=bytes(16))
    KeyStore(home).put(key)
    to = device_key(home, Vault(home)).public
    told = CliRunner().invoke(app, ["keys", "share", "../there", "--to", to.text, "--home", str(home)])
    assert told.exit_code == 0, told.output
    assert [path.name for path in here.iterdir()] == [f"there-{to.fingerprint}.unseen-shared"]
    assert {path.name for path in tmp_path.iterdir()} == {"here", "home"}


def test_sheets_bring_the_collection_to_a_device_that_has_nothing(unseen, name, filled, tmp_path):
    sheet, shares = tmp_path / "sheet.txt", [tmp_path / f"shares-{number}-of-3.txt" for number in (1, 2, 3)]
    assert unseen("keys", "export", name, sheet, "--printable").returncode == 0
    assert unseen("keys", "export", name, sheet, "--printable").returncode == 2
    assert (
        "any 2 of these 3 open" in unseen("keys", "export", name, tmp_path / "shares.txt", "--shares", "2-of-3").stdout
    )
    assert unseen("keys", "import", shares[0], UNSEEN_HOME=str(tmp_path / "lost")).returncode == 2
    for number, files in enumerate(([sheet], [shares[2], shares[0]], shares)):
        other = {"UNSEEN_HOME": str(tmp_path / f"home{number}")}
        assert output(unseen("keys", "import", *files, "--json", **other))["imported"] == name
        assert listed(unseen, name, **other) == {"one", "two", "three"}
    assert [one["how"] for one in output(unseen("keys", "list", "--json"))["given"]] == ["sheet", "shares"]


@pytest.mark.parametrize("command", ["protect", "device", "share", "accept", "rotate", "list", "export", "import"])
def test_every_command_shows_an_example_and_speaks_json(command):
    shown = CliRunner().invoke(app, ["keys", command, "--help"]).stdout
    assert f"  unseen keys {command}" in shown
    assert "--json" in shown
