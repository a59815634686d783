"""The command line. ``main`` is what the `unseen` command runs."""

from __future__ import annotations


def main() -> None:
    """Run the command line; ends the process with one of the exit codes in ``outcome``."""
    from unseen_client.cli.app import app

    app()
