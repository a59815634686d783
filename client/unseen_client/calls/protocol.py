"""The public calls as flows: one place for what their arguments may be. Does no network I/O.

``Client`` and ``AsyncClient`` have the same methods, hand over every argument, and drive what these give. A default
that stands here too is theirs, for whoever drives flows without them, such as tests.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy.typing as npt

from unseen.audit.receipt import Receipt
from unseen.bearer import life_s, token_uid
from unseen.params import ParameterSet
from unseen.types import CollectionInfo
from unseen_client.access import Access, Quota
from unseen_client.calls.arguments import (
    AnyPath,
    AnySource,
    Noise,
    Receipts,
    Records,
    Tokens,
    as_mechanism,
    as_path,
    as_paths,
    as_sources,
    milliseconds,
    several,
)
from unseen_client.calls.describing_protocol import DescribingProtocol
from unseen_client.calls.governance_protocol import GovernanceProtocol
from unseen_client.describing.describer import Describing
from unseen_client.dicom.crosswalk import WayBack
from unseen_client.flows import (
    access,
    audit,
    bring,
    collections,
    dicom,
    enrol,
    images,
    operations,
    pack,
    reveal,
    rotate,
    rows,
    similar,
    texts,
)
from unseen_client.flows.consents import NOTHING, Given
from unseen_client.flows.reveal import SimilarStudy
from unseen_client.flows.survey import Choices
from unseen_client.records import Record
from unseen_client.report import BackupMade, DicomEnrolReport, EnrolReport, Hit, LogCheck, ServerInfo
from unseen_client.retrieval.choice import choice
from unseen_client.retrieval.metric import COSINE, metric_of
from unseen_client.retrieval.query import Query
from unseen_client.retrieval.where import Where
from unseen_client.session import Session
from unseen_client.status import ServerStatus
from unseen_client.steps import Flow, local

if TYPE_CHECKING:
    from unseen_client.privacy.book import BudgetReport


class Protocol(DescribingProtocol, GovernanceProtocol):
    """Every public call of one client, as a flow to be driven."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def server_info(self) -> Flow[ServerInfo]:
        return collections.server_info(self._session)

    def access(self, collection: str | None) -> Flow[Access]:
        return access.own_access(self._session, collection)

    def create_token(
        self,
        name: str,
        roles: str | Iterable[str],
        tenant: str | None,
        collections: str | Iterable[str] | None,
        expires: str,
        quota: Quota | None,
    ) -> Flow[str]:
        scope = None if collections is None else several(collections)
        expires_at = int(time.time()) + life_s(expires)
        chosen = quota or Quota()
        return access.create_token(self._session, name, several(roles), tenant, scope, expires_at, chosen)

    def list_tokens(self) -> Flow[Tokens]:
        return access.list_tokens(self._session)

    def revoke_token(self, uid: str) -> Flow[None]:
        return access.revoke_token(self._session, token_uid(uid))

    def create_collection(
        self,
        name: str,
        model: str | None,
        dimension: int | None,
        parameters: ParameterSet | str | None,
        keep_vectors: bool,
        metric: str = COSINE,
        longest: float = 1.0,
        protection: str = collections.SEALED,
    ) -> Flow[CollectionInfo]:
        chosen, compared = collections.protected_set(protection, parameters), metric_of(metric, longest)
        return collections.create(self._session, name, model, dimension, chosen, keep_vectors, compared)

    def collection(self, name: str) -> Flow[CollectionInfo]:
        return collections.get(self._session, name)

    def list_collections(self) -> Flow[list[CollectionInfo]]:
        return collections.list_all(self._session)

    def delete_collection(self, name: str) -> Flow[None]:
        return collections.delete(self._session, name)

    def rotate_keys(self, name: str) -> Flow[int]:
        return rotate.rotate(self._session, name)

    def enrol_images(
        self,
        name: str,
        paths: AnyPath | Iterable[AnyPath],
        records: Sequence[Record] | None,
        noise: Noise = None,
        given: Given = NOTHING,
        wish: Describing | None = None,
        deid_report: AnyPath | None = None,
    ) -> Flow[EnrolReport]:
        files, noised, report = as_paths(paths), as_mechanism(noise), as_path(deid_report)
        return images.enrol_images(self._session, name, files, records, noised, given, wish, report)

    def enrol_vectors(
        self,
        name: str,
        ids: Sequence[str],
        vectors: npt.ArrayLike,
        records: Sequence[Record] | None,
        noise: Noise = None,
        given: Given = NOTHING,
    ) -> Flow[EnrolReport]:
        return enrol.enrol_vectors(
            self._session, name, ids, collections.as_vectors(vectors), records, as_mechanism(noise), given
        )

    def enrol_texts(
        self,
        name: str,
        given_texts: str | Iterable[str],
        records: Sequence[Record] | None,
        noise: Noise = None,
        given: Given = NOTHING,
    ) -> Flow[EnrolReport]:
        return texts.enrol_texts(self._session, name, several(given_texts), records, as_mechanism(noise), given)

    def enrol_from(
        self,
        name: str,
        sources: AnyPath | Iterable[AnyPath],
        choices: bring.Choices,
        noise: Noise = None,
        given: Given = NOTHING,
        describing: Describing | None = None,
        deid_report: AnyPath | None = None,
    ) -> Flow[EnrolReport]:
        paths, noised, report = as_paths(sources), as_mechanism(noise), as_path(deid_report)
        return bring.enrol_from(self._session, name, paths, choices, noised, given, describing, report)

    def enrol_dicom(
        self,
        name: str,
        sources: AnySource | Iterable[AnySource],
        choices: Choices,
        noise: Noise = None,
        given: Given = NOTHING,
    ) -> Flow[DicomEnrolReport]:
        return dicom.enrol_dicom(self._session, name, as_sources(sources), choices, as_mechanism(noise), given)

    def reveal(self, name: str, row: str, reason: str) -> Flow[WayBack]:
        return reveal.reveal(self._session, name, row, reason)

    def similar_studies(
        self, name: str, study: str, top_k: int, reason: str, purpose: str | None = None
    ) -> Flow[list[SimilarStudy]]:
        return reveal.similar_studies(self._session, name, study, top_k, reason, purpose or "")

    def grant_reveal(self, name: str, account: str | None, days: int) -> Flow[str]:
        return reveal.grant(self._session, name, account, days)

    def budget(self) -> Flow[BudgetReport]:
        return local(lambda: self._session.book().report())

    def set_budget(self, per_subject: float | None, per_device: float | None, delta: float | None) -> Flow[None]:
        def keep() -> None:
            self._session.book().set_budgets(per_subject, per_device, delta)

        return local(keep)

    def search(
        self,
        name: str,
        query: Query,
        top_k: int,
        where: Where = None,
        min_score: float | None = None,
        temperature: float | None = None,
        rerank: bool = False,
        candidates: int | None = None,
        purpose: str | None = None,
    ) -> Flow[list[Hit]]:
        chosen = choice(top_k, where, min_score, temperature, rerank, candidates)
        return similar.to_query(self._session, name, query, chosen, purpose or "")

    def search_vector(
        self, name: str, vector: npt.ArrayLike, top_k: int, purpose: str | None = None
    ) -> Flow[list[Hit]]:
        return self.search(name, Query.vector(vector), top_k, purpose=purpose)

    def search_image(self, name: str, path: AnyPath, top_k: int, purpose: str | None = None) -> Flow[list[Hit]]:
        return self.search(name, Query.picture(path), top_k, purpose=purpose)

    def search_text(self, name: str, text: str, top_k: int, purpose: str | None = None) -> Flow[list[Hit]]:
        return self.search(name, Query.words(text), top_k, purpose=purpose)

    def search_like(self, name: str, row: str, top_k: int, purpose: str | None = None) -> Flow[list[Hit]]:
        return self.search(name, Query.like(row), top_k, purpose=purpose)

    def count(self, name: str) -> Flow[int]:
        return rows.count(self._session, name)

    def list(self, name: str, limit: int | None, offset: int) -> Flow[Records]:
        return rows.list_records(self._session, name, limit, offset)

    def get(self, name: str, row: str) -> Flow[Record]:
        return rows.get_record(self._session, name, row)

    def erase(self, name: str, ids: str | Iterable[str], certificate: AnyPath | None = None) -> Flow[int]:
        return rows.erase(self._session, name, tuple(dict.fromkeys(several(ids))), as_path(certificate))

    def pack(self, name: str) -> Flow[int]:
        return pack.pack(self._session, name)

    def status(self) -> Flow[ServerStatus]:
        return operations.status(self._session)

    def backup(self, place: AnyPath) -> Flow[BackupMade]:
        return operations.backup(self._session, Path(place))

    def audit_check(self) -> Flow[LogCheck]:
        return audit.check(self._session)

    def audit_prove(self, receipt: Receipt) -> Flow[LogCheck]:
        return audit.prove(self._session, receipt)

    def audit_export(self, write: audit.Write, since: datetime | None, against: Sequence[str]) -> Flow[LogCheck]:
        return audit.export(self._session, write, milliseconds(since), against)

    def audit_receipts(self) -> Flow[Receipts]:
        return audit.receipts(self._session)

    def audit_accept(self) -> Flow[LogCheck]:
        return audit.accept(self._session)
