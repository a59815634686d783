"""How the keys of a device lie on its disk: under a passphrase nothing of them is there, and a crash loses none."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import keyring
import pytest
from keyring.backend import KeyringBackend
from keyring.backends import fail
from keyring.errors import PasswordDeleteError

from tests.client.real_server import ENVIRONMENT
from unseen.errors import IntegrityError, InvalidConfiguration, InvalidInput, WrongKey
from unseen_client.deid.site_key import site_key
from unseen_client.keys.controller_keys import ControllerKeys
from unseen_client.keys.device_key import device_key
from unseen_client.keys.keystore import CollectionKey, KeyStore
from unseen_client.keys.vault import Vault

CHEAP = 1 << 10
UID, OTHER = bytes(range(16)), bytes(range(1, 17))
FIRST, SECOND = "first passphrase", "second passphrase"
CRASHES = Path(__file__).with_name("crashing_vault.py")


def key_of(uid):
    return CollectionKey(uid, "photos", uid * 2, True, OTHER)


def everything(home, passphrase=None):
    """All secrets of a device, read by a process that begins anew."""
    vault = Vault(home, passphrase)
    return (
        KeyStore(home, vault).all(),
        ControllerKeys(home, vault).get("mine").key.private_key,
        site_key(home, vault),
        device_key(home, vault).public.raw,
    )


@pytest.fixture
def filled(home):
    vault = Vault(home)
    for uid in (UID, OTHER):
        KeyStore(home, vault).put(key_of(uid))
    ControllerKeys(home, vault).make("mine")
    site_key(home, vault)
    device_key(home, vault)
    return home


def on_disk(home):
    return b"".join(path.read_bytes() for path in sorted(home.rglob("*")) if path.is_file())


def protected(home, passphrase, before=None):
    Vault(home, before).protect_with_passphrase(passphrase, cost=CHEAP)
    return home


def test_under_a_passphrase_nothing_of_a_key_is_in_any_file(filled):
    secrets = everything(filled)
    assert b"record_key" in on_disk(filled)
    protected(filled, FIRST)
    assert Vault(filled).protection == "passphrase"
    for word in (b"record_key", b"private_key", b"site_key", b"ml_kem", b"photos", FIRST.encode()):
        assert word not in on_disk(filled)
    assert everything(filled, FIRST) == secrets
    vault = Vault(filled, FIRST)
    KeyStore(filled, vault).put(CollectionKey(bytes(16), "later_key", bytes(32)))
    assert b"later_key" not in on_disk(filled)
    assert len(KeyStore(filled, Vault(filled, FIRST)).all()) == 3


def test_what_lay_in_the_clear_is_overwritten(filled):
    path = filled / "keys" / f"{UID.hex()}.json"
    with path.open("rb") as past:
        protected(filled, FIRST)
        assert not past.read().strip(b"\0")


def test_a_wrong_passphrase_or_none_is_a_clear_error_and_loses_nothing(filled):
    secrets = everything(filled)
    protected(filled, FIRST)
    before = on_disk(filled)
    for wrong in ("another passphrase", lambda: ""):
        with pytest.raises(WrongKey, match="nothing was changed"):
            everything(filled, wrong)
    with pytest.raises(WrongKey, match="UNSEEN_KEYS_PASSPHRASE"):
        KeyStore(filled).readable(UID)
    with pytest.raises(WrongKey):
        Vault(filled, "another passphrase").protect_with_passphrase(SECOND, cost=CHEAP)
    with pytest.raises(InvalidInput, match="at least 8"):
        Vault(filled, FIRST).protect_with_passphrase("short", cost=CHEAP)
    assert on_disk(filled) == before
    assert everything(filled, FIRST) == secrets


def test_another_passphrase_opens_and_the_old_one_does_not(filled):
    secrets = everything(filled)
    protected(protected(filled, FIRST), SECOND, FIRST)
    assert everything(filled, SECOND) == secrets
    with pytest.raises(WrongKey):
        everything(filled, FIRST)


def test_the_passphrase_comes_from_the_argument_the_environment_or_a_descriptor(filled, monkeypatch):
    secrets = everything(filled)
    protected(filled, FIRST)
    asked = []
    assert everything(filled, lambda: asked.append(1) or FIRST) == secrets
    assert asked == [1]
    reading, writing = os.pipe()
    os.write(writing, f"{FIRST}\n".encode())
    monkeypatch.setenv("UNSEEN_KEYS_PASSPHRASE_FD", str(reading))
    assert everything(filled) == secrets
    monkeypatch.setenv("UNSEEN_KEYS_PASSPHRASE", FIRST)
    assert everything(filled) == secrets
    os.close(reading)
    os.close(writing)


def test_a_passphrase_that_is_no_utf8_protects_and_opens_too(filled, monkeypatch):
    secrets, said = everything(filled), b"passphrase \xff\xfe"
    protected(filled, os.fsdecode(said))
    reading, writing = os.pipe()
    os.write(writing, said + b"\n")
    monkeypatch.setenv("UNSEEN_KEYS_PASSPHRASE_FD", str(reading))
    assert everything(filled) == secrets
    os.close(reading)
    os.close(writing)


def test_a_key_that_somebody_puts_there_in_the_clear_is_refused_until_its_owner_takes_it_in(filled, tmp_path):
    protected(filled, FIRST)
    planted = CollectionKey(bytes(16), "planted", bytes(32))
    KeyStore(tmp_path / "other").put(planted)
    name = f"{bytes(16).hex()}.json"
    (tmp_path / "other" / "keys" / name).rename(filled / "keys" / name)
    with pytest.raises(IntegrityError, match="in the clear"):
        KeyStore(filled, Vault(filled, FIRST)).get(bytes(16))
    Vault(filled, FIRST).protect_with_passphrase(FIRST, cost=CHEAP)
    assert KeyStore(filled, Vault(filled, FIRST)).get(bytes(16)) == planted


def test_a_sealed_key_in_another_place_is_refused(filled):
    protected(filled, FIRST)
    (filled / "keys" / f"{UID.hex()}.json").rename(filled / "keys" / f"{OTHER.hex()}.json")
    with pytest.raises(IntegrityError, match="altered or moved"):
        KeyStore(filled, Vault(filled, FIRST)).get(OTHER)


@pytest.mark.parametrize("point", [1, 2, 5, 8])
def test_killed_at_any_write_of_the_first_protection_every_key_opens_and_the_next_opening_seals_them(filled, point):
    secrets = everything(filled)
    killed = die_in(filled, "", FIRST, point)
    begun = (filled / "key-store.json").exists()
    assert killed == (point <= 7)
    assert everything(filled, FIRST if begun else None) == secrets
    assert (b"record_key" in on_disk(filled)) is not begun


@pytest.mark.parametrize("point", [1, 2, 3])
def test_killed_in_the_middle_of_a_change_the_old_passphrase_opens_or_the_new_one(filled, point):
    secrets = everything(filled)
    protected(filled, FIRST)
    assert die_in(filled, FIRST, SECOND, point) == (point <= 2)
    opens = []
    for passphrase in (FIRST, SECOND):
        try:
            opens.append(everything(filled, passphrase) == secrets)
        except WrongKey:
            opens.append(False)
    assert sorted(opens) == [False, True]


def die_in(home, before, after, point):
    """Protect in a process of its own that kills itself before its write number ``point`` gets its name."""
    command = [sys.executable, str(CRASHES), str(home), before, after, str(point)]
    done = subprocess.run(command, env=ENVIRONMENT, timeout=120, check=False)
    assert done.returncode in (0, -signal.SIGKILL)
    return done.returncode != 0


class HeldInMemory(KeyringBackend):
    """A keyring as the system's would be: real enough for `keyring` to talk to."""

    priority = -1  # never chosen by itself

    def __init__(self):
        self.held = {}

    def get_password(self, service, username):
        return self.held.get((service, username))

    def set_password(self, service, username, password):
        self.held[service, username] = password

    def delete_password(self, service, username):
        if self.held.pop((service, username), None) is None:
            raise PasswordDeleteError


