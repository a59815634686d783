"""The command line. ``main`` is what the `unseen` command runs."""

from __future__ import annotations


def main() -> None:
    """Run the command line; ends the process with one of the exit codes in ``outcome``."""
    import os

    # gRPC writes six lines of its own about every failed handshake; ours says it once. Read when gRPC is loaded.
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
    from unseen_client.cli.app import app

    app()
