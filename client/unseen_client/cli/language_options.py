"""The options that name a language model on this device, shared by the commands that ask one."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from unseen.errors import InvalidInput

if TYPE_CHECKING:
    from unseen_client.describing.language_model import LanguageModel

KEY_VARIABLE = "UNSEEN_LANGUAGE_MODEL_KEY"
"""Holds the key that a server wants to see; options can be read by every user of the machine."""


@dataclass(frozen=True)
class LanguageOptions:
    """Where a language model is."""

    language_model: Annotated[
        str | None,
        typer.Option(
            metavar="PLACE",
            envvar="UNSEEN_LANGUAGE_MODEL",
            help="A local language model: a folder that transformers saved, or http://127.0.0.1:PORT/v1.",
        ),
    ] = None
    language_model_name: Annotated[
        str, typer.Option(envvar="UNSEEN_LANGUAGE_MODEL_NAME", help="Its name, where a server has several.")
    ] = ""
    language_model_anywhere: Annotated[
        bool, typer.Option("--language-model-anywhere", help="Let it be another machine's: pictures leave this device.")
    ] = False

    def model(self) -> LanguageModel:
        """The model that was named; raises InvalidInput when none was."""
        from unseen_client.describing.language_model import open_language_model

        if not self.language_model:
            raise InvalidInput("got no language model; give --language-model FOLDER or http://127.0.0.1:PORT/v1")
        return open_language_model(
            self.language_model,
            name=self.language_model_name,
            key=os.environ.get(KEY_VARIABLE, ""),
            anywhere=self.language_model_anywhere,
        )
