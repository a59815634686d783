"""Grants outlive a restart, end when they should, and leave nothing on disk that would let somebody in."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.key_rings import rings_beside
from unseen.bearer import BearerToken, draw_secret
from unseen.entropy import random_uid
from unseen.errors import IntegrityError, LimitExceeded, NotAuthenticated, NotFound, RequestReplayed
from unseen.store.sqlite import SqliteStore
from unseen_server import limits
from unseen_server.access.grants import GRANT, Grants
from unseen_server.call import Allowance, Caller, Role

Make = Callable[..., Any]
NOW = 1_800_000_000
DAY_S = 86400
ALICE = Caller(
    "ward", "alice", frozenset({Role.READER, Role.ADMIN}), frozenset({"scans"}), Allowance(searches_per_minute=7)
)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    store = SqliteStore(tmp_path, rings_beside(tmp_path))
    yield store
    store.close()


def test_grant_reads_back_after_a_restart_with_all_that_it_says(store: SqliteStore, new_grant: Make) -> None:
    grant, text = new_grant(ALICE, made_at=NOW, made_by="head")
    Grants(store).add(grant)
    again = Grants(store)
    assert again.all() == (grant,)
    assert again.by_token(text, NOW) == ALICE


def test_token_ends_when_it_says_and_not_before(store: SqliteStore, new_grant: Make) -> None:
    grants = Grants(store)
    grant, text = new_grant(ALICE, made_at=NOW, life_s=DAY_S)
    grants.add(grant)
    assert grants.by_token(text, NOW + DAY_S - 1) == ALICE
    with pytest.raises(NotAuthenticated, match="expired"):
        grants.by_token(text, NOW + DAY_S)


def test_clock_that_went_back_lets_nobody_in_early(store: SqliteStore, new_grant: Make) -> None:
    """Ten years back an expired token would be young again; it is refused, because it would not be made yet."""
    grants = Grants(store)
    grant, text = new_grant(ALICE, made_at=NOW)
    grants.add(grant)
    assert grants.by_token(text, NOW - limits.CLOCK_LEEWAY_S) == ALICE
    for ago_s in (limits.CLOCK_LEEWAY_S + 1, 10 * 366 * DAY_S):
        with pytest.raises(NotAuthenticated, match="clock"):
            grants.by_token(text, NOW - ago_s)
    with pytest.raises(NotAuthenticated, match="expired"):
        grants.by_token(text, NOW + 10 * 366 * DAY_S)


def test_revocation_is_for_good_and_may_be_repeated(store: SqliteStore, new_grant: Make) -> None:
    grants = Grants(store)
    grant, text = new_grant(ALICE, made_at=NOW)
    grants.add(grant)
    for at in (NOW + 1, NOW + 2):
        assert grants.revoke(grant.uid, at).revoked_at == NOW + 1
    for opened in (grants, Grants(store)):
        with pytest.raises(NotAuthenticated, match="revoked"):
            opened.by_token(text, NOW + 1)
        assert opened.were_ever_given
        assert not opened.stand(NOW + 1)
    grants.add(grant)  # the same request again: it does not rise from the dead
    with pytest.raises(NotAuthenticated, match="revoked"):
        grants.by_token(text, NOW + 1)
    with pytest.raises(NotFound):
        grants.revoke(random_uid(), NOW)


def test_same_grant_again_is_answered_again_and_another_of_its_uid_is_not(store: SqliteStore, new_grant: Make) -> None:
    grants = Grants(store)
    grant, _ = new_grant(ALICE, made_at=NOW)
    assert grants.add(grant) == grants.add(replace(grant, made_at=NOW + 5)) == grant
    with pytest.raises(RequestReplayed):
        grants.add(replace(grant, caller=replace(ALICE, roles=frozenset(Role))))
    assert len(grants.all()) == 1


def test_token_with_one_altered_bit_is_unknown(store: SqliteStore, new_grant: Make) -> None:
    grants = Grants(store)
    grant, text = new_grant(ALICE, made_at=NOW)
    grants.add(grant)
    token = BearerToken.parse(text)
    for bit in range(8 * 48):
        content = bytearray(token.uid + token.secret)
        content[bit // 8] ^= 1 << bit % 8
        with pytest.raises(NotAuthenticated, match="no such token"):
            grants.by_token(BearerToken(bytes(content[:16]), bytes(content[16:])).text(), NOW)


def test_unknown_uid_and_wrong_secret_are_refused_alike_by_one_comparison_each(
    store: SqliteStore, new_grant: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    grants = Grants(store)
    grant, _ = new_grant(ALICE, made_at=NOW)
    grants.add(grant)
    compared: list[bytes] = []
    matches = BearerToken.matches

    def counted(token: BearerToken, kept: bytes) -> bool:
        compared.append(kept)
        return matches(token, kept)

    monkeypatch.setattr(BearerToken, "matches", counted)
    told = []
    for uid in (grant.uid, random_uid()):
        with pytest.raises(NotAuthenticated) as refused:
            grants.by_token(BearerToken(uid, draw_secret()).text(), NOW)
        told.append(str(refused.value))
    assert told[0] == told[1]
    assert [len(kept) for kept in compared] == [32, 32]


def test_nothing_on_disk_lets_anybody_in(tmp_path: Path, new_grant: Make) -> None:
    """Neither the secret nor its hash, nor who has it: not as bytes, not as text."""
    store = SqliteStore(tmp_path, rings_beside(tmp_path))
    grant, text = new_grant(replace(ALICE, name="canary-of-a-name"), made_at=NOW)
    Grants(store).add(grant)
    store.close()
    secret = BearerToken.parse(text).secret
    content = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert grant.uid in content, "it is there, under its uid"
    for canary in (secret, secret.hex().encode(), text.encode(), text[-40:].encode(), grant.secret_hash):
        assert canary not in content
    assert b"canary-of-a-name" not in content
    assert grant.secret_hash.hex().encode() not in content


def test_certificates_name_stands_for_the_newest_grant_that_was_not_revoked(
    store: SqliteStore, new_grant: Make
) -> None:
    grants = Grants(store)
    first, _ = new_grant(ALICE, made_at=NOW, secret_hash=b"", certificate="device-7")
    second, _ = new_grant(replace(ALICE, tenant="lab"), made_at=NOW, secret_hash=b"", certificate="device-7")
    assert grants.by_certificate("device-7", NOW) is None
    grants.add(first)
    assert grants.by_certificate("device-7", NOW) == first.caller
    grants.revoke(first.uid, NOW)
    grants.add(second)
    for opened in (grants, Grants(store)):
        assert opened.by_certificate("device-7", NOW) == second.caller
        assert opened.by_certificate("device-8", NOW) is None
        with pytest.raises(NotAuthenticated):
            opened.by_certificate("device-7", second.expires_at)


def test_binding_before_the_last_stands_again_when_the_last_is_revoked(store: SqliteStore, new_grant: Make) -> None:
    grants = Grants(store)
    first, second = (
        new_grant(replace(ALICE, tenant=tenant), made_at=NOW, secret_hash=b"", certificate="device-7")[0]
        for tenant in ("ward", "lab")
    )
    for grant, caller in ((first, first.caller), (second, second.caller)):
        grants.add(grant)
        assert grants.by_certificate("device-7", NOW) == caller
    grants.revoke(second.uid, NOW)
    for opened in (grants, Grants(store)):
        assert opened.by_certificate("device-7", NOW) == first.caller
    grants.revoke(first.uid, NOW)
    for opened in (grants, Grants(store)):
        with pytest.raises(NotAuthenticated, match="revoked"):
            opened.by_certificate("device-7", NOW)


@pytest.mark.parametrize("change", [{"format": 2}, {"roles": ["king"]}, {"allowance": {"cups_of_tea": 1}}])
def test_token_of_a_later_release_stops_the_start_instead_of_being_overlooked(
    store: SqliteStore, new_grant: Make, change: dict[str, Any]
) -> None:
    Grants(store).add(new_grant(ALICE, made_at=NOW)[0])
    content = json.loads(store.facts(GRANT)[0].body)
    store.append_fact(GRANT, random_uid(), json.dumps(content | change).encode())
    with pytest.raises(IntegrityError, match="release"):
        Grants(store)


def test_grant_for_a_certificate_is_no_token(store: SqliteStore, new_grant: Make) -> None:
    grants = Grants(store)
    grant, text = new_grant(ALICE, made_at=NOW, secret_hash=b"", certificate="device-7")
    grants.add(grant)
    for secret in (BearerToken.parse(text).secret, bytes(32)):
        with pytest.raises(NotAuthenticated, match="no such token"):
            grants.by_token(BearerToken(grant.uid, secret).text(), NOW)


def test_tokens_of_a_tenant_are_limited_and_others_do_not_notice(
    store: SqliteStore, new_grant: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "MAX_TOKENS_PER_TENANT", 1)
    grants, now = Grants(store), int(time.time())
    first, _ = new_grant(ALICE, made_at=now)
    grants.add(first)
    with pytest.raises(LimitExceeded):
        grants.add(new_grant(ALICE, made_at=now)[0])
    grants.add(new_grant(replace(ALICE, tenant="lab"), made_at=now)[0])
    grants.revoke(first.uid, now)
    grants.add(new_grant(ALICE, made_at=now)[0])
