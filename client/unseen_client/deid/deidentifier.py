"""Bytes of a file in, bytes of a de-identified file out, whatever kind of file it is.

Runs where the images are. Holds models and child processes of the pipelines that were needed so far.

    with Deidentifier() as deidentifier:
        cleaned = deidentifier.clean(Path("beach.jpg").read_bytes())     # ImageRefused when a step cannot do its work
"""

from __future__ import annotations

from threading import Lock
from types import TracebackType

from unseen.errors import ImageRefused
from unseen_client.deid.dicom_file import DicomPipeline, DicomSettings
from unseen_client.deid.kinds import Kind, kind_of
from unseen_client.deid.pipeline import Cleaned, Pipeline


class Deidentifier:
    """De-identifies files of every known kind. Pipelines are opened when first needed; safe for several threads."""

    def __init__(self, *, dicom: DicomSettings | None = None) -> None:
        self._dicom = dicom or DicomSettings()
        self._lock = Lock()
        self._open: dict[Kind, Pipeline] = {}

    def clean(self, data: bytes) -> Cleaned:
        """Return the de-identified file, or raise ImageRefused with the reason."""
        return self.pipeline(kind_of(data)).clean(data)

    def pipeline(self, kind: Kind) -> Pipeline:
        """Return the pipeline of a kind, opened once; ImageRefused for a kind that has none."""
        with self._lock:
            if kind not in self._open:
                self._open[kind] = self._opened(kind)
            return self._open[kind]

    def _opened(self, kind: Kind) -> Pipeline:
        if kind is Kind.DICOM:
            return DicomPipeline(self._dicom)
        raise ImageRefused("got a file that is neither a photograph of a known kind nor DICOM; convert it first")

    def close(self) -> None:
        """End child processes and let go of models."""
        with self._lock:
            for pipeline in self._open.values():
                pipeline.close()
            self._open.clear()

    def __enter__(self) -> Deidentifier:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
