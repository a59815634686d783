"""The audit logs beside a store, examined with the keys that the store keeps for them. Reads, never writes.

Findings name the folder, which is a keyed hash, and a place; never a caller, a tenant or what was done.
"""

from __future__ import annotations

from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from unseen.audit.examination import examine_log
from unseen.store.examination import Report
from unseen_server.audit import KEY_FACT_KIND, log_key, origin_in
from unseen_server.signing import FACT_KIND as SIGNING_FACT_KIND


def examine_logs(folder: Path, report: Report) -> None:
    """Add to a report what its store's audit logs say; nothing where there is none."""
    names = sorted(path.name for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []
    if not names:
        return
    keys, signing = report.facts.get(KEY_FACT_KIND), report.facts.get(SIGNING_FACT_KIND)
    if not keys or not signing:
        report.add("audit logs", "their keys cannot be read from the store, so they were not examined")
        return
    public_keys = tuple(
        Ed25519PrivateKey.from_private_bytes(body[1:]).public_key().public_bytes_raw() for body in signing
    )
    for name in names:
        found = examine_log(folder / name, origin_in(report.store_uid, name), log_key(keys[-1][1:], name), public_keys)
        report.checked["audit leaves"] += found.leaves
        for what in found.findings:
            report.add(f"audit log {name}", what)
        report.notes += [f"audit log {name}: {note}" for note in found.notes]
