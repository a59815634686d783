"""Tokens of every kind for real servers."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from unseen.bearer import BearerToken, draw_secret, secret_hash
from unseen.entropy import random_uid
from unseen_server.access.grants import Grant, Grants
from unseen_server.call import Caller
from unseen_server.config import Config
from unseen_server.keys.choice import MasterKeyChoice
from unseen_server.storage import open_store

Wanted = Caller | tuple[Caller, str | int]
DAY_S = 86400


def make_grant(caller: Caller, life_s: int = DAY_S, made_at: int | None = None, **fields: Any) -> tuple[Grant, str]:
    """A grant and the text of its token."""
    token, now = BearerToken(random_uid(), draw_secret()), int(time.time()) if made_at is None else made_at
    fields = {"secret_hash": secret_hash(token.secret)} | fields
    return Grant(token.uid, caller, now, now + life_s, **fields), token.text()


def _granted(wanted: Wanted) -> tuple[Grant, str]:
    match wanted:
        case (caller, str() as certificate):
            return make_grant(caller, secret_hash=b"", certificate=certificate)
        case (caller, int() as life_s):
            return make_grant(caller, life_s)
        case caller:
            return make_grant(caller)


def write_grants(folder: Path, callers: dict[Any, Wanted]) -> dict[Any, str]:
    """Write grants into a data directory whose server does not run yet; the tokens' texts by the same names.

    Beside a caller there may stand the name of a certificate, or how many seconds the token lives.
    """
    store = open_store(Config(folder / "data", "127.0.0.1", 0, MasterKeyChoice.of_file(folder / "master.key"), None, 1))
    grants, texts = Grants(store), {}
    for name, wanted in callers.items():
        grant, texts[name] = _granted(wanted)
        grants.add(grant, random_uid())
    store.close()
    return texts
