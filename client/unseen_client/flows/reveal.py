"""The way back: from a row to the real object of this site. Everything stays on this device.

The server learns that this device synchronised a collection, as before every look at a row.
"""

from __future__ import annotations

from functools import partial

from unseen.errors import InvalidInput, NotPermitted, RowNotFound, UnseenError
from unseen_client.dicom import reveals
from unseen_client.dicom.crosswalk import Crosswalk, WayBack
from unseen_client.flows import collections
from unseen_client.flows.sync import Place, open_current
from unseen_client.records import row_id
from unseen_client.session import Session
from unseen_client.steps import Flow, local

LONGEST_GRANT_DAYS = 366
DAY_S = 86_400


def reveal(session: Session, name: str, row: str, reason: str) -> Flow[WayBack]:
    """The object that a row was made of.

    Checked are: that the server lets this client synchronise the collection, that this device holds its record key and
    the site key, that this machine's account has a grant, and that a reason is given. Every try with these keys is
    logged, and the line is on disk before anything is shown.
    Raises NotPermitted, RowNotFound, KeyMissing, InvalidInput, StoreFailed, IntegrityError.
    """
    told = reveals.require_reason(reason)
    place = yield from open_current(session, name)
    crosswalk = yield from _crosswalk(session, place)
    return (yield from local(partial(_shown, session, place, crosswalk, row, told)))


def grant(session: Session, name: str, account: str | None, days: int) -> Flow[str]:
    """Let an account of this machine, this one unless named, be shown real objects for so many days; 0 ends it."""
    if not 0 <= days <= LONGEST_GRANT_DAYS:
        raise InvalidInput(f"got {days} days, expected 0 (no longer) to {LONGEST_GRANT_DAYS}")
    place = yield from open_current(session, name)
    crosswalk = yield from _crosswalk(session, place)
    who = account or reveals.account()
    until_s = int(session.wall_clock_s()) + days * DAY_S if days else 0

    def keep() -> None:
        outcome = f"granted for {days} days" if days else "grant ended"
        reveals.write_line(
            session.home, session.wall_clock_s(), reveals.account(), place.collection.uid, "", f"for {who}", outcome
        )
        crosswalk.grant(who, until_s)

    yield from local(keep)
    return who


def _crosswalk(session: Session, place: Place) -> Flow[Crosswalk]:
    server = yield from collections.server_info(session)
    return (yield from local(lambda: session.crosswalk(server.store_uid, place.key)))


def _shown(session: Session, place: Place, crosswalk: Crosswalk, row: str, reason: str) -> WayBack:
    who, now_s = reveals.account(), session.wall_clock_s()
    known = row_id(place.key.record_key, row)
    log = partial(reveals.write_line, session.home, now_s, who, place.collection.uid, row, reason)
    try:
        is_granted = crosswalk.granted_until_s(who) > now_s
        way = crosswalk.get(known) if is_granted and place.mirror.has([known]) else None
    except UnseenError:  # such as a grant or an entry that somebody put there without the keys
        log("refused")
        raise
    log("shown" if way else "refused")
    if not is_granted:
        raise NotPermitted(
            f"account {who!r} has no grant to see real studies of collection {place.collection.name!r} on this device; "
            f"whoever answers for it runs `unseen reveal-grant {place.collection.name} --account {who}`"
        )
    if way is None:
        raise RowNotFound(
            f"this device knows no way back from row {row!r} of {place.collection.name!r}: there is no such row, it "
            "was enrolled at another site, or the crosswalk was lost; enrolling its objects here again writes it anew"
        )
    return way
