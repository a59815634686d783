"""A master key that never leaves AWS KMS: the root key goes there to be wrapped and unwrapped. ``unseen[kms]``.

The server holds the right to use the key, not the key. KMS sees the 32-byte root key in passing, and what it is bound
to (the encryption context, which CloudTrail shows: a fixed word and the store's uid). Credentials, region and endpoint
are found as boto3 finds them: environment, profile, instance role.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from unseen.errors import InvalidConfiguration, KeyServiceFailed, WrongKey
from unseen.keys.provider import KeyProvider

CONNECT_TIMEOUT_S, READ_TIMEOUT_S, ATTEMPTS = 5, 10, 3
"""A start waits at most three times fifteen seconds for a service that does not answer."""
CONTEXT_NAME = "unseen-context"

_ANOTHER_KEY = {"InvalidCiphertextException", "IncorrectKeyException"}


class AwsKms(KeyProvider):
    """One key of KMS, by ARN, id or alias."""

    def __init__(self, key: str) -> None:
        try:
            import boto3
            from botocore.config import Config
            from botocore.exceptions import BotoCoreError, ClientError
        except ImportError:
            raise InvalidConfiguration("--master-key aws-kms needs boto3; pip install 'unseen[kms]'") from None
        for chatty in ("boto3", "botocore", "urllib3"):
            logging.getLogger(chatty).setLevel(logging.WARNING)
        self._key = key
        self._refusal: Any = ClientError
        self._failure: Any = BotoCoreError
        config = Config(
            connect_timeout=CONNECT_TIMEOUT_S,
            read_timeout=READ_TIMEOUT_S,
            retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
        )
        try:
            self._client: Any = boto3.client("kms", region_name=_region_of(key), config=config)
        except (BotoCoreError, ValueError) as error:
            raise InvalidConfiguration(
                f"AWS KMS cannot be used as it is set up here ({type(error).__name__}); set a region and credentials"
            ) from None

    @property
    def kind(self) -> str:
        return "aws-kms"

    def wrap(self, key: bytes, context: bytes) -> bytes:
        answer = self._ask(
            lambda: self._client.encrypt(KeyId=self._key, Plaintext=key, EncryptionContext=_context(context))
        )
        return bytes(answer["CiphertextBlob"])

    def unwrap(self, wrapped: bytes, context: bytes) -> bytes:
        answer = self._ask(
            lambda: self._client.decrypt(KeyId=self._key, CiphertextBlob=wrapped, EncryptionContext=_context(context))
        )
        return bytes(answer["Plaintext"])

    def _ask(self, request: Callable[[], Any]) -> Any:
        try:
            return request()
        except self._refusal as error:
            code = str(error.response.get("Error", {}).get("Code", "no code"))
            if code in _ANOTHER_KEY:
                raise WrongKey(
                    "AWS KMS does not unwrap the key ring with this key; give the key it was made or last rotated with"
                ) from None
            raise KeyServiceFailed(
                f"AWS KMS refused ({code}); look at the key's name, its state and what this server's role may do"
            ) from None
        except self._failure as error:
            raise KeyServiceFailed(
                f"AWS KMS did not answer ({type(error).__name__}); look at network, region and credentials"
            ) from None


def _context(context: bytes) -> dict[str, str]:
    return {CONTEXT_NAME: context.hex()}


def _region_of(key: str) -> str | None:
    """The region that an ARN names; else boto3's own choice."""
    parts = key.split(":")
    return parts[3] if len(parts) >= 6 and parts[0] == "arn" and parts[3] else None
