"""One run over files: every file is read, de-identified, put in place and reported, several at once, in order.

Runs where the images are. Holds a few files at a time. A file that is refused leaves nothing behind and stops no other.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from unseen.errors import AlreadyExists, ImageRefused, InvalidInput, StoreFailed
from unseen_client.deid.journal import Journal, fingerprint
from unseen_client.deid.kinds import HEAD_BYTES, Kind, kind_of
from unseen_client.deid.outcome import DeidReport, FileOutcome, Outcome
from unseen_client.deid.pipeline import Cleaned, Pipeline
from unseen_client.deid.place import settle, waiting
from unseen_client.deid.walk import Job, Plan, looks_like_a_picture, target_name
from unseen_client.progress import Watcher
from unseen_client.source_file import read_head, read_source
from unseen_client.steps import Progress

PREVIEW_SUFFIX = ".preview.png"


@dataclass(frozen=True)
class Run:
    """Everything one run needs to know."""

    pipeline: Callable[[Kind], Pipeline]
    plan: Plan
    dry_run: bool
    overwrite: bool
    workers: int

    def report(self, watcher: Watcher) -> DeidReport:
        """Work through every file; InvalidInput, StoreFailed."""
        jobs, files = self.plan.jobs, list[FileOutcome]()
        watcher(Progress(0, len(jobs), "files"))
        with Journal(self.plan.report_file) as journal:
            for outcome in self._outcomes(journal):
                files.append(outcome)
                watcher(Progress(len(files), len(jobs), "files"))
        return DeidReport(tuple(files), self.plan.report_file)

    def _outcomes(self, journal: Journal) -> Iterator[FileOutcome]:
        with ThreadPoolExecutor(self.workers, thread_name_prefix="unseen-deid") as pool:
            ahead: deque[Future[FileOutcome]] = deque()
            try:
                for job in self.plan.jobs:
                    ahead.append(pool.submit(self._one, job, journal))
                    if len(ahead) > 2 * self.workers:
                        yield ahead.popleft().result()
                while ahead:
                    yield ahead.popleft().result()
            finally:
                for future in ahead:
                    future.cancel()

    def _one(self, job: Job, journal: Journal) -> FileOutcome:
        try:
            return self._through_its_pipeline(job, journal)
        except (ImageRefused, AlreadyExists, InvalidInput, StoreFailed) as refusal:
            outcome = FileOutcome(job.name, Outcome.REFUSED, code=refusal.code, reason=str(refusal))
            journal.write(outcome)
            return outcome

    def _through_its_pipeline(self, job: Job, journal: Journal) -> FileOutcome:
        kind = kind_of(read_head(job.path, HEAD_BYTES))
        if kind is Kind.OTHER and not job.is_named and not looks_like_a_picture(job.path):
            return FileOutcome(job.name, Outcome.PASSED_OVER)
        pipeline = self.pipeline(kind)
        data = read_source(job.path, pipeline.largest_file_bytes)
        description = pipeline.description()
        made_by, source_sha256 = fingerprint(description), hashlib.sha256(data).hexdigest()
        if not self.dry_run:
            before = journal.done_before(job.name, source_sha256, made_by, self.plan.folder)
            if before is not None:
                return before
        journal.describe(made_by, description)
        return self._placed(job, pipeline.preview(data) if self.dry_run else pipeline.clean(data), journal, {
            "pipeline": made_by, "source_sha256": source_sha256,
        })  # fmt: skip

    def _placed(self, job: Job, cleaned: Cleaned, journal: Journal, origin: dict[str, str]) -> FileOutcome:
        name = (self.plan.output_name or job.name) + PREVIEW_SUFFIX
        if not self.dry_run:
            name = target_name(job, self.plan, cleaned.suffix)
        outcome = FileOutcome(
            job.name, Outcome.PREVIEWED if self.dry_run else Outcome.DONE, name, cleaned.covered, cleaned.facts
        )
        target = self.plan.folder / name
        with waiting(target, cleaned.data) as fresh:
            journal.write(outcome, **origin, target_sha256=hashlib.sha256(cleaned.data).hexdigest())
            settle(fresh, target, overwrite=self.overwrite)
        return outcome
