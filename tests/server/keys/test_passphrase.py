"""A master key under a passphrase: from a descriptor, a variable or the terminal, never too short, never shown."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from unseen.errors import InvalidConfiguration, SealBroken, WrongKey
from unseen_server.config import from_arguments
from unseen_server.keys.passphrase import SHORTEST, VARIABLE, passphrase_from
from unseen_server.keys.passphrase_file import open_sealed_master_key, seal, unseal
from unseen_server.storage import open_store

KEY, SALT, PASSPHRASE = bytes(range(32)), bytes(range(16)), "correct horse battery staple"
CHEAP = 2
"""scrypt's cost where it does not matter."""


def ask(_: bool) -> str:
    return PASSPHRASE


def test_key_is_made_once_with_mode_0600_and_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "key"
    key = open_sealed_master_key(path, True, ask)
    assert len(key) == 32
    assert path.stat().st_mode & 0o777 == 0o600
    assert key not in path.read_bytes()
    assert base64.b64encode(key) not in path.read_bytes()
    assert open_sealed_master_key(path, False, ask) == key
    with pytest.raises(WrongKey, match="passphrase does not open"):
        open_sealed_master_key(path, False, lambda _: "another passphrase")


def test_key_of_data_that_exists_is_never_made_anew(tmp_path: Path) -> None:
    with pytest.raises(InvalidConfiguration, match="no master key"):
        open_sealed_master_key(tmp_path / "key", False, ask)
    assert list(tmp_path.iterdir()) == []


def test_file_costs_a_guess_128_mib(tmp_path: Path) -> None:
    open_sealed_master_key(tmp_path / "key", True, ask)
    scrypt = json.loads((tmp_path / "key").read_bytes())["scrypt"]
    assert 128 * scrypt["n"] * scrypt["r"] == 128 << 20


def test_sealed_key_opens_with_plain_scrypt_and_nothing_of_ours() -> None:
    """The plain twin: OpenSSL's scrypt through hashlib, and the wrapping as docs/formats.md describes it."""
    from unseen.envelope import context, unwrap_key

    fields = json.loads(seal(KEY, PASSPHRASE, SALT, 1 << 10))
    stretched = hashlib.scrypt(PASSPHRASE.encode(), salt=SALT, n=1 << 10, r=8, p=1, dklen=32)
    place = context("master key file", "unseen-sealed-master-key-1")
    assert unwrap_key(stretched, base64.b64decode(fields["wrapped"]), place) == KEY


@pytest.mark.parametrize("mode", [0o640, 0o604])
def test_file_that_others_can_open_is_refused(tmp_path: Path, mode: int) -> None:
    open_sealed_master_key(tmp_path / "key", True, ask)
    (tmp_path / "key").chmod(mode)
    with pytest.raises(InvalidConfiguration, match="chmod 600"):
        open_sealed_master_key(tmp_path / "key", False, ask)


