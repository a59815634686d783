"""What is another tenant's costs the server the same steps as what is not there: nobody learns of it by a stop-watch.

Counted, not timed: which methods of the store are called, and how often, and what is waited for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from unseen.entropy import random_uid
from unseen.store.interface import Store
from unseen_server import app
from unseen_server.call import Caller, Role

Make = Callable[..., Any]
HERE = Caller("here", "alice", frozenset(Role))
THERE = Caller("there", "bob", frozenset(Role))


@pytest.fixture
def called(running: app.RunningServer, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The store's methods, in the order in which they are called; the audit log's own are its own matter."""
    names: list[str] = []

    def noting(name: str, method: Callable[..., Any]) -> Callable[..., Any]:
        def noted(*args: Any, **kwargs: Any) -> Any:
            names.append(name)
            return method(*args, **kwargs)

        return noted

    for name in Store.__abstractmethods__ - {"uid", "close", "size_bytes"}:
        monkeypatch.setattr(running.store, name, noting(name, getattr(running.store, name)))
    return names


METHODS: dict[str, Callable[[Any, Any, bytes], Any]] = {
    "GetCollection": lambda caller, info, _: caller.collection(info.name),
    "DeleteCollection": lambda caller, info, _: caller.delete(info.uid),
    "ReplaceCollection": lambda caller, info, _: caller.replace(info.uid),
    "EnrolRows": lambda caller, info, rows: caller.enrol(info.uid, rows),
    "EraseRows": lambda caller, info, _: caller.erase(info.uid, [random_uid()]),
    "SyncCatalogue": lambda caller, info, _: caller.sync(info.uid),
    "Search": lambda caller, info, _: caller.search(info, np.ones(16, np.float32)),
    "RevokeToken": lambda caller, info, _: caller.revoke(info.token),
}


class Named:
    """What a caller names: a collection and a token, there or not."""

    def __init__(self, collection: Any, uid: bytes, name: str, token: bytes) -> None:
        self._collection = collection
        self.uid, self.name, self.token = uid, name, token

    def __getattr__(self, field: str) -> Any:
        return getattr(self._collection, field)


@pytest.mark.parametrize("method", sorted(METHODS))
async def test_foreign_and_absent_take_the_same_steps(
    running: app.RunningServer, call: Make, new_grant: Make, make_rows: Make, called: list[str], method: str
) -> None:
    (here, here_text), (there, there_text) = new_grant(HERE), new_grant(THERE)
    running.grants.add(here, random_uid())
    running.grants.add(there, random_uid())
    asking, owner = call(running, token=here_text), call(running, token=there_text)
    _, rows = make_rows(2)

    def steps() -> list[list[str]]:
        theirs = owner.create("theirs")
        foreign = Named(theirs, theirs.uid, theirs.name, there.uid)
        absent = Named(theirs, random_uid(), "absent", random_uid())
        found = []
        for named in (foreign, absent, foreign, absent):
            called.clear()
            assert asking.refusal(METHODS[method], asking, named, rows).code in {"COLLECTION_NOT_FOUND", "NOT_FOUND"}
            found.append(list(called))
        return found

    first, *others = await asyncio.to_thread(steps)
    assert others == [first] * 3


async def test_deletion_of_anothers_collection_does_not_wait_for_its_owner(
    running: app.RunningServer, call: Make, new_grant: Make, make_rows: Make
) -> None:
    """The owner's enrolment holds the collection; who only guesses its uid is answered all the same."""
    (here, here_text), (there, there_text) = new_grant(HERE), new_grant(THERE)
    running.grants.add(here, random_uid())
    running.grants.add(there, random_uid())
    asking, owner = call(running, token=here_text), call(running, token=there_text)
    theirs = await asyncio.to_thread(owner.create, "theirs")
    with running.engine.by_uid(THERE, theirs.uid)._mutating:
        enrolling = asyncio.create_task(asyncio.to_thread(owner.enrol, theirs.uid, make_rows(2)[1]))
        while theirs.uid not in running.workers._turns:
            await asyncio.to_thread(owner.info)
        for uid in (theirs.uid, random_uid()):
            refusal = await asyncio.to_thread(asking.refusal, asking.delete, uid)
            assert refusal.code == "COLLECTION_NOT_FOUND"
    await enrolling
