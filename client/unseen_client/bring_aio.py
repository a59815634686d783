"""The calls about data of other kinds and from elsewhere of ``AsyncClient``: docs/data.md."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import TypeVar

from unseen_client.describing.describer import Describing
from unseen_client.flows.bring import Choices
from unseen_client.flows.consents import Given
from unseen_client.progress import Watcher
from unseen_client.protocol import AnyPath, GivenConsent, Noise, Protocol, Purpose, Subject, as_path
from unseen_client.records import Record
from unseen_client.report import EnrolReport
from unseen_client.steps import Flow

Result = TypeVar("Result")


class BringAsyncCalls(ABC):
    """Part of ``AsyncClient``."""

    _protocol: Protocol

    @abstractmethod
    async def _drive(self, flow: Flow[Result], progress: bool | Watcher = False) -> Result:
        """Carry out a flow's steps until it is done."""

    async def enrol_texts(
        self,
        name: str,
        texts: str | Iterable[str],
        *,
        records: Sequence[Record] | None = None,
        noise: Noise = None,
        subject: Subject = None,
        consent: GivenConsent = None,
        purpose: Purpose = None,
        progress: bool | Watcher = False,
    ) -> EnrolReport:
        """Embed and enrol texts as rows beside pictures: words and pictures find both.

        ``records`` describe them, one each in their order; an id left empty is the first 16 hex digits of the text's
        SHA-256, a caption left empty the text's beginning. ``extra["kind"]`` is "text". Texts already there are left as
        they are. The rest as for ``enrol_images``. Raises ModelMismatch, KeyMissing, CollectionNotFound.
        """
        given = Given(subject, consent, purpose)
        return await self._drive(self._protocol.enrol_texts(name, texts, records, noise, given), progress)

    async def enrol_from(
        self,
        name: str,
        sources: AnyPath | Iterable[AnyPath],
        *,
        tags: Sequence[str] = (),
        root: AnyPath | None = None,
        vector: str = "image",
        every_s: float = 1.0,
        noise: Noise = None,
        subject: str | None = None,
        consent: GivenConsent = None,
        purpose: Purpose = None,
        describing: Describing | None = None,
        deid_report: AnyPath | None = None,
        progress: bool | Watcher = False,
    ) -> EnrolReport:
        """Enrol what sources bring: pictures, folders and zip files of them, videos, text files, manifests, exports.

        A manifest is CSV, JSONL or Parquet with a ``path`` or a ``text`` in each row and any fields beside it; paths
        stay within its folder, or within ``root``. Exports are folders of `clip-retrieval inference` and points that
        Qdrant's scroll call gave; their vectors are taken as they are, and ``vector`` chooses one of several.
        Of a video, a frame is taken every ``every_s`` seconds; its record's extra has "clip" and "second".

        Rows that are there with other content or another description are erased and enrolled anew, others left; what
        has the content of another row is reported. ``describing`` and ``deid_report`` as for ``enrol_images``.
        Raises InvalidInput before anything is enrolled, and as ``enrol_images``.
        """
        choices = Choices(tuple(tags), as_path(root), vector, every_s)
        given = Given(subject, consent, purpose)
        flow = self._protocol.enrol_from(name, sources, choices, noise, given, describing, deid_report)
        return await self._drive(flow, progress)
