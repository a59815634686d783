"""Commands about adapters: models that somebody taught privately and shared."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from unseen.errors import InvalidInput
from unseen_client.cli.link import Json
from unseen_client.cli.outcome import say, telling

Home = Annotated[Path | None, typer.Option(envvar="UNSEEN_HOME", help="Folder of adapters on this device.")]

app = typer.Typer(help="Add, list, show adapters.", no_args_is_help=True, rich_markup_mode=None)


@app.command("add")
def add(
    *,
    file: Annotated[Path, typer.Argument(help="A file that `unseen adapt` wrote.")],
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Take in an adapter, so that this device can use collections that were made with it.

    \b
    Example:
      unseen adapters add birds.safetensors
    """
    from unseen_client.adapters import AdapterShelf
    from unseen_client.home import default_home

    with telling(as_json):
        held = AdapterShelf(home or default_home()).add(file)
        fields: dict[str, object] = {"model": held.entry.name, "model_id": held.entry.model_id}
        say(as_json, fields, f"{held.entry.name} is here: unseen create NAME --model {held.entry.name}")


@app.command("list")
def show_all(*, home: Home = None, as_json: Json = False) -> None:
    """List the adapters that this device has.

    \b
    Example:
      unseen adapters list
    """
    from unseen_client.adapters import AdapterShelf
    from unseen_client.home import default_home

    with telling(as_json):
        held = AdapterShelf(home or default_home()).all()
        fields = [
            {"model": one.entry.name, "model_id": one.entry.model_id, "card": json.loads(one.card)} for one in held
        ]
        words = "\n".join(f"{one.entry.name}\t{json.loads(one.card)['about']}" for one in held)
        say(as_json, {"adapters": fields}, words or "no adapters here: unseen adapters add FILE")


@app.command("show")
def show(
    *,
    model: Annotated[str, typer.Argument(help="The name that `unseen adapters list` shows.")],
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Show an adapter's card: what it was taught with, how private it is, what it is good for.

    \b
    Example:
      unseen adapters show bundled+adapter:0123456789ab
    """
    from unseen_client.adapt.card import card_page
    from unseen_client.adapters import AdapterShelf
    from unseen_client.home import default_home

    with telling(as_json):
        held = {one.entry.name: one.card for one in AdapterShelf(home or default_home()).all()}
        if model not in held:
            raise InvalidInput(f"no adapter is named {model!r} here; `unseen adapters list` shows those that are")
        say(as_json, {"model": model, "card": json.loads(held[model])}, card_page(model, held[model]))
