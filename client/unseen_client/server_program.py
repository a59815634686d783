"""Whether the server's program can be started here: its packages are an extra, and the client imports none of them."""

from __future__ import annotations

from importlib.util import find_spec

from unseen.errors import InvalidConfiguration

PACKAGES = ("unseen_server", "apsw", "grpc_health", "llvmlite", "numba", "prometheus_client", "jwt")
"""What `unseen[server]` brings, and the server itself, which a client may be shipped without."""


def require_server() -> None:
    """InvalidConfiguration when a package that the server needs is not installed here."""
    missing = [name for name in PACKAGES if find_spec(name) is None]
    if missing:
        raise InvalidConfiguration(
            f"the server is not installed here ({', '.join(missing)} missing): pip install 'unseen[server]'"
        )
