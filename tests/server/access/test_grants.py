"""Grants outlive a restart, end when they should, and leave nothing on disk that would let somebody in."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.key_rings import rings_beside
from unseen.bearer import BearerToken, draw_secret
from unseen.entropy import random_uid
from unseen.errors import IntegrityError, LimitExceeded, NotAuthenticated, NotFound, RequestReplayed
from unseen.store.sqlite import SqliteStore
from unseen_server import limits
from unseen_server.access.grants import GRANT, REVOCATION, Grants
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
    Grants(store).add(grant, random_uid())
    again = Grants(store)
    assert again.all() == (grant,)
    assert again.by_token(text, NOW) == ALICE


def test_token_ends_when_it_says_and_not_before(store: SqliteStore, new_grant: Make) -> None:
    grants = Grants(store)
    grant, text = new_grant(ALICE, made_at=NOW, life_s=DAY_S)
    grants.add(grant, random_uid())
    assert grants.by_token(text, NOW + DAY_S - 1) == ALICE
    with pytest.raises(NotAuthenticated, match="expired"):
        grants.by_token(text, NOW + DAY_S)


def test_clock_that_went_back_lets_nobody_in_early(store: SqliteStore, new_grant: Make) -> None:
    """Ten years back an expired token would be young again; it is refused, because it would not be made yet."""
    grants = Grants(store)
    grant, text = new_grant(ALICE, made_at=NOW)
    grants.add(grant, random_uid())
    assert grants.by_token(text, NOW - limits.CLOCK_LEEWAY_S) == ALICE
    for ago_s in (limits.CLOCK_LEEWAY_S + 1, 10 * 366 * DAY_S):
        with pytest.raises(NotAuthenticated, match="clock"):
            grants.by_token(text, NOW - ago_s)
    with pytest.raises(NotAuthenticated, match="expired"):
        grants.by_token(text, NOW + 10 * 366 * DAY_S)


def test_revocation_is_for_good_and_may_be_repeated(store: SqliteStore, new_grant: Make) -> None:
    grants = Grants(store)
    grant, text = new_grant(ALICE, made_at=NOW)
    request_id = random_uid()
    grants.add(grant, request_id)
    for at in (NOW + 1, NOW + 2):
        assert grants.revoke(grant.uid, at, random_uid()).revoked_at == NOW + 1
    for opened in (grants, Grants(store)):
        with pytest.raises(NotAuthenticated, match="revoked"):
            opened.by_token(text, NOW + 1)
        assert opened.were_ever_given
        assert not opened.stand(NOW + 1)
    grants.add(grant, request_id)  # the same request again: it does not rise from the dead
    with pytest.raises(NotAuthenticated, match="revoked"):
        grants.by_token(text, NOW + 1)
    with pytest.raises(NotFound):
        grants.revoke(random_uid(), NOW, random_uid())


def test_same_grant_again_is_answered_again_and_another_of_its_uid_is_not(store: SqliteStore, new_grant: Make) -> None:
    grants = Grants(store)
    grant, _ = new_grant(ALICE, made_at=NOW)
    request_id = random_uid()
    assert grants.add(grant, request_id) == grants.add(replace(grant, made_at=NOW + 5), request_id) == grant
    with pytest.raises(RequestReplayed):
        grants.add(replace(grant, caller=replace(ALICE, roles=frozenset(Role))), request_id)
    assert len(grants.all()) == 1


@given(
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2), st.integers(0, 9), st.booleans()), min_size=1, max_size=12)
)
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_revocations_agree_with_a_plain_twin_whoever_asks_again_and_after_a_restart(
    store: SqliteStore, new_grant: Make, asked: list[tuple[int, int, int, bool]]
) -> None:
    """A few request ids and tokens, so that they meet; what was done is known, and changes nothing again."""
    grants = Grants(store)
    made = [grants.add(new_grant(ALICE, made_at=int(time.time()))[0], random_uid()) for _ in range(3)]
    request_ids = [random_uid() for _ in range(3)]
    revoked_at: dict[int, int] = {}
    done: dict[int, int] = {}
    for request, token, after_s, restarts in asked:
        uid, at = made[token].uid, NOW + after_s
        if done.setdefault(request, token) != token:
            with pytest.raises(RequestReplayed):
                grants.revoke(uid, at, request_ids[request])
        else:
            facts = len(store.facts(REVOCATION, uid))
            known = store.knows_request(request_ids[request])
            assert grants.revoke(uid, at, request_ids[request]).revoked_at == revoked_at.setdefault(token, at)
            assert len(store.facts(REVOCATION, uid)) == facts + (not known)
            assert store.knows_request(request_ids[request])
        grants = Grants(store) if restarts else grants
        assert [found and found.revoked_at for found in map(grants.find, [one.uid for one in made])] == [
            revoked_at.get(number) for number in range(3)
        ]


def test_request_id_of_another_change_makes_and_revokes_nothing(store: SqliteStore, new_grant: Make) -> None:
    grants, used = Grants(store), random_uid()
    grant, _ = new_grant(ALICE, made_at=NOW)
    grants.add(grant, used)
    with pytest.raises(RequestReplayed):
        grants.add(new_grant(ALICE, made_at=NOW)[0], used)
    with pytest.raises(RequestReplayed):
        grants.revoke(grant.uid, NOW, used)
    for opened in (grants, Grants(store)):
        assert opened.all() == (grant,)


def test_token_with_one_altered_bit_is_unknown(store: SqliteStore, new_grant: Make) -> None:
    grants = Grants(store)
    grant, text = new_grant(ALICE, made_at=NOW)
    grants.add(grant, random_uid())
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
    grants.add(grant, random_uid())
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
    Grants(store).add(grant, random_uid())
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
    grants.add(first, random_uid())
    assert grants.by_certificate("device-7", NOW) == first.caller
    grants.revoke(first.uid, NOW, random_uid())
    grants.add(second, random_uid())
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
        grants.add(grant, random_uid())
        assert grants.by_certificate("device-7", NOW) == caller
    grants.revoke(second.uid, NOW, random_uid())
    for opened in (grants, Grants(store)):
        assert opened.by_certificate("device-7", NOW) == first.caller
    grants.revoke(first.uid, NOW, random_uid())
    for opened in (grants, Grants(store)):
        with pytest.raises(NotAuthenticated, match="revoked"):
            opened.by_certificate("device-7", NOW)


@pytest.mark.parametrize("change", [{"format": 2}, {"roles": ["king"]}, {"allowance": {"cups_of_tea": 1}}])
def test_token_of_a_later_release_stops_the_start_instead_of_being_overlooked(
    store: SqliteStore, new_grant: Make, change: dict[str, Any]
) -> None:
    Grants(store).add(new_grant(ALICE, made_at=NOW)[0], random_uid())
    content = json.loads(store.facts(GRANT)[0].body)
    store.append_fact(GRANT, random_uid(), json.dumps(content | change).encode())
    with pytest.raises(IntegrityError, match="release"):
        Grants(store)


def test_grant_for_a_certificate_is_no_token(store: SqliteStore, new_grant: Make) -> None:
    grants = Grants(store)
    grant, text = new_grant(ALICE, made_at=NOW, secret_hash=b"", certificate="device-7")
    grants.add(grant, random_uid())
    for secret in (BearerToken.parse(text).secret, bytes(32)):
        with pytest.raises(NotAuthenticated, match="no such token"):
            grants.by_token(BearerToken(grant.uid, secret).text(), NOW)


def test_tokens_of_a_tenant_are_limited_and_others_do_not_notice(
    store: SqliteStore, new_grant: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "MAX_TOKENS_PER_TENANT", 1)
    grants, now = Grants(store), int(time.time())
    first, _ = new_grant(ALICE, made_at=now)
    grants.add(first, random_uid())
    with pytest.raises(LimitExceeded):
        grants.add(new_grant(ALICE, made_at=now)[0], random_uid())
    grants.add(new_grant(replace(ALICE, tenant="lab"), made_at=now)[0], random_uid())
    grants.revoke(first.uid, now, random_uid())
    grants.add(new_grant(ALICE, made_at=now)[0], random_uid())
