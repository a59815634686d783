"""What is said of models that can be pulled by a short name is the same everywhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from unseen.embed.pulled.recipe import ADAPTERS, MODEL_NAME
from unseen_client.models.known import KNOWN, PICKLED, KnownModel

DOCUMENT = Path(__file__).parents[3] / "docs" / "models.md"


@pytest.mark.parametrize("known", KNOWN, ids=lambda one: one.name)
def test_the_document_says_of_a_known_model_what_the_command_says(known: KnownModel) -> None:
    assert MODEL_NAME.fullmatch(known.name)
    assert known.adapter in ADAPTERS
    (row,) = [line for line in DOCUMENT.read_text().splitlines() if line.startswith(f"| `{known.name}`")]
    _, name, _, licence, repository, _ = (cell.strip() for cell in row.split("|"))
    assert repository == known.repository
    assert licence.startswith(known.licence)
    assert licence.endswith("¹") is not known.card_seen
    assert name.endswith("²") is (PICKLED in known.use)
    assert known.licence_told.endswith("(card not seen)") is not known.card_seen
