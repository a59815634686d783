"""Which numbers the metrics page shows as they are when somebody looks."""

from __future__ import annotations

import shutil

from unseen_server.audit import Audit
from unseen_server.engine import Engine
from unseen_server.operations.metrics import Metrics
from unseen_server.services.operations import Standing
from unseen_server.workers import Workers


def watch(metrics: Metrics, engine: Engine, workers: Workers, audit: Audit, standing: Standing) -> None:
    """Add them to the page."""
    for name, what, now in (
        ("unseen_collections", "Collections.", lambda: engine.collection_count),
        ("unseen_rows", "Rows that can be found.", lambda: engine.rows),
        ("unseen_index_bytes", "Memory of packed rows.", lambda: engine.memory_bytes),
        ("unseen_mask_blocks_ready", "Blocks whose masks are made ahead.", lambda: engine.mask_blocks_ready),
        ("unseen_under_way_bytes", "Queries, replies and enrolments in memory.", lambda: workers.bytes_held),
        ("unseen_audit_writable", "1 while acts can be written down, else 0.", lambda: float(audit.has_room)),
        ("unseen_audit_log_leaves", "Leaves in the audit logs.", lambda: sum(log.now.size for log in audit.logs())),
        ("unseen_audit_log_bytes", "Size of the audit logs.", lambda: sum(log.now.end for log in audit.logs())),
        ("unseen_disk_free_bytes", "Free for the data directory.", lambda: shutil.disk_usage(standing.data).free),
        (
            "unseen_certificate_expiry_timestamp_seconds",
            "When the server's certificate ends; 0 without TLS.",
            lambda: standing.certificate_expires_s() or 0,
        ),
    ):
        metrics.watch(name, what, now)
