"""The adapt command: teach the bundled model on private images, with a stated guarantee for each of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from unseen.errors import InvalidInput
from unseen_client.cli.described import described_files, image_files
from unseen_client.cli.face_options import FaceOptions
from unseen_client.cli.link import Json
from unseen_client.cli.outcome import PARTLY, say, telling
from unseen_client.cli.shown import refused_lines
from unseen_client.cli.spread import spread

if TYPE_CHECKING:
    from unseen_client.adapt.gather import Example
    from unseen_client.adapt.teach import AdaptReport

FROM = ("folders", "tags", "captions")


@spread(faces=FaceOptions)
def adapt(
    *,
    out: Annotated[Path, typer.Argument(metavar="OUT", help="A new .safetensors file for the adapter.")],
    paths: Annotated[list[Path], typer.Argument(help="Images, or folders of them.")],
    about: Annotated[str, typer.Option(help="Whose images and of what, in words: stands on the adapter's card.")],
    epsilon: Annotated[float, typer.Option(help="What the adapter may tell of any one image; 8 or less is private.")],
    delta: Annotated[float, typer.Option(help="Chance that epsilon does not hold; below one in the images.")] = 1e-5,
    learn: Annotated[
        str,
        typer.Option(help="folders: the folder's name is the label. tags: the one tag in --records. Or captions."),
    ] = "folders",
    records: Annotated[Path | None, typer.Option(help="JSON file: {path or file name: {caption, tags}}.")] = None,
    progress: Annotated[bool, typer.Option(help="Show a progress bar.")] = True,
    as_json: Json = False,
    faces: FaceOptions,
) -> None:
    """Teach the bundled model on your own images.

    The result, an adapter, may be shared: it is (epsilon, delta)-differentially private for each single image. Its
    card, OUT.md and inside of it, says with what, how private, and how much better held-out images are found.

    All of it happens on this device. An interrupted run goes on when the same command is given again, and never spends
    more than it stated. Needs `pip install "unseen[train]"`; docs/differential-privacy.md says what the numbers mean.

    \b
    Examples:
      unseen adapt birds.safetensors ~/Birds --about "garden birds, one folder a kind" --epsilon 8
      unseen adapt scans.safetensors ~/Scans --about "chest scans" --epsilon 4 --learn captions --records records.json
      unseen adapters add birds.safetensors && unseen create birds --model bundled+adapter:0123456789ab
    """
    with telling(as_json):
        settings = faces.settings()
        examples = _examples(image_files(paths), learn, records)
        from unseen_client.adapt.task import Lesson
        from unseen_client.adapt.teach import Wish, require_trainable, teach
        from unseen_client.prepare import Preparer

        require_trainable()
        wish = Wish(about, epsilon, delta, Lesson.CAPTIONS if learn == "captions" else Lesson.LABELS)
        with Preparer(deid=settings) as preparer:
            report = teach(out, examples, wish, preparer=preparer, progress=progress and not as_json)
        say(as_json, _fields(report), _words(report))
    if report.refused:
        raise SystemExit(PARTLY)


def _examples(files: Sequence[Path], learn: str, records: Path | None) -> list[Example]:
    from unseen_client.adapt.gather import Example, labelled_by_folder

    if learn not in FROM:
        raise InvalidInput(f"got --learn {learn}, expected one of {', '.join(FROM)}")
    if (learn == "folders") != (records is None):
        raise InvalidInput("--records goes with --learn tags or --learn captions, and they need it")
    if learn == "folders":
        return labelled_by_folder(files)
    described = described_files(files, [], records)
    if learn == "captions":
        return [Example(file, record.caption) for file, record in zip(files, described, strict=True)]
    for file, record in zip(files, described, strict=True):
        if len(record.tags) != 1:
            raise InvalidInput(f"{file} has {len(record.tags)} tags in {records}, expected its one label")
    return [Example(file, record.tags[0]) for file, record in zip(files, described, strict=True)]


def _fields(report: AdaptReport) -> dict[str, object]:
    return {
        "file": str(report.path),
        "model": report.model,
        "epsilon": report.plan.epsilon,
        "delta": report.plan.delta,
        "learned_from": report.plan.learned_from,
        "held_out": report.plan.held_out,
        "steps": report.plan.steps,
        "steps_begun": report.outcome.steps_counted,
        "before": report.outcome.before,
        "after": report.outcome.after,
        "deviation_of_each": report.plan.mean_deviation,
        "refused": [{"source": one.source, "code": one.code, "reason": one.reason} for one in report.refused],
    }


def _words(report: AdaptReport) -> str:
    plan, outcome = report.plan, report.outcome
    score = f"{outcome.after:.3f}, before {outcome.before:.3f}, each give or take {plan.mean_deviation:.3f}"
    lines = [
        f"{report.path} is {report.model}: epsilon {plan.epsilon:g} at delta {plan.delta:g} for each image",
        f"learned from {plan.learned_from} images in {outcome.steps_counted} of {plan.steps} steps",
        f"{plan.held_out} held-out images score {score}",
        *refused_lines(report.refused),
        f"next: unseen adapters add {report.path}",
    ]
    return "\n".join(lines)
