"""The sbom command: what this installation is made of, for whoever keeps lists of that."""

from __future__ import annotations

import json
import sys
from typing import Annotated

import typer

from unseen_client.cli.outcome import telling


def sbom(
    *,
    everything: Annotated[
        bool, typer.Option("--all", help="Every package installed here, not only Unseen's own.")
    ] = False,
) -> None:
    """Print a bill of materials (CycloneDX).

    It lists Unseen and what it stands on, as installed here: packages, versions, declared licences.

    \b
    Example:
      unseen sbom > unseen.cdx.json
    """
    from unseen_client.bill_of_materials import bill_of_materials

    with telling(as_json=False):
        sys.stdout.write(json.dumps(bill_of_materials(everything=everything), indent=1) + "\n")
