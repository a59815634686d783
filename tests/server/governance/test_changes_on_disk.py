"""Every act that a start looks for is missed when the store lost it, and not when it is there."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from tests.server.caller import Caller
from tests.server.governance.steward import OwnServer, Steward
from unseen.bearer import BearerToken, draw_secret, secret_hash
from unseen.entropy import random_uid
from unseen.params import OWNER_DEFAULT
from unseen.store.sqlite import FILE_NAME
from unseen_server.acts import ACTS, Kind
from unseen_server.audit import AUDIT_FOLDER, Audit
from unseen_server.config import from_arguments
from unseen_server.missing_changes import count_missing_changes
from unseen_server.signing import open_signing_key
from unseen_server.storage import open_store

DONE_AGAIN = {"EraseRows", "EraseSubject with rows"}
"""The key ring remembers an erasure: a start carries it out again, and nothing is missing."""


def copied(server: OwnServer, folder: Path) -> Path:
    """The server's files as they lie on the disk while it runs: the master key, the key ring, the data."""
    shutil.copytree(server.data.parent, folder, ignore=shutil.ignore_patterns("copies"))
    return folder


def missing(folder: Path) -> int:
    options = ["--data", folder / "data", "--listen", "127.0.0.1:0", "--master-key", folder / "master.key"]
    config = from_arguments([*map(str, options), "--threads", "1"])
    store = open_store(config)
    try:
        audit = Audit(folder / "data" / AUDIT_FOLDER, store, open_signing_key(store))
        try:
            return count_missing_changes(store, audit)
        finally:
            audit.close()
    finally:
        store.close()


def acts(steward: Steward, make_rows: Callable[..., Any]) -> Iterator[tuple[str, Callable[[], object]]]:
    """What to do, in an order in which each can be done."""
    batch = make_rows(2)[1]
    yield "CreateCollection", lambda: steward.caller.create("another")
    yield "SetPolicy", steward.set_policy
    yield "AcceptPolicy", steward.accept
    given = steward.consent()
    withdrawn = steward.consent()
    yield "RecordConsent", steward.consent
    yield "EnrolRows", lambda: steward.enrol(batch, given)
    yield "WithdrawConsent", lambda: steward.withdraw(withdrawn.record_id)
    yield "BreakGlass", lambda: steward.break_glass()
    yield "BreakGlass", lambda: steward.break_glass(end=True)
    yield "EraseRows", lambda: steward.caller.erase(steward.uid, [batch.row_ids[0]])
    yield "SetHold", lambda: steward.hold("CASE-1")
    yield "SetHold", lambda: steward.hold("CASE-1", lift=True)
    without_rows = steward.consent(pii_principal_id=random_uid())
    yield "EraseSubject", lambda: steward.erase_subject(without_rows.pii_principal_id)
    yield "EraseSubject with rows", lambda: steward.erase_subject(given.pii_principal_id)
    ours = [steward.caller.create(name, parameter_id=OWNER_DEFAULT.id).uid for name in ("secret", "secret.rotating")]
    yield "ReplaceCollection", lambda: steward.caller.replace(ours[1], ours[0], name="secret")
    yield "DeleteCollection", lambda: steward.caller.delete(steward.uid)
    secret, made = draw_secret(), list[bytes]()
    yield "CreateToken", lambda: made.append(steward.caller.create_token(secret_hash=secret_hash(secret)))
    with closing(Caller(steward.caller.port, token=BearerToken(made[0], secret).text())) as admin:
        revoked = admin.create_token()
        for _ in range(2):
            yield "RevokeToken", lambda: admin.revoke(revoked)


def test_each_change_is_missed_when_the_store_lost_it_and_only_then(
    own_server: OwnServer, governed: Callable[..., Steward], make_rows: Callable[..., Any], tmp_path: Path
) -> None:
    steward = governed()
    tried = set()
    for number, (act, do) in enumerate(acts(steward, make_rows)):
        tried.add(act.partition(" ")[0])
        before = copied(own_server, tmp_path / "copies" / f"{number}-before")
        do()
        after = copied(own_server, tmp_path / "copies" / f"{number}-after")
        lost = Path(shutil.copytree(after, tmp_path / "copies" / f"{number}-lost"))
        for name in (FILE_NAME, f"{FILE_NAME}-wal"):
            (lost / "data" / name).unlink(missing_ok=True)
            if (before / "data" / name).exists():
                shutil.copy(before / "data" / name, lost / "data" / name)
        assert (lost / "data" / AUDIT_FOLDER).exists()
        assert (act, missing(before), missing(after), missing(lost)) == (act, 0, 0, act not in DONE_AGAIN)
    assert tried == {act for act, kind in ACTS.items() if kind is Kind.CHANGE}
