"""Commands about what is on pictures: tags, and questions to a language model on this device."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from unseen.errors import InvalidInput
from unseen_client.cli.collections import Name
from unseen_client.cli.described import image_files
from unseen_client.cli.face_options import FaceOptions
from unseen_client.cli.language_options import LanguageOptions
from unseen_client.cli.link import Link, linked
from unseen_client.cli.outcome import PARTLY, say
from unseen_client.cli.shown import shown
from unseen_client.cli.spread import spread
from unseen_client.cli.tag_options import TagOptions

if TYPE_CHECKING:
    from unseen_client.report import Tagged


@spread(tags=TagOptions, faces=FaceOptions)
@linked
def tag(
    *,
    name: Name,
    paths: Annotated[
        list[Path] | None, typer.Argument(help="Images and folders; left out: the rows themselves.")
    ] = None,
    tags: TagOptions,
    faces: FaceOptions,
    link: Link,
) -> None:
    """Show which tags fit pictures or rows; changes nothing.

    The collection's model compares each picture with the tags that you give, on this device. A tag is shown when few
    everyday words fit the picture as well: the second number is that part. `unseen enrol --tags-from` keeps tags.

    \b
    Examples:
      unseen tag photos ~/Pictures --tags-from tags.txt
      unseen tag photos beach.jpg --try beach --try forest
      unseen tag photos --tags-from tags.txt --json
    """
    vocabulary = tags.vocabulary()
    if vocabulary is None:
        raise InvalidInput("got no tags to choose from; give --tags-from FILE, or --try TAG")
    with link.client(faces.settings()) as client:
        if paths:
            found = client.tag(name, image_files(paths), vocabulary, most_chance=tags.most_chance)
        else:
            found = client.tag_rows(name, vocabulary, most_chance=tags.most_chance)
    say(link.json, {"tagged": [_fields(one) for one in found]}, "\n".join(map(_line, found)) or "no rows yet")
    if any(one.refusal for one in found):
        raise SystemExit(PARTLY)


@spread(language=LanguageOptions, faces=FaceOptions)
@linked
def ask(
    *,
    name: Name,
    row: Annotated[str, typer.Argument(metavar="ID", help="A row, as `unseen search` shows it.")],
    question: Annotated[str, typer.Argument(help="What you want to know about its picture.")],
    picture: Annotated[
        Path | None, typer.Option(help="Its file; left out: where the record's path or link says.")
    ] = None,
    language: LanguageOptions,
    faces: FaceOptions,
    link: Link,
) -> None:
    """Ask a language model on this device about a row's picture.

    The picture is the file on this device, faces covered; the server is not asked for it and has none. What the model
    says may be wrong, and may repeat what is written in the picture.

    \b
    Examples:
      unseen ask photos 3f9a0c51d2e4b687 "What colour is the boat?" --language-model http://127.0.0.1:8080/v1
      unseen ask photos 3f9a0c51d2e4b687 "How many dogs?" --picture dogs.jpg --language-model ~/models/smolvlm
    """
    model = language.model()
    with link.client(faces.settings()) as client:
        said = client.ask(name, row, question, model, picture=picture)
    say(link.json, {"answer": said}, shown(said))


def _fields(one: Tagged) -> dict[str, object]:
    tags = [{"tag": tag.text, "score": tag.score, "chance": tag.chance} for tag in one.tags]
    refused = {} if one.refusal is None else {"refused": {"code": one.refusal.code, "reason": one.refusal.reason}}
    return {"source": one.source, "tags": tags, **refused}


def _line(one: Tagged) -> str:
    if one.refusal is not None:
        return f"{shown(one.source)}\trefused: {shown(one.refusal.reason)}"
    return "\t".join([shown(one.source), *(f"{shown(tag.text)} {tag.score:.2f} {tag.chance:.1%}" for tag in one.tags)])
