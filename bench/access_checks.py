"""Processor time of the checks that a call passes before anything is read: a token, a signed token, the quotas.

For ``bench.governed``: end to end these drown in the noise of a shared machine.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from unseen.bearer import BearerToken, draw_secret, secret_hash
from unseen.entropy import random_uid
from unseen.store.interface import Fact
from unseen_server.access.grants import Grant, Grants
from unseen_server.access.signed_tokens import JwtSettings, SignedTokens
from unseen_server.call import Allowance, Caller, Role
from unseen_server.quota import Quotas
from unseen_server.workers import Workers

TOKENS = 1000
"""That the server knows; looking one up takes as long among a million."""
REPEATS = 3000
PLENTY = Allowance(10**6, 10**15, 10**9, 10**9)


class NoStore:
    """Keeps facts nowhere: the disk is measured elsewhere."""

    def facts(self, kind: str, key: bytes | None = None, after: int = 0) -> tuple[Fact, ...]:
        return ()

    def append_fact(self, kind: str, key: bytes, body: bytes, request_id: bytes | None = None) -> Fact:
        return Fact(1, kind, key, body)


def check_us() -> dict[str, float]:
    """Microseconds of the processor for each check."""
    now = int(time.time())
    grants, text = _grants(now)
    signed, signed_text = _signed(now)
    return {
        "token": _each_us(lambda: grants.by_token(text, now)),
        "signed token, ES256": _each_us(lambda: signed.caller(signed_text, now)),
        "quotas of one search": asyncio.run(_quotas_us()),
    }


def _grants(now: int) -> tuple[Grants, str]:
    grants = Grants(NoStore())
    text = ""
    for number in range(TOKENS):
        token = BearerToken(random_uid(), draw_secret())
        caller = Caller("", f"caller {number}", frozenset({Role.READER}))
        grants.add(Grant(token.uid, caller, now, now + 60, secret_hash(token.secret)), random_uid())
        text = token.text()
    return grants, text


def _signed(now: int) -> tuple[SignedTokens, str]:
    key = ec.generate_private_key(ec.SECP256R1())
    with tempfile.NamedTemporaryFile() as file:
        file.write(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
        file.flush()
        signed = SignedTokens(JwtSettings("issuer", "unseen", Path(file.name)))
    claims = {"iss": "issuer", "aud": "unseen", "sub": "caller", "exp": now + 600}
    return signed, jwt.encode(claims | {"unseen_tenant": "", "unseen_roles": ["reader"]}, key, "ES256")


async def _quotas_us() -> float:
    workers = Workers(lambda: None)
    quotas, caller, collection = Quotas(workers, PLENTY), Caller("", "caller", frozenset({Role.READER})), random_uid()
    quotas.keep_in(NoStore())
    await quotas.release(caller, collection, 1.0)
    began = time.process_time()
    for _ in range(REPEATS):
        with quotas.under_way(caller):
            quotas.take_search(caller)
            quotas.take_bytes(caller, 1000)
            await quotas.require_bits(caller, collection, 8.8)
            await quotas.release(caller, collection, 8.8)
    spent = time.process_time() - began
    workers.close()
    return 1e6 * spent / REPEATS


def _each_us(work: Callable[[], object]) -> float:
    began = time.process_time()
    for _ in range(REPEATS):
        work()
    return 1e6 * (time.process_time() - began) / REPEATS
