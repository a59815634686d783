"""The command that shows what privacy costs on somebody's own pictures."""

from __future__ import annotations

from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from unseen.errors import InvalidInput
from unseen_client.cli.face_options import DEFAULT, FaceOptions
from unseen_client.cli.link import Link, linked
from unseen_client.cli.outcome import say
from unseen_client.cli.spread import spread

if TYPE_CHECKING:
    from unseen_client.evaluate.run import Evaluation, Line

DEFAULT_KS = [1, 5, 10]


@spread(faces=FaceOptions)
@linked
def evaluate(
    *,
    source: Annotated[Path, typer.Argument(help="A folder with a sub-folder for each label, or a manifest.")],
    model: Annotated[str, typer.Option(help="The model that makes the vectors.")] = "bundled",
    parameters: Annotated[str, typer.Option(help="Parameter set of the encryption.")] = "n2048_q29",
    noise: Annotated[
        list[str] | None, typer.Option(metavar="MECHANISM:EPSILON", help="With this noise, too; may be repeated.")
    ] = None,
    k: Annotated[list[int] | None, typer.Option("-k", min=1, help="How many hits count; may be repeated.")] = None,
    most: Annotated[int, typer.Option(min=2, help="Of the pictures, a fixed sample.")] = 2000,
    questions: Annotated[int, typer.Option(min=1, help="Of each kind, a fixed sample.")] = 200,
    root: Annotated[Path | None, typer.Option(help="Folder of a manifest's pictures; its own if left out.")] = None,
    curves: Annotated[Path, typer.Option(help="Where the picture of the curves goes.")] = Path("unseen-eval.png"),
    on_server: Annotated[bool, typer.Option("--on-server", help="Use the server that --server names.")] = False,
    progress: Annotated[bool, typer.Option(help="Show a progress bar.")] = True,
    faces: FaceOptions,
    link: Link,
) -> None:
    """Measure what privacy costs on your own pictures.

    Asks the same questions of plaintext vectors, with faces seen and covered, of the same in whole numbers, of a real
    server encrypted, and of noised rows. Prints recall, precision, mean average precision and the median rank of the
    first right answer, and draws recall over the number of hits.

    A server is started on this machine for it, and its files are removed; with --on-server the one that --server names
    gets the vectors for a while. A folder's sub-folders are labels; a manifest has a column path, and label or caption.
    With a model for DICOM objects the folder's objects are found, prepared and refused as `unseen enrol-dicom` does.

    \b
    Examples:
      unseen eval ~/Labelled
      unseen eval captions.csv --noise privunit:64 --noise privunit:16 --curves curves.png
      unseen eval ~/Labelled --model siglip2-b-16 --json
      unseen eval /archive/by-modality --model bundled+dicom
    """
    from unseen.dp.text import mechanism_from_text
    from unseen.embed.dicom_model import is_dicom_model
    from unseen.params import by_name
    from unseen_client.demo.stage import LOOPBACK, Stage, ending_cleanly
    from unseen_client.evaluate.curves import draw
    from unseen_client.evaluate.material import read_material, read_objects
    from unseen_client.evaluate.run import Wanted
    from unseen_client.evaluate.run import evaluate as measure
    from unseen_client.evaluate.vectors import Maker, ObjectMaker
    from unseen_client.home import default_home
    from unseen_client.prepare import Preparer
    from unseen_client.progress import watching
    from unseen_client.session import known_models
    from unseen_client.sync import Client

    mechanisms = tuple(mechanism_from_text(text) for text in noise or ())
    wanted = Wanted(by_name(parameters), tuple(sorted({*(k or DEFAULT_KS)})), mechanisms, questions)
    of_objects = is_dicom_model(model)
    if of_objects and faces.settings() != DEFAULT:
        raise InvalidInput("got options of faces, expected none: how DICOM objects are covered is not chosen here")
    items = read_objects(source, most) if of_objects else read_material(source, root, most)
    registry = known_models(link.home or default_home(), model)
    with ExitStack() as stack:
        preparer = stack.enter_context(Preparer(model, registry=registry, deid=faces.settings()))
        maker: Maker = stack.enter_context(closing(ObjectMaker(preparer))) if of_objects else preparer
        if on_server:
            client = stack.enter_context(link.client())
        else:
            stack.enter_context(ending_cleanly())
            stage = stack.enter_context(Stage())
            stage.start()
            client = stack.enter_context(Client(f"{LOOPBACK}:{stage.port}", home=stage.home))
        watch = stack.enter_context(watching(progress and not link.json))
        found = measure(items, maker, client, wanted, watch)
    # What was measured is shown first: a place that cannot be written to loses the picture of it, not the numbers.
    if link.json:
        say(True, _fields(found), "")
    else:
        _print(found)
    try:
        curves.write_bytes(draw(found.lines))
    except OSError as error:
        raise InvalidInput(f"cannot write {curves}: {error.strerror}; give --curves another place") from error
    if not link.json:
        say(False, {}, f"curves: {curves}")


def _fields(found: Evaluation) -> dict[str, object]:
    return {
        "pictures": found.pictures,
        "refused": found.refused,
        "reasons": dict(found.reasons),
        "with_faces": found.with_faces,
        "lines": [_line_fields(line) for line in found.lines],
    }


def _line_fields(line: Line) -> dict[str, object]:
    return {
        "asked": line.kind,
        "questions": line.questions,
        "way": line.way,
        "recall": {str(k): value for k, value in line.measures.recall.items()},
        "precision": {str(k): value for k, value in line.measures.precision.items()},
        "mean_average_precision": line.measures.mean_average_precision,
        "median_rank": line.measures.median_rank,
        "recall_curve": list(line.measures.curve),
    }


def _print(found: Evaluation) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console()
    ks = list(found.lines[0].measures.recall)
    for kind in dict.fromkeys(line.kind for line in found.lines):
        lines = [line for line in found.lines if line.kind == kind]
        title = f"{lines[0].questions} {kind} asked of {found.pictures} pictures"
        table = Table(box=None, title=title, title_justify="left")
        for name in ("", *(f"{what}@{k}" for what in ("R", "P") for k in ks), "mAP", "rank"):
            table.add_column(name, no_wrap=True)
        for line in lines:
            measures = line.measures
            numbers = [*measures.recall.values(), *measures.precision.values(), measures.mean_average_precision]
            table.add_row(line.way, *(f"{one:.3f}" for one in numbers), f"{measures.median_rank:g}")
        console.print(table)
    console.print("R: recall, P: precision, rank: the median rank of the first right answer")
    console.print(f"{found.refused} pictures refused, something covered in {found.with_faces}", markup=False)
    for reason, count in sorted(found.reasons.items(), key=lambda one: -one[1]):
        console.print(f"{count} refused: {reason}", markup=False, highlight=False)
