"""Pictures, texts, vectors and what sources bring, enrolled; and the budget of the noise on them: docs/data.md.

Made of calls/aio by scripts/blocking_calls.py: change that and run it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy.typing as npt

from unseen_client.calls.arguments import AnyPath, GivenConsent, Noise, Purpose, Subject, as_path
from unseen_client.calls.blocking.calls import Calls
from unseen_client.describing.describer import Describing
from unseen_client.flows.bring import Choices
from unseen_client.flows.consents import Given
from unseen_client.privacy.book import BudgetReport
from unseen_client.progress import Watcher
from unseen_client.records import Record
from unseen_client.report import EnrolReport


class EnrollingCalls(Calls):
    """Part of ``Client``."""

    def enrol_images(
        self,
        name: str,
        paths: AnyPath | Iterable[AnyPath],
        *,
        records: Sequence[Record] | None = None,
        noise: Noise = None,
        subject: Subject = None,
        consent: GivenConsent = None,
        purpose: Purpose = None,
        describing: Describing | None = None,
        deid_report: AnyPath | None = None,
        progress: bool | Watcher = False,
    ) -> EnrolReport:
        """De-identify, embed and enrol image files; the report says what was enrolled, what was refused and why.

        ``records`` describe the images, one each in their order; an id left empty is the first 16 hex digits of the
        file's SHA-256. Images already there are left as they are. Raises ModelMismatch, KeyMissing, CollectionNotFound.

        ``noise``, ``PrivUnit(64)`` or "privunit:64", is put on every vector before it leaves, and charged to this
        device's ledger under ``subject``, one for all rows or one each, else under each row's id. Raises BudgetExceeded
        when that would pass the budget: nothing of that stream was released. docs/differential-privacy.md says more.

        Where the collection has an agreement (docs/governance.md): ``subject`` says whom the rows are about,
        ``consent`` what they rest on (else the subject's newest that fits), ``purpose`` what they may be searched for
        (else all that it allows).

        ``describing`` finds tags and writes captions on this device (docs/describing.md): they enter the sealed record
        and, weighed, the row. ``deid_report``: the report of ``Deidentifier.run``; pictures that it wrote, with the
        settings of this client, are not looked at again. Raises PolicyNotAccepted, ConsentNotValid, PurposeNotAllowed.
        """
        given = Given(subject, consent, purpose)
        flow = self._protocol.enrol_images(name, paths, records, noise, given, describing, deid_report)
        return self._drive(flow, progress)

    def enrol_texts(
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
        return self._drive(self._protocol.enrol_texts(name, texts, records, noise, given), progress)

    def enrol_vectors(
        self,
        name: str,
        ids: Sequence[str],
        vectors: npt.ArrayLike,
        *,
        records: Sequence[Record] | None = None,
        noise: Noise = None,
        subject: Subject = None,
        consent: GivenConsent = None,
        purpose: Purpose = None,
        progress: bool | Watcher = False,
    ) -> EnrolReport:
        """Enrol vectors of your own, float32 (n, d): of any length where they are compared by cosine.

        Ids already there are left as they are. ``noise``, ``subject``, ``consent`` and ``purpose`` as for
        ``enrol_images``. Raises InvalidVector, InvalidInput, KeyMissing, CollectionNotFound, BudgetExceeded.
        """
        given = Given(subject, consent, purpose)
        return self._drive(self._protocol.enrol_vectors(name, ids, vectors, records, noise, given), progress)

    def enrol_from(
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
        return self._drive(flow, progress)

    def budget(self) -> BudgetReport:
        """What this device's releases of noise amount to, and what is left of its budgets. Asks no server.

        Raises IntegrityError for a damaged ledger.
        """
        return self._drive(self._protocol.budget())

    def set_budget(
        self, *, per_subject: float | None = None, per_device: float | None = None, delta: float | None = None
    ) -> None:
        """Set the most epsilon that releases of noise may amount to, for each subject and for this device together.

        What is not given stays; at first 64 for each subject at delta 1e-6, and no limit for the device, which is
        ``float("inf")``. Asks no server. Raises InvalidConfiguration.
        """
        return self._drive(self._protocol.set_budget(per_subject, per_device, delta))
