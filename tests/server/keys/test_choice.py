"""--master-key: what it may name, and what is refused in a sentence without repeating it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from unseen.errors import InvalidConfiguration
from unseen_server.config import Config, from_arguments
from unseen_server.keys.choice import RING_FOLDER, MasterKeyChoice

ROOT = Path(__file__).resolve().parents[3]


def parse(tmp_path: Path, master_key: str, *options: str) -> Config:
    return from_arguments(["--data", str(tmp_path / "data"), "--master-key", master_key, *options])


@pytest.mark.parametrize(
    ("text", "kind", "place"),
    [
        ("./master.key", "file", "master.key"),
        ("/etc/unseen/key", "file", "/etc/unseen/key"),
        ("file:/etc/unseen/key", "file", "/etc/unseen/key"),
        ("file:odd:name", "file", "odd:name"),
        ("./odd:name", "file", "odd:name"),
        ("c:/keys/key", "file", "c:/keys/key"),
        ("passphrase:key", "passphrase", "key"),
        ("aws-kms:arn:aws:kms:eu-central-1:1:key/2", "aws-kms", "arn:aws:kms:eu-central-1:1:key/2"),
        ("pkcs11:token=a;object=b", "pkcs11", "token=a;object=b"),
        ("vault:https://h:8200/transit/k", "vault", "https://h:8200/transit/k"),
    ],
)
def test_kinds_are_told_by_their_first_word(text: str, kind: str, place: str) -> None:
    choice = MasterKeyChoice.parse(text)
    assert (choice.kind, choice.place) == (kind, place)


def test_kind_without_a_place_is_refused() -> None:
    for kind in ("file", "passphrase", "aws-kms", "pkcs11", "vault"):
        with pytest.raises(InvalidConfiguration, match="names no place"):
            MasterKeyChoice.parse(f"{kind}:")


@pytest.mark.parametrize("text", ["passphase:secret", "ftp:secret", "AWS-KMS:secret", "awskms:secret", "odd:secret"])
def test_kind_that_is_none_is_refused_and_makes_no_plain_key(text: str) -> None:
    with pytest.raises(InvalidConfiguration, match="is one of file, passphrase, aws-kms, pkcs11, vault") as refused:
        MasterKeyChoice.parse(text)
    assert "secret" not in str(refused.value)


def test_choice_does_not_print_its_place() -> None:
    assert "canary" not in repr(MasterKeyChoice.parse("vault:https://canary/transit/k"))


def test_key_ring_lies_beside_the_file_or_where_it_is_told_to(tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    assert parse(tmp_path, str(keys / "a.key")).ring_folder == keys / RING_FOLDER
    assert parse(tmp_path, f"passphrase:{keys}/a.key").ring_folder == keys / RING_FOLDER
    named = tmp_path / "elsewhere"
    assert parse(tmp_path, f"passphrase:{keys}/a.key", "--key-ring", str(named)).ring_folder == named
    assert parse(tmp_path, "aws-kms:alias/unseen", "--key-ring", str(named)).ring_folder == named


def test_key_service_without_a_place_for_the_ring_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidConfiguration, match="give --key-ring a folder"):
        parse(tmp_path, "aws-kms:alias/unseen")


def test_key_ring_in_the_data_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "data")
    for place in (tmp_path / "data", tmp_path / "data/ring", tmp_path / "link/ring"):
        with pytest.raises(InvalidConfiguration, match=r"key ring .* lies in the data directory"):
            parse(tmp_path, str(tmp_path / "key"), "--key-ring", str(place))


def test_base_server_loads_no_package_of_a_key_service() -> None:
    program = (
        "import sys, pkgutil, importlib, unseen_server.keys as keys\n"
        "[importlib.import_module(f'unseen_server.keys.{m.name}') for m in pkgutil.iter_modules(keys.__path__)]\n"
        "print({'boto3', 'botocore', 'pkcs11', 'hvac', 'requests'} & set(sys.modules))"
    )
    roots = ":".join(str(ROOT / folder) for folder in ("core", "client", "server"))
    done = subprocess.run(
        [sys.executable, "-c", program], env={"PYTHONPATH": roots}, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "set()"


@pytest.mark.parametrize(
    ("module", "key", "extra"), [("boto3", "aws-kms:alias/k", "kms"), ("pkcs11", "pkcs11:token=a", "pkcs11")]
)
def test_missing_package_is_named_with_the_extra_that_brings_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: str, key: str, extra: str
) -> None:
    from unseen_server.keys.choice import open_provider

    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(InvalidConfiguration, match=rf"pip install 'unseen\[{extra}\]'"):
        open_provider(MasterKeyChoice.parse(key), True, lambda _: "")
