"""The calls about DICOM objects of ``AsyncClient``: docs/medical.md."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from unseen_client.calls.aio.calls import AsyncCalls
from unseen_client.calls.arguments import AnySource, GivenConsent, Noise, Purpose
from unseen_client.dicom.crosswalk import WayBack
from unseen_client.flows.consents import Given
from unseen_client.flows.reveal import SimilarStudy
from unseen_client.flows.survey import Choices
from unseen_client.progress import Watcher
from unseen_client.report import DicomEnrolReport


class MedicalAsyncCalls(AsyncCalls):
    """Part of ``AsyncClient``."""

    async def enrol_dicom(
        self,
        name: str,
        paths: AnySource | Iterable[AnySource],
        *,
        pictures_per_volume: int = 8,
        every_object: bool = False,
        reports_beside: bool = False,
        text: str = "risky",
        tags: Sequence[str] = (),
        noise: Noise = None,
        subject: str | None = None,
        consent: GivenConsent = None,
        purpose: Purpose = None,
        progress: bool | Watcher = False,
    ) -> DicomEnrolReport:
        """De-identify, render, embed and enrol DICOM objects, given as files, folders and ``DicomSource``.

        The collection's model must be one for DICOM objects ("bundled+dicom"). Of a volume or a clip up to
        ``pictures_per_volume`` pictures become rows, 0 for all; with ``every_object`` slices do not stand for each
        other. ``text``: burned-in text is looked for in "risky" objects or "always". Records hold pseudonyms from this
        device's site key, modality, body part and frame number; the way back to the real object is kept on this device
        alone: ``reveal``. What is there already is left as it is; running the same again enrols nothing twice.

        Structured reports become rows of words, without what their tags and the rules of docs/medical.md know of
        people. With ``reports_beside`` so do texts (.txt) in folders whose objects are of one study.

        ``noise``, ``consent`` and ``purpose`` as for ``enrol_images``; ``subject`` is each object's patient, by
        pseudonym, unless one is given for all. Raises ModelMismatch, InvalidInput, KeyMissing, CollectionNotFound.
        """
        choices = Choices(tuple(tags), pictures_per_volume, text, every_object, reports_beside)
        given = Given(subject, consent, purpose)
        return await self._drive(self._protocol.enrol_dicom(name, paths, choices, noise, given), progress)

    async def reveal(self, name: str, id: str, *, reason: str) -> WayBack:
        """The real object that a row was made of, from this device's crosswalk; it is sent nowhere.

        This machine's account needs a grant (``grant_reveal``), and every try is written to a log on this device with
        its ``reason``. Raises NotPermitted, RowNotFound, KeyMissing, InvalidInput.
        """
        return await self._drive(self._protocol.reveal(name, id, reason))

    async def similar_studies(
        self, name: str, study: str, *, reason: str, top_k: int = 10, purpose: str | None = None
    ) -> list[SimilarStudy]:
        """The studies most like one that was enrolled on this device, named by its real Study Instance UID.

        Allowed and logged as ``reveal`` is, with each study that is shown. The server sees a search. Raises
        NotPermitted, RowNotFound, KeyMissing, InvalidInput.
        """
        return await self._drive(self._protocol.similar_studies(name, study, top_k, reason, purpose))

    async def grant_reveal(self, name: str, *, account: str | None = None, days: int = 30) -> str:
        """Let an account of this machine (this one unless named) be shown real objects for so many days; gives it.

        0 ends the grant. Raises InvalidInput, KeyMissing.
        """
        return await self._drive(self._protocol.grant_reveal(name, account, days))
