"""The way back: from a row to the real object of this site. Everything stays on this device.

The server learns that this device synchronised a collection, as before every look at a row.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from unseen.errors import InvalidInput, NotPermitted, RowNotFound, UnseenError
from unseen_client.dicom import reveals
from unseen_client.dicom.crosswalk import Crosswalk, WayBack
from unseen_client.dicom.representative import spread
from unseen_client.flows import collections, similar
from unseen_client.flows.sync import Place, open_current
from unseen_client.flows.texts import KIND, TEXT
from unseen_client.records import row_id
from unseen_client.report import Hit
from unseen_client.retrieval.choice import choice
from unseen_client.retrieval.query import Query
from unseen_client.session import Session
from unseen_client.steps import Flow, local

LONGEST_GRANT_DAYS = 366
DAY_S = 86_400
ROWS_COMPARED = 8
"""Of the study that others are to be like: as many as stand for a volume."""


@dataclass(frozen=True)
class SimilarStudy:
    """A study like another one."""

    hit: Hit
    """Its best picture, under pseudonyms."""
    way: WayBack | None
    """The real one; None for a study of another site."""


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


def similar_studies(
    session: Session, name: str, study: str, top_k: int, reason: str, purpose: str = ""
) -> Flow[list[SimilarStudy]]:
    """The studies most like one of this site, named by its real UID, each with the way back where this site has one.

    Checked and logged as ``reveal`` is, for the study that is asked about and for each that is found. Compared with is
    the mean of up to ROWS_COMPARED of its rows. Raises RowNotFound when the study has no row here, and as ``reveal``.
    """
    told = reveals.require_reason(reason)
    place = yield from open_current(session, name)
    crosswalk = yield from _crosswalk(session, place)
    rows = yield from local(partial(_rows_of, session, place, crosswalk, study, told))
    query = sum((Query.like(row) for row in rows), Query()) / len(rows)
    hits = yield from similar.to_query(session, name, query, choice(top_k), purpose)
    found = []
    for hit in hits:
        try:
            way = yield from local(partial(_shown, session, place, crosswalk, hit.id, told))
        except RowNotFound:  # of another site
            way = None
        found.append(SimilarStudy(hit, way))
    return found


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


def _rows_of(session: Session, place: Place, crosswalk: Crosswalk, study: str, reason: str) -> list[str]:
    """The rows of a study that is asked about, some of them where there are many; RowNotFound, NotPermitted."""
    who, now_s = reveals.account(), session.wall_clock_s()
    log = partial(reveals.write_line, session.home, now_s, who, place.collection.uid, "", reason)
    try:
        is_granted = crosswalk.granted_until_s(who) > now_s
        rows = _standing(place, crosswalk, study) if is_granted else []
    except UnseenError:  # such as a grant that somebody put there without the keys
        log("refused")
        raise
    log("asked about" if rows else "refused")
    if not is_granted:
        raise _no_grant(place, who)
    if not rows:
        raise RowNotFound(
            f"collection {place.collection.name!r} has no row of this study that this device knows of; enrol the study "
            "here first, or again if it was enrolled by an earlier release"
        )
    return rows


def _standing(place: Place, crosswalk: Crosswalk, study: str) -> list[str]:
    """Up to ROWS_COMPARED of a study's rows that are live, spread over all of them: pictures, if it has any."""
    rows = sorted(place.mirror.has(crosswalk.rows_of(study)))
    sealed = ((row, place.mirror.sealed_record(row)) for row in rows)
    records = [place.opened(row, record) for row, record in sealed if record is not None]
    compared = [record for record in records if record.extra.get(KIND) != TEXT] or records
    return [compared[at].id for at in spread(len(compared), ROWS_COMPARED)]


def _no_grant(place: Place, who: str) -> NotPermitted:
    return NotPermitted(
        f"account {who!r} has no grant to see real studies of collection {place.collection.name!r} on this device; "
        f"whoever answers for it runs `unseen reveal-grant {place.collection.name} --account {who}`"
    )


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
        raise _no_grant(place, who)
    if way is None:
        raise RowNotFound(
            f"this device knows no way back from row {row!r} of {place.collection.name!r}: there is no such row, it "
            "was enrolled at another site, or the crosswalk was lost; enrolling its objects here again writes it anew"
        )
    return way
