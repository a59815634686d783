"""Files in, de-identified files out, whatever kind they are: what `unseen deid` and the SDK call.

Runs where the images are. Holds models and child processes of the pipelines that were needed so far.

    with Deidentifier() as deidentifier:
        report = deidentifier.run("holiday", "holiday-clean")            # a folder, or one file
        cleaned = deidentifier.clean(Path("beach.jpg").read_bytes())     # bytes to bytes; ImageRefused
"""

from __future__ import annotations

import os
from pathlib import Path
from threading import Lock
from types import TracebackType

from unseen.deid.settings import DeidSettings
from unseen.deid.text.finder import TextFinder
from unseen.errors import ImageRefused
from unseen_client.child_process import worker_count
from unseen_client.deid.dicom_file import DicomPipeline, DicomSettings
from unseen_client.deid.kinds import Kind, kind_of
from unseen_client.deid.outcome import DeidReport
from unseen_client.deid.photo import PhotoOutput, PhotoPipeline
from unseen_client.deid.pipeline import Cleaned, Pipeline
from unseen_client.deid.run import Run
from unseen_client.deid.walk import planned
from unseen_client.progress import Watcher, watching

AnyPath = str | os.PathLike[str]


class Deidentifier:
    """De-identifies photographs and DICOM. Pipelines are opened when first needed; safe for several threads."""

    def __init__(
        self,
        settings: DeidSettings | None = None,
        *,
        output: PhotoOutput | None = None,
        dicom: DicomSettings | None = None,
        text_in_photographs: bool = False,
        workers: int | None = None,
    ) -> None:
        """settings: how faces are covered. output: how photographs are written. workers: files at once, None: cores.

        text_in_photographs: cover text in photographs as well; in DICOM objects ``dicom`` says where it is covered.
        """
        self._settings = settings or DeidSettings()
        self._output = output or PhotoOutput()
        self._dicom = dicom or DicomSettings()
        self._text_in_photographs = text_in_photographs
        self._workers = worker_count(workers)
        self._lock = Lock()
        self._open: dict[Kind, Pipeline] = {}

    def clean(self, data: bytes) -> Cleaned:
        """Return the de-identified file, or raise ImageRefused with the reason."""
        return self.pipeline(kind_of(data)).clean(data)

    def preview(self, data: bytes) -> Cleaned:
        """Return a PNG with boxes and scores drawn on what ``clean`` would cover, or raise ImageRefused."""
        return self.pipeline(kind_of(data)).preview(data)

    def run(
        self,
        source: AnyPath,
        target: AnyPath,
        *,
        report: AnyPath | None = None,
        dry_run: bool = False,
        overwrite: bool = False,
        progress: bool | Watcher = False,
    ) -> DeidReport:
        """De-identify a file, or every picture below a folder, into ``target``, and say what became of each.

        A file of which any step failed is not written. Nothing is replaced unless ``overwrite``. What an earlier run
        did with the same settings is skipped. ``report`` is where the report goes, beside the output when None.
        ``dry_run`` writes pictures with boxes and scores instead. Raises InvalidInput, StoreFailed.
        """
        plan = planned(Path(source), Path(target), None if report is None else Path(report))
        run = Run(self.pipeline, plan, dry_run=dry_run, overwrite=overwrite, workers=self._workers)
        with watching(progress) as watcher:
            return run.report(watcher)

    def pipeline(self, kind: Kind) -> Pipeline:
        """Return the pipeline of a kind, opened once; ImageRefused for a kind that has none."""
        with self._lock:
            if kind not in self._open:
                self._open[kind] = self._opened(kind)
            return self._open[kind]

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

    def _opened(self, kind: Kind) -> Pipeline:
        if kind is Kind.PHOTO:
            text = TextFinder() if self._text_in_photographs else None
            return PhotoPipeline(self._settings, self._output, self._workers, text=text)
        if kind is Kind.DICOM:
            return DicomPipeline(self._dicom, self._workers)
        raise ImageRefused("got a file that is neither a photograph of a known kind nor DICOM; convert it first")
