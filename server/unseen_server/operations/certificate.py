"""When the server's certificate ends: read from its file whenever somebody asks, because files are renewed."""

from __future__ import annotations

from pathlib import Path

from cryptography import x509


def expires_s(file: Path | None) -> int | None:
    """Seconds since 1970; None without a file, or while it cannot be read."""
    if file is None:
        return None
    try:
        certificates = x509.load_pem_x509_certificates(file.read_bytes())
    except (OSError, ValueError):
        return None
    return int(certificates[0].not_valid_after_utc.timestamp()) if certificates else None