@pytest.fixture
def system_keyring():
    backend = HeldInMemory()
    keyring.set_keyring(backend)
    yield backend
    keyring.set_keyring(fail.Keyring())


def test_under_the_keyring_keys_open_without_a_passphrase_and_not_without_the_keyring(filled, system_keyring):
    secrets = everything(filled)
    Vault(filled).protect_with_keyring()
    assert Vault(filled).protection == "keyring"
    assert b"record_key" not in on_disk(filled)
    assert everything(filled) == secrets
    held = dict(system_keyring.held)
    system_keyring.held.clear()
    with pytest.raises(WrongKey, match="keyring holds no secret"):
        everything(filled)
    system_keyring.held.update(held)
    protected(filled, FIRST)
    assert system_keyring.held == {}
    assert everything(filled, FIRST) == secrets


def test_a_passphrase_takes_the_place_of_a_keyring_that_is_gone(filled, system_keyring):
    secrets, vault = everything(filled), Vault(filled)
    vault.protect_with_keyring()
    keyring.set_keyring(fail.Keyring())
    vault.protect_with_passphrase(FIRST, cost=CHEAP)
    assert vault.protection == "passphrase"
    assert everything(filled, FIRST) == secrets
    assert len(system_keyring.held) == 1, "which opens nothing any more"


def test_a_system_without_a_keyring_is_named_and_nothing_is_changed(filled):
    keyring.set_keyring(fail.Keyring())
    before = on_disk(filled)
    with pytest.raises(InvalidConfiguration, match="protect passphrase"):
        Vault(filled).protect_with_keyring()
    assert on_disk(filled) == before


def test_without_the_package_the_error_says_what_to_install(filled, system_keyring, monkeypatch):
    Vault(filled).protect_with_keyring()
    before = on_disk(filled)
    for name in ("keyring", "keyring.errors"):
        monkeypatch.setitem(sys.modules, name, None)
    for attempt in (everything, lambda home: Vault(home).protect_with_keyring()):
        with pytest.raises(InvalidConfiguration, match=r"unseen\[keyring\]"):
            attempt(filled)
    assert on_disk(filled) == before