def altered(**changes: Any) -> bytes:
    fields = json.loads(seal(KEY, PASSPHRASE, SALT, CHEAP))
    for name, value in changes.items():
        part = fields["scrypt"] if name in fields["scrypt"] else fields
        part[name] = value
    return json.dumps(fields).encode()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{}",
        b"null",
        b"[" * 2000,
        b"unseen-master-key-1 " + b"00" * 32,
        altered(format="unseen-sealed-master-key-2"),
        altered(n=1 << 40),
        altered(n=3),
        altered(n=-2),
        altered(r=1 << 20),
        altered(p=99),
        altered(salt="not base64!"),
        altered(wrapped="not base64!"),
        altered(wrapped=7),
    ],
)
def test_file_that_is_no_sealed_master_key_is_refused_at_once(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(InvalidConfiguration, match="not a master key under a passphrase"):
        unseal(content, tmp_path / "key", PASSPHRASE)


def test_every_altered_byte_of_the_wrapped_key_is_noticed(tmp_path: Path) -> None:
    wrapped = base64.b64decode(json.loads(seal(KEY, PASSPHRASE, SALT, CHEAP))["wrapped"])
    for position in range(len(wrapped)):
        changed = bytearray(wrapped)
        changed[position] ^= 1
        with pytest.raises((WrongKey, SealBroken)):
            unseal(altered(wrapped=base64.b64encode(changed).decode()), tmp_path / "key", PASSPHRASE)


def test_format_has_not_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("unseen.envelope.random_bytes", lambda count: bytes(count))
    assert hashlib.sha256(seal(KEY, PASSPHRASE, SALT, CHEAP)).hexdigest() == TRIPWIRE


# Where it comes from


def test_descriptor_comes_before_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_VARIABLE", "from the variable")
    reading, writing = os.pipe()
    os.write(writing, "aus dem Rohr, mit Ü\n".encode())
    os.close(writing)
    assert passphrase_from(reading, "A_VARIABLE", "passphrase")(True) == "aus dem Rohr, mit Ü"
    assert passphrase_from(None, "A_VARIABLE", "passphrase")(True) == "from the variable"


def test_nobody_at_the_terminal_is_told_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("A_VARIABLE", raising=False)
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    with pytest.raises(InvalidConfiguration, match="set A_VARIABLE"):
        passphrase_from(None, "A_VARIABLE", "passphrase")(False)


def test_short_passphrase_is_refused_for_a_new_key_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_VARIABLE", "x" * (SHORTEST - 1))
    with pytest.raises(InvalidConfiguration, match=f"at least {SHORTEST}") as refused:
        passphrase_from(None, "A_VARIABLE", "passphrase")(True)
    assert "xxx" not in str(refused.value)
    assert passphrase_from(None, "A_VARIABLE", "passphrase")(False)


@pytest.mark.parametrize("descriptor", [-1, 987])
def test_descriptor_that_is_not_open_is_refused(descriptor: int) -> None:
    with pytest.raises(InvalidConfiguration, match=f"file descriptor {descriptor}"):
        passphrase_from(descriptor, "A_VARIABLE", "passphrase")(False)


def test_descriptor_that_gives_no_text_is_refused() -> None:
    reading, writing = os.pipe()
    os.write(writing, b"\xff\xfe\x00")
    os.close(writing)
    with pytest.raises(InvalidConfiguration, match="no UTF-8"):
        passphrase_from(reading, "A_VARIABLE", "passphrase")(False)


def test_terminal_is_asked_twice_for_a_new_one_and_shows_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("A_VARIABLE", raising=False)

    class Terminal:
        def isatty(self) -> bool:
            return True

    entries = iter([PASSPHRASE, PASSPHRASE, PASSPHRASE, "something else"])
    monkeypatch.setattr(sys, "stdin", Terminal())
    monkeypatch.setattr("getpass.getpass", lambda _: next(entries))
    asking = passphrase_from(None, "A_VARIABLE", "passphrase of the master key")
    assert asking(True) == PASSPHRASE
    with pytest.raises(InvalidConfiguration, match="differ"):
        asking(True)


def test_command_takes_the_passphrase_from_a_descriptor_that_it_inherits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = ["--data", str(tmp_path / "data"), "--master-key", f"passphrase:{tmp_path / 'sealed.key'}"]
    with monkeypatch.context() as patch:
        patch.setenv(VARIABLE, PASSPHRASE)
        open_store(from_arguments(options)).close()
    command = [sys.executable, "-m", "unseen_server.keys", "status", *options]
    reading, writing = os.pipe()
    os.write(writing, PASSPHRASE.encode())
    os.close(writing)
    told = subprocess.run(
        [*command, "--passphrase-fd", str(reading)], capture_output=True, text=True, check=False, pass_fds=(reading,)
    )
    os.close(reading)
    assert told.returncode == 0, told.stderr
    assert "master key of kind passphrase" in told.stdout
    nobody = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    assert nobody.returncode == 2
    assert "nobody is there to ask" in nobody.stderr
    assert PASSPHRASE not in told.stdout + told.stderr + nobody.stderr


TRIPWIRE = "5532e1ab7fdf6c986afab845416a46324121f62e390d6c8640c7e3f2f916f2c1"
