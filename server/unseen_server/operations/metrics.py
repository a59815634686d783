"""What the server counts, in the form that Prometheus reads. No content, no caller, no collection.

Names and units follow https://prometheus.io/docs/practices/naming/. docs/operations.md lists them with alerts.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, disable_created_metrics

CALL_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
APPEND_BUCKETS_S = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0)
OK = "OK"
OVER_LIMIT = ("LIMIT_EXCEEDED", "QUOTA_EXCEEDED", "BUDGET_EXCEEDED", "SERVER_BUSY")


class Metrics:
    """One server's counts. Safe to use from several threads."""

    def __init__(self, release: str) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry()
        self.tenant_hash: Callable[[str], str] | None = None
        """When set, calls are also counted by this keyed hash of the tenant."""
        self._calls = Counter(
            "unseen_calls", "Calls that ended, by method and outcome.", ["method", "code"], registry=self.registry
        )
        self._seconds = Histogram(
            "unseen_call_duration_seconds",
            "How long calls took.",
            ["method"],
            registry=self.registry,
            buckets=CALL_BUCKETS_S,
        )
        self._under_way = Gauge("unseen_calls_in_progress", "Calls under way.", registry=self.registry)
        self._by_tenant = Counter(
            "unseen_tenant_calls",
            "Calls that ended, by keyed hash of the tenant.",
            ["tenant", "code"],
            registry=self.registry,
        )
        self._audit_seconds = Histogram(
            "unseen_audit_append_duration_seconds",
            "How long one group of leaves took to be on disk.",
            registry=self.registry,
            buckets=APPEND_BUCKETS_S,
        )
        self._audit_group = Counter("unseen_audit_leaves", "Leaves written to the audit logs.", registry=self.registry)
        Gauge("unseen_build_info", "Always 1.", ["version"], registry=self.registry).labels(version=release).set(1)
        ProcessCollector(registry=self.registry)

    def call_began(self) -> None:
        """A call is under way."""
        self._under_way.inc()

    def call_ended(self, method: str, code: str, seconds: float, tenant: str | None) -> None:
        """A call ended, with OK or the code of an error; ``tenant`` is None when nobody known called."""
        self._under_way.dec()
        self._calls.labels(method=method, code=code).inc()
        self._seconds.labels(method=method).observe(seconds)
        if self.tenant_hash is not None and tenant is not None:
            self._by_tenant.labels(tenant=self.tenant_hash(tenant), code=code).inc()

    def leaves_written(self, count: int, seconds: float) -> None:
        """A group of leaves is on disk."""
        self._audit_group.inc(count)
        self._audit_seconds.observe(seconds)

    def watch(self, name: str, what: str, now: Callable[[], float]) -> None:
        """Show a number as it is whenever somebody looks."""
        Gauge(name, what, registry=self.registry).set_function(now)

    def calls(self, method: str | None = None, codes: tuple[str, ...] | None = None) -> int:
        """How many calls ended, of one method or all, with one of these codes or any."""
        return int(
            sum(
                sample.value
                for family in self._calls.collect()
                for sample in family.samples
                if (method is None or sample.labels["method"] == method)
                and (codes is None or sample.labels["code"] in codes)
            )
        )

    @property
    def under_way(self) -> int:
        """Calls under way."""
        return int(next(iter(self._under_way.collect())).samples[0].value)


def component_versions() -> dict[str, str]:
    """Releases of what the server stands on."""
    return {name: version(name) for name in ("apsw", "cryptography", "grpcio", "numba", "numpy", "protobuf")}
