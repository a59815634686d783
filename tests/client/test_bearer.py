"""A client's token: read anew for every call, sent whole, and never put into words."""

from __future__ import annotations

import logging
import traceback

import numpy as np
import pytest

from unseen.bearer import PREFIX
from unseen.errors import InvalidConfiguration, NotAuthenticated, NotPermitted, QuotaExceeded
from unseen_client import AsyncClient, Client, Quota
from unseen_client.bearer import MOST_CHARACTERS, TokenBearer


def shown(source):
    (entry,) = TokenBearer(source).metadata()
    return entry


def test_a_token_comes_from_itself_a_file_or_a_function(tmp_path):
    file = tmp_path / "token"
    file.write_text("from-a-file\n")
    expected = {"itself": "itself", file: "from-a-file", (lambda: "from-a-function"): "from-a-function"}
    for source, token in expected.items():
        assert shown(source) == ("authorization", f"Bearer {token}")
    assert TokenBearer(None).metadata() == ()


def test_a_file_and_a_function_are_asked_for_every_call(tmp_path):
    file, tokens = tmp_path / "token", iter(["first", "second"])
    for token, bearer in (("first", TokenBearer(file)), ("second", TokenBearer(file))):
        file.write_text(token)
        assert bearer.metadata()[0][1] == f"Bearer {token}"
    bearer = TokenBearer(lambda: next(tokens))
    assert [bearer.metadata()[0][1] for _ in range(2)] == ["Bearer first", "Bearer second"]


@pytest.mark.parametrize("token", ["", "two words", "caf\u00e9", "line\nbreak", "nul\0", "x" * (MOST_CHARACTERS + 1)])
def test_what_cannot_be_sent_is_refused_without_being_repeated(token):
    """gRPC would refuse some of these itself, and quote them."""
    with pytest.raises(InvalidConfiguration) as refused:
        TokenBearer(lambda: token).metadata()
    assert token == "" or token not in "".join(traceback.format_exception(refused.value))


def test_a_source_that_fails_is_named_and_its_token_is_not(tmp_path):
    def failing():
        raise KeyError("no-such-vault")

    for source, words in ((failing, "KeyError"), (lambda: 7, "int"), (tmp_path / "absent", "absent")):
        with pytest.raises(InvalidConfiguration, match=words):
            TokenBearer(source).metadata()
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    with pytest.raises(InvalidConfiguration, match="not text"):
        TokenBearer(tmp_path / "binary").metadata()


def test_a_token_stands_in_no_repr_no_log_and_no_traceback(own_server, home, caplog):
    caplog.set_level(logging.DEBUG)
    canary = PREFIX + "canary" * 10
    server = own_server()
    with Client(server.address, token=canary, home=home, timeout_s=30) as client:
        with pytest.raises(NotAuthenticated) as refused:
            client.list_collections()
        words = ["".join(traceback.format_exception(refused.value)), repr(client), repr(vars(client)), caplog.text]
        assert not any(canary in one for one in words)


async def test_both_clients_show_their_token_and_learn_who_they_are(own_server, home, tmp_path):
    server = own_server()
    with Client(server.address, home=home) as local:
        assert local.access().name == "local"
        head = local.create_token("head", ["admin", "reader", "contributor"], tenant="clinic")
        with pytest.raises(NotAuthenticated):
            local.list_collections()
    with Client(server.address, home=home, token=head) as client:
        own = client.access()
        assert (own.tenant, own.name, own.collections) == ("clinic", "head", None)
        client.create_collection("photos", dimension=16)
        reader = client.create_token(
            "ward 3", "reader", collections="photos", expires="12h", quota=Quota(searches_per_minute=2)
        )
        with pytest.raises(NotPermitted):
            client.create_token("ward 3", "steward")
    (tmp_path / "token").write_text(reader)
    async with AsyncClient(server.address, home=home, token=tmp_path / "token", timeout_s=15) as client:
        own = await client.access("photos")
        assert (own.roles, own.collections) == (("reader",), ("photos",))
        assert (own.quota.searches_per_minute, own.bits_per_row_left) == (2, own.quota.bits_per_row_per_day)
        vector = np.ones(16, np.float32)
        for _ in range(2):
            assert await client.search_vector("photos", vector) == []
        with pytest.raises(QuotaExceeded) as refused:
            await client.search_vector("photos", vector)
        assert 5 < refused.value.retry_after_s <= 30
    with Client(server.address, home=home, token=head) as client:
        tokens = client.list_tokens()
        assert [(one.name, one.made_by, one.revoked_at) for one in tokens] == [
            ("head", "local", None),
            ("ward 3", "head", None),
        ]
        client.revoke_token(tokens[1].uid)
        assert not client.list_tokens()[1].stands(tokens[1].made_at)
    with Client(server.address, home=home, token=reader) as client, pytest.raises(NotAuthenticated, match="revoked"):
        client.access()


def test_a_quota_that_fills_up_again_in_time_is_waited_for(own_server, home):
    """The server names the time, the client waits so long, and the caller notices nothing but the wait."""
    server = own_server("--searches-per-minute", "30")
    with Client(server.address, home=home) as local:
        token = local.create_token("head", ["reader", "contributor"])
    with Client(server.address, home=home, token=token) as client:
        client.create_collection("photos", dimension=16)
        for _ in range(31):
            client.search_vector("photos", np.ones(16, np.float32))
