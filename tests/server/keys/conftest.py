"""Real key services for tests: AWS KMS as moto answers for it, a token of SoftHSM, a double of Vault."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.server.keys.vault_double import VaultDouble

SOFTHSM_MODULE = "/usr/lib/softhsm/libsofthsm2.so"
"""Where Debian's package puts it: `make system` installs it."""
PIN = "1234-secret-pin"


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An AWS that moto keeps in this process: boto3 signs and sends as ever, and moto answers."""
    for name, value in {
        "AWS_ACCESS_KEY_ID": "AKIAEXAMPLE",
        "AWS_SECRET_ACCESS_KEY": "secret-canary-of-aws",
        "AWS_DEFAULT_REGION": "eu-central-1",
    }.items():
        monkeypatch.setenv(name, value)
    from moto import mock_aws  # a second of imports that a list of the tests does not need

    with mock_aws():
        yield


@pytest.fixture
def make_kms_key(aws: None) -> Callable[[], str]:
    """Makes keys; gives their ARNs."""
    import boto3

    def make() -> str:
        return str(boto3.client("kms").create_key()["KeyMetadata"]["Arn"])

    return make


@pytest.fixture(scope="session")
def softhsm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder of tokens, one in it, with two AES keys: "first" and "second"."""
    folder = tmp_path_factory.mktemp("softhsm")
    (folder / "tokens").mkdir()
    (folder / "conf").write_text(f"directories.tokendir = {folder / 'tokens'}\nlog.level = ERROR\n")
    (folder / "pin").touch(0o600)
    (folder / "pin").write_text(f"{PIN}\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOFTHSM2_CONF", str(folder / "conf"))
        command = ["softhsm2-util", "--init-token", "--free", "--label", "unseen", "--pin", PIN, "--so-pin", "5678"]
        subprocess.run(command, check=True, capture_output=True)
        import pkcs11

        token = pkcs11.lib(SOFTHSM_MODULE).get_token(token_label="unseen")
        with token.open(user_pin=PIN, rw=True) as session:
            for label in ("first", "second"):
                session.generate_key(pkcs11.KeyType.AES, 256, label=label, store=True)
        yield folder


@pytest.fixture
def pkcs11_uri(softhsm: Path) -> Callable[..., str]:
    """The URI of one of the keys, as --master-key takes it."""

    def uri(label: str = "first", pin: Path | None = softhsm / "pin", token: str = "unseen") -> str:
        source = f"&pin-source=file:{pin}" if pin else ""
        return f"pkcs11:token={token};object={label}?module-path={SOFTHSM_MODULE}{source}"

    return uri


@pytest.fixture
def vault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[VaultDouble]:
    """A double over TLS with a certificate that VAULT_CACERT names; keys "first" and "second"."""
    (tmp_path / "vault").mkdir()
    double = VaultDouble(tmp_path / "vault")
    monkeypatch.setenv("VAULT_TOKEN", double.token)
    monkeypatch.setenv("VAULT_CACERT", str(double.certificate))
    monkeypatch.delenv("VAULT_NAMESPACE", raising=False)
    yield double
    double.close()
