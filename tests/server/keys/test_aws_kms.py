"""AWS KMS: what it says becomes what an operator can act on, and what it is told is only what it needs."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from typing import Any

import pytest

from unseen.envelope import context
from unseen.errors import InvalidConfiguration, KeyServiceFailed, UnseenError, WrongKey
from unseen_server.keys.aws_kms import CONTEXT_NAME, AwsKms

KEY, PLACE = bytes(range(32)), context("root key", bytes(16))


@pytest.fixture
def provider(make_kms_key: Callable[[], str]) -> AwsKms:
    return AwsKms(make_kms_key())


def test_service_sees_the_key_and_what_it_is_bound_to_and_nothing_else(provider: AwsKms) -> None:
    from botocore.stub import Stubber

    with Stubber(provider._client) as service:
        expected = {"KeyId": provider._key, "Plaintext": KEY, "EncryptionContext": {CONTEXT_NAME: PLACE.hex()}}
        service.add_response("encrypt", {"CiphertextBlob": b"wrapped"}, expected)
        assert provider.wrap(KEY, PLACE) == b"wrapped"
        expected = {
            "KeyId": provider._key,
            "CiphertextBlob": b"wrapped",
            "EncryptionContext": {CONTEXT_NAME: PLACE.hex()},
        }
        service.add_response("decrypt", {"Plaintext": KEY}, expected)
        assert provider.unwrap(b"wrapped", PLACE) == KEY
        service.assert_no_pending_responses()


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("IncorrectKeyException", WrongKey),
        ("InvalidCiphertextException", WrongKey),
        ("AccessDeniedException", KeyServiceFailed),
        ("NotFoundException", KeyServiceFailed),
        ("DisabledException", KeyServiceFailed),
        ("KMSInternalException", KeyServiceFailed),
    ],
)
def test_refusal_of_the_service_is_told_by_its_code_only(provider: AwsKms, code: str, kind: type[UnseenError]) -> None:
    from botocore.stub import ANY, Stubber

    with Stubber(provider._client) as service:
        service.add_client_error(
            "decrypt", code, "canary-message", 400, expected_params=dict.fromkeys(_PARAMETERS, ANY)
        )
        with pytest.raises(kind) as refused:
            provider.unwrap(b"wrapped", PLACE)
    assert "canary-message" not in str(refused.value)
    assert provider._key not in str(refused.value)
    assert kind is WrongKey or code in str(refused.value)


_PARAMETERS = ("KeyId", "CiphertextBlob", "EncryptionContext")


@pytest.mark.usefixtures("aws")
def test_key_that_is_unknown_is_refused() -> None:
    with pytest.raises(KeyServiceFailed, match="NotFoundException"):
        AwsKms("alias/no-such-key").wrap(KEY, PLACE)


def test_alias_can_name_the_key(make_kms_key: Callable[[], str]) -> None:
    import boto3

    boto3.client("kms").create_alias(AliasName="alias/unseen-test", TargetKeyId=make_kms_key())
    provider = AwsKms("alias/unseen-test")
    assert provider.unwrap(provider.wrap(KEY, PLACE), PLACE) == KEY


@pytest.mark.usefixtures("aws")
def test_region_of_an_arn_comes_before_the_environment() -> None:
    assert AwsKms("arn:aws:kms:us-west-2:123456789012:key/1")._client.meta.region_name == "us-west-2"
    assert AwsKms("alias/k")._client.meta.region_name == "eu-central-1"


def test_missing_region_is_refused_in_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_DEFAULT_REGION", "AWS_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nowhere")
    with pytest.raises(InvalidConfiguration, match="set a region"):
        AwsKms("alias/k")


def test_service_that_does_not_answer_stops_the_start_with_2_and_nothing_is_written(
    make_server: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret-canary-of-aws")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    server = make_server("--master-key", "aws-kms:alias/canary-of-the-key")
    result = subprocess.run(
        server.command("--key-ring", str(server.folder / "ring")), capture_output=True, text=True, check=False
    )
    assert result.returncode == 2, result.stderr
    assert "unseen server: AWS KMS did not answer (EndpointConnectionError)" in result.stderr
    assert "canary" not in result.stderr
    assert "Traceback" not in result.stderr
    assert list(server.folder.iterdir()) == []
