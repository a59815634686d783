"""Commands about models: those that come with Unseen, those that were pulled, and those that could be."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from unseen.errors import InvalidInput
from unseen_client.cli.outcome import FAILED, say, telling

Home = Annotated[Path | None, typer.Option(envvar="UNSEEN_HOME", help="Folder of models on this device.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of words.")]

app = typer.Typer(help="List, pull, check models.", no_args_is_help=True, rich_markup_mode=None)


@app.command("list")
def show_all(*, home: Home = None, as_json: Json = False) -> None:
    """List the models that this device has, and those that can be pulled by a short name.

    \b
    Example:
      unseen models list
    """
    from unseen.embed.bundled import bundled_entry
    from unseen_client.adapters import AdapterShelf
    from unseen_client.home import default_home
    from unseen_client.models.known import KNOWN
    from unseen_client.models.shelf import HeldModel, ModelShelf

    with telling(as_json):
        where = home or default_home()
        every = ModelShelf(where).every()
        entries = [bundled_entry(), *(one.entry for one in AdapterShelf(where).all())]
        entries += [one.entry for one in every if isinstance(one, HeldModel)]
        broken = [{"name": one.name, "reason": one.reason} for one in every if not isinstance(one, HeldModel)]
        here = [{"name": one.name, "model_id": one.model_id, "dimension": one.dimension} for one in entries]
        names = {one.name for one in entries}
        known = [
            {"name": one.name, "repository": one.repository, "licence": one.licence_told, "use": one.use}
            for one in KNOWN
            if one.name not in names
        ]
        lines = [f"{one['name']}\t{one['dimension']} numbers\t{one['model_id']}" for one in here]
        lines += [f"{one['name']}\tcannot be used: {one['reason']}" for one in broken]
        lines += ["", "can be pulled; licences by hearsay (docs/models.md), read the model's card on the hub:"]
        lines += [f"{one['name']}\t{one['licence']}\t{one['use']}" for one in known]
        say(as_json, {"here": here, "broken": broken, "can_be_pulled": known}, "\n".join(lines))


@app.command("info")
def info(
    *,
    name: Annotated[str, typer.Argument(help="A name that `unseen models list` shows.")],
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Show what a model is: its id, licence and origin, its preprocessing, the hash of every file.

    \b
    Example:
      unseen models info clip-b-32
    """
    from unseen_client.home import default_home
    from unseen_client.models.inspect import page_of, told_of
    from unseen_client.models.shelf import ModelShelf

    with telling(as_json):
        told = _bundled() if name == "bundled" else told_of(ModelShelf(home or default_home()).held(name))
        say(as_json, told, page_of(told))


@app.command("pull")
def pull(
    *,
    what: Annotated[str, typer.Argument(help="Short name, OWNER/NAME on a hub, folder, or address of a manifest.")],
    name: Annotated[str, typer.Option(help="Name on this device; part of the model's id.")] = "",
    revision: Annotated[str, typer.Option(help="Branch, tag or commit on the hub.")] = "",
    adapter: Annotated[str, typer.Option(help="What opens it, where several fit: onnx-1, transformers-1, ...")] = "",
    sha256: Annotated[
        list[str] | None, typer.Option(help="FILE=HEX: what a file must hash to. May be given several times.")
    ] = None,
    licence: Annotated[str, typer.Option(help="Its licence, where the place does not say.")] = "",
    hub: Annotated[str, typer.Option(envvar="UNSEEN_HUB", help="A hub of models.")] = "https://huggingface.co",
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Take a model in and pin it: from a hub, an address or a folder, over TLS, whole or not at all.

    \b
    Example:
      unseen models pull clip-b-32
    """
    from unseen.embed.pulled.upstream import one_line
    from unseen_client.home import default_home
    from unseen_client.models.inspect import told_of
    from unseen_client.models.places import place_of, repositories_beside
    from unseen_client.models.pull import Wish
    from unseen_client.models.pull import pull as take_in
    from unseen_client.models.shelf import ModelShelf
    from unseen_client.progress import watching

    with telling(as_json):
        wish = Wish(name, adapter or None, revision, licence, _vouched(sha256 or []))
        source, wish = place_of(what, hub, wish)
        beside = repositories_beside(source, hub)
        with watching(not as_json) as watcher:
            held = take_in(ModelShelf(home or default_home()), source, wish, beside, watcher)
        told = told_of(held)
        words = (
            f"{told['name']} is here, {told['dimension']} numbers, licence: {one_line(str(told['licence']))}\n"
            f"  unseen models check {told['name']}\n  unseen create NAME --model {told['name']}"
        )
        say(as_json, told, words)


@app.command("check")
def check(
    *,
    names: Annotated[list[str] | None, typer.Argument(help="Names; all that were pulled when left out.")] = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Hash every file of a model, open it, and have it answer for a made-up picture and made-up words.

    \b
    Example:
      unseen models check clip-b-32
    """
    from unseen.errors import UnseenError
    from unseen_client.home import default_home
    from unseen_client.models.inspect import check_model
    from unseen_client.models.shelf import ModelShelf, name_of

    with telling(as_json):
        shelf = ModelShelf(home or default_home())
        found: list[dict[str, object]] = []
        for one in names or [name_of(held) for held in shelf.every()]:
            try:
                found.append({"name": one, "works": True, "told": check_model(shelf.held(one))})
            except UnseenError as error:
                found.append({"name": one, "works": False, "told": [str(error)]})
        lines = [f"{one['name']}\t{'works' if one['works'] else 'DOES NOT WORK'}: {_joined(one)}" for one in found]
        say(as_json, {"models": found}, "\n".join(lines) or "no model was pulled to this device")
        if not all(one["works"] for one in found):
            raise SystemExit(FAILED)


def _joined(found: dict[str, object]) -> str:
    told = found["told"]
    return "; ".join(told) if isinstance(told, list) else ""


def _vouched(given: list[str]) -> dict[str, str]:
    told = {}
    for one in given:
        file, _, digest = one.rpartition("=")
        if not file or len(digest) != 64 or not all(digit in "0123456789abcdefABCDEF" for digit in digest):
            raise InvalidInput(f"got --sha256 {one[:80]!r}, expected FILE=HEX with 64 hex digits")
        told[file] = digest
    return told


def _bundled() -> dict[str, object]:
    from unseen.embed.bundled import FOLDER, bundled_entry
    from unseen.weights import read_manifest

    entry, manifest = bundled_entry(), read_manifest(FOLDER)
    return {
        "name": entry.name,
        "model_id": entry.model_id,
        "dimension": entry.dimension,
        "licence": "Apache-2.0 and MIT, by file: core/unseen/embed/models/README.md",
        "origin": "comes with Unseen",
        "limits": "taught photographs: it knows no lesions and no words of medicine (docs/medical.md)",
        "recipe": dict(manifest.recipe),
        "files": [
            {"name": one.name, "sha256": one.sha256, "size_bytes": one.size_bytes} for one in manifest.files.values()
        ],
    }
