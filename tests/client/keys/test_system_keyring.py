"""The keys of a device under a secret that a real keyring holds: gnome-keyring by D-Bus, as on a desktop."""

from __future__ import annotations

import gc
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import keyring
import pytest
from jeepney import message_bus
from jeepney.io.blocking import DBusConnection
from keyring.backends import SecretService, fail
from secretstorage import dbus_init, get_default_collection

from tests.client.real_server import ENVIRONMENT
from tests.waiting import until
from unseen.errors import InvalidConfiguration, WrongKey
from unseen_client.keys import keyring_secret
from unseen_client.keys.keystore import CollectionKey, KeyStore
from unseen_client.keys.vault import Vault

BUS, KEYRING = "dbus-daemon", "gnome-keyring-daemon"
pytestmark = pytest.mark.skipif(not all(map(shutil.which, (BUS, KEYRING))), reason="no gnome-keyring: make system")
UID = bytes(range(16))
KEY = CollectionKey(UID, "photos", bytes(range(32)), True, UID, owner_key=bytes(range(32, 64)))
LOGIN = b"the password of the account"


class Desktop:
    """A message bus and a keyring on it, of an account whose home is a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "XDG_RUNTIME_DIR": str(folder)}
        command = [BUS, "--session", "--nofork", "--print-address"]
        self._bus = subprocess.Popen(
            command, env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        assert self._bus.stdout is not None
        self.address = self._bus.stdout.readline().strip()
        self.environment["DBUS_SESSION_BUS_ADDRESS"] = self.address
        # A copy: Debian gives the program a capability that containers do not let any program have.
        self._program = shutil.copy(str(shutil.which(KEYRING)), folder)
        self._keyring: subprocess.Popen[bytes] | None = None

    def log_in(self) -> None:
        """Start the keyring anew, as a login does, and have it opened by the account's password."""
        self.log_out()
        self._start("--unlock", given=LOGIN)

    def come_back_locked(self) -> None:
        """Start it anew without the password, as a login by key does."""
        self.log_out()
        self._start(given=b"")

    def _start(self, *options: str, given: bytes) -> None:
        command = [self._program, "--foreground", "--components=secrets", *options]
        quiet = subprocess.DEVNULL
        self._keyring = subprocess.Popen(
            command, env=self.environment, stdin=subprocess.PIPE, stdout=quiet, stderr=quiet
        )
        assert self._keyring.stdin is not None
        self._keyring.stdin.write(given)
        self._keyring.stdin.close()
        with closing(dbus_init()) as connection:
            until("a keyring is on the bus", lambda: self._keyring_ended() or _has_owner(connection))
        assert not self._keyring_ended()

    def _keyring_ended(self) -> bool:
        return self._keyring is None or self._keyring.poll() is not None

    def log_out(self) -> None:
        if self._keyring is not None:
            self._keyring.terminate()
            self._keyring.wait(timeout=60)
            self._keyring = None

    def shut_down(self) -> None:
        self.log_out()
        self._bus.terminate()
        self._bus.wait(timeout=60)
        assert self._bus.stdout is not None
        self._bus.stdout.close()


def _has_owner(connection: DBusConnection) -> bool:
    """Whether a keyring is on the bus; asking it for anything would have the bus start one."""
    reply = connection.send_and_get_reply(message_bus.NameHasOwner("org.freedesktop.secrets"))
    return bool(reply.body[0])


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desktop]:
    running = Desktop(tmp_path_factory.mktemp("account"))
    yield running
    running.shut_down()


@pytest.fixture
def desktop(account: Desktop, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desktop]:
    monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", account.address)
    account.log_in()
    keyring.set_keyring(SecretService.Keyring())
    yield account
    keyring.set_keyring(fail.Keyring())


@pytest.fixture
def kept(desktop: Desktop, home: Path) -> Path:
    """A device's home whose keys lie under the keyring."""
    Vault(home).protect_with_keyring()
    KeyStore(home).put(KEY)
    return home


def held() -> set[bytes]:
    """What the keyring holds for Unseen."""
    with closing(dbus_init()) as connection:
        items = get_default_collection(connection).search_items({"service": keyring_secret.SERVICE})
        return {item.get_secret() for item in items}


def test_another_process_opens_the_keys_after_the_next_login_and_asks_for_nothing(kept: Path, desktop: Desktop) -> None:
    assert b"record_key" not in (kept / "keys" / f"{UID.hex()}.json").read_bytes()
    desktop.log_in()
    command = [sys.executable, "-c", "from unseen_client.cli import main; main()", "keys", "list"]
    environment = ENVIRONMENT | desktop.environment | {"UNSEEN_HOME": str(kept)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert f"key {KEY.key_id}" in done.stdout
    assert "under: keyring" in done.stdout


@pytest.mark.filterwarnings("ignore:Exception ignored in. <socket:pytest.PytestUnraisableExceptionWarning")
def test_a_locked_keyring_opens_nothing_and_once_unlocked_all_is_there(kept: Path, desktop: Desktop) -> None:
    desktop.come_back_locked()
    with pytest.raises(WrongKey, match="unlock it, then try again"):
        KeyStore(kept).all()
    with pytest.raises(InvalidConfiguration, match="did not keep the secret"):
        Vault(kept.with_name("another")).protect_with_keyring()
    assert not kept.with_name("another").exists()
    gc.collect()  # `keyring` leaves its connection to a locked one for this to close, with a warning
    desktop.log_in()
    assert KeyStore(kept).all() == [KEY]


def test_a_session_whose_bus_is_gone_is_an_error_and_not_a_crash(kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", f"unix:path={kept}/gone")
    with pytest.raises(WrongKey, match="did not answer"):
        KeyStore(kept).all()


def test_one_secret_is_held_for_a_device_and_none_once_a_passphrase_takes_its_place(
    kept: Path, desktop: Desktop
) -> None:
    before = held()
    Vault(kept).protect_with_keyring()
    (fresh,), (gone,) = held() - before, before - held()
    on_disk = b"".join(path.read_bytes() for path in desktop.folder.rglob("*.keyring"))
    assert on_disk
    assert fresh not in on_disk
    Vault(kept).protect_with_passphrase("long enough words", cost=1 << 10)
    assert held() == before - {gone}
    assert KeyStore(kept, Vault(kept, "long enough words")).all() == [KEY]
