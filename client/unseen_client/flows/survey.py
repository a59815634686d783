"""Looking through DICOM files before any is enrolled: where each object stands, and which stand for the others.

Runs on the device and asks no server. Only attributes are read, in a child process; nothing of the pixels.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from unseen.errors import ImageRefused, InvalidInput
from unseen_client.flows.consents import Basis
from unseen_client.in_order import in_order
from unseen_client.records import CONTENT_ID_DIGITS
from unseen_client.report import Refusal
from unseen_client.steps import Flow, Progress, local

if TYPE_CHECKING:
    from unseen.deid.dicom.placement import Placement
    from unseen_client.dicom.prepare import DicomPreparer
    from unseen_client.dicom.source import DicomFile, DicomSource

DIRECTORY_NAME = "DICOMDIR"
"""The table of contents of a medium, passed over in folders; its objects stand beside it."""


@dataclass(frozen=True)
class Choices:
    """What a caller may say of an enrolment of objects."""

    tags: tuple[str, ...] = ()
    pictures_per_volume: int = 8
    """0 for every frame of every object."""
    text: str = "risky"
    every_object: bool = False
    """Slices of a series do not stand for each other: what becomes of one does not depend on which others are there."""
    reports_beside: bool = False
    """Texts (.txt) in folders whose objects are of one study are its reports."""


@dataclass(frozen=True)
class Chosen:
    """One object with what becomes rows of it."""

    source: DicomSource
    placement: Placement
    frames: tuple[int, ...]
    """Counted from 0."""
    subject: str = ""
    basis: Basis | None = None

    @property
    def row_ids(self) -> dict[int, str]:
        """The id of each frame's row, for people: the same for the same object, frame and site key."""
        return {frame: row_name(self.placement.instance, frame + 1) for frame in self.frames}

    def chosen_frames(self, found: Placement) -> tuple[int, ...]:
        """The frames, as long as the file still holds the object that was looked through."""
        from unseen_client.dicom.source import CHANGED

        if found != self.placement:
            raise ImageRefused(CHANGED)
        return self.frames


def row_name(instance: str, frame: int) -> str:
    """16 hex digits for a frame (counted from 1) of an object, named by its pseudonym."""
    return hashlib.sha256(f"{instance}/{frame}".encode()).hexdigest()[:CONTENT_ID_DIGITS]


class Survey:
    """Looks through sources for where their objects stand; nothing of their pixels is read."""

    def __init__(self, preparer: DicomPreparer, choices: Choices) -> None:
        self._preparer = preparer
        self._choices = choices
        self.placements: dict[str, Placement] = {}
        self.refused: list[Refusal] = []
        self.passed_over = 0
        self._sources: dict[str, DicomSource] = {}

    def look_through(self, sources: Sequence[tuple[DicomSource, bool]]) -> Flow[None]:
        """sources: each with whether somebody named it."""
        texts: list[tuple[DicomFile, bool]] = []
        if self._choices.reports_beside:
            from unseen_client.dicom.source import is_text

            texts = [(source, is_named) for source, is_named in sources if is_text(source)]
            sources = [one for one in sources if not is_text(one[0])]
        yield from self._look_at(sources)
        yield from self._look_at((yield from local(partial(self._beside, texts))))

    def _look_at(self, sources: Sequence[tuple[DicomSource, bool]]) -> Flow[None]:
        coming = in_order(sources, self._look, self._preparer.workers)
        done = 0
        while (outcome := (yield from local(partial(next, coming, None)))) is not None:
            (source, _), found = outcome
            self._sources[source.name] = source
            done += 1
            if found is None:
                self.passed_over += 1
            elif isinstance(found, ImageRefused):
                self.refused.append(Refusal(source.name, found.code, str(found)))
            else:
                self.placements[source.name] = found
            yield Progress(done, len(sources), "files looked through")

    def chosen(self) -> list[Chosen]:
        """The objects of which pictures become rows, in the order of the files."""
        from unseen_client.dicom.representative import chosen_frames, chosen_objects

        wanted = self._choices.pictures_per_volume
        keys = chosen_objects(self.placements, 0 if self._choices.every_object else wanted)
        return [
            Chosen(self._sources[key], placement, chosen_frames(placement, wanted))
            for key, placement in self.placements.items()
            if key in keys
        ]

    def _beside(self, texts: Sequence[tuple[DicomFile, bool]]) -> list[tuple[DicomSource, bool]]:
        """Texts with an object of each series of the study in their folder; with none where that may be of several.

        An object that was refused may be of another patient, and the text, too. What is no file lies beside nothing.
        """
        from unseen_client.dicom.source import DicomFile, TextBeside

        studies: defaultdict[Path, set[str]] = defaultdict(set)
        of_series: defaultdict[Path, dict[str, DicomSource]] = defaultdict(dict)
        for name, placement in self.placements.items():
            if isinstance(source := self._sources[name], DicomFile):
                folder = _folder_of(source.path)
                studies[folder].add(placement.study)
                of_series[folder][placement.series] = source
        of_refused = (self._sources[refusal.source] for refusal in self.refused)
        refused = {_folder_of(source.path) for source in of_refused if isinstance(source, DicomFile)}
        near = {
            folder: tuple(of_series[folder].values())
            for folder, found in studies.items()
            if len(found) == 1 and folder not in refused
        }
        return [(TextBeside(text.path, near.get(_folder_of(text.path), ())), is_named) for text, is_named in texts]

    def _look(self, one: tuple[DicomSource, bool]) -> Placement | None:
        from unseen_client.dicom.source import TextBeside, is_dicom

        source, is_named = one
        if isinstance(source, TextBeside):
            return self._preparer.placed(source)
        if not is_named and is_passed_over(source):
            return None
        if is_named and not is_dicom(source):
            raise ImageRefused("got a file that is no DICOM object; photographs go in with `unseen enrol`")
        return self._preparer.placed(source)


def _folder_of(path: Path) -> Path:
    """The folder that a file lies in, in whatever way it was named."""
    return path.parent.resolve()


def is_passed_over(source: DicomSource) -> bool:
    """Whether a file that nobody named, in a folder, is no object; ImageRefused when it cannot be read."""
    from unseen_client.dicom.source import is_dicom

    return Path(source.name).name == DIRECTORY_NAME or not is_dicom(source)


def sources_of(given: Sequence[Path | DicomSource]) -> list[tuple[DicomSource, bool]]:
    """Files and other sources as named, each once; from folders every file, at any depth, in order."""
    from unseen_client.dicom.source import DicomFile

    found: dict[str, tuple[DicomSource, bool]] = {}
    for one in given:
        if not isinstance(one, Path):
            found[one.name] = one, True
        elif one.is_dir():
            files = (DicomFile(path) for path in sorted(one.rglob("*")) if path.is_file())
            found |= {file.name: (file, False) for file in files if file.name not in found}
        elif one.exists():
            found[str(one)] = DicomFile(one), True
        else:
            raise InvalidInput(f"there is no {one}; give DICOM files, or folders of them")
    if not found:
        raise InvalidInput(f"no files in {', '.join(map(str, given))}; give DICOM files, or folders of them")
    return list(found.values())
