"""Does any noise mechanism betray more than it claims, and would it be noticed? Releases, bets, confidence bounds.

    python -m bench.noise_audit --releases 1000000 --dim 64 --json FILE

Every mechanism releases the worst pair of vectors; the auditor (core/unseen/dp/audit.py) reports the largest epsilon
that the releases prove. Then the same for a mechanism with half the noise under the same claim, which must be refuted.
All findings of the table hold together with 95 % confidence. Fails when a true mechanism is refuted or a false one is
not. Noise is fresh on every run.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from bench.measure import print_table, write_json
from unseen.dp.audit import Audit, audit
from unseen.dp.gaussian import Gaussian
from unseen.dp.mechanism import Mechanism
from unseen.dp.metric import MetricVonMisesFisher
from unseen.dp.privunit import PrivUnit

EPSILONS = (1.0, 2.0, 4.0, 8.0, 32.0, 128.0)
FINDINGS = 3


class HalfGaussian(Gaussian):
    """Half the deviation of what it claims."""

    @property
    def deviation(self) -> float:
        return super().deviation / 2


def pairs() -> list[tuple[str, Mechanism, Mechanism]]:
    """Name, the mechanism, and the one with half its noise: half the deviation, or twice the epsilon or kappa."""
    found: list[tuple[str, Mechanism, Mechanism]] = []
    for epsilon in EPSILONS:
        found.append(("PrivUnit", PrivUnit(epsilon), PrivUnit(2 * epsilon)))
        found.append(("Gaussian", Gaussian(epsilon), HalfGaussian(epsilon)))
        metric = MetricVonMisesFisher(epsilon / 2)
        found.append(("metric vMF", metric, MetricVonMisesFisher(epsilon)))
    return sorted(found, key=lambda item: item[0])


def figures_of(name: str, true: Audit, half: Audit) -> dict[str, object]:
    return {
        "mechanism": name,
        "epsilon_claimed": true.event.epsilon,
        "delta": true.event.delta,
        "epsilon_audited": true.epsilon_lower,
        "epsilon_audited_from_mu": true.epsilon_from_mu,
        "distance": true.distance,
        "distance_allowed": true.distance_allowed,
        "refuted": true.refuted,
        "half_noise_epsilon_audited": half.epsilon_lower,
        "half_noise_epsilon_audited_from_mu": half.epsilon_from_mu,
        "half_noise_distance": half.distance,
        "half_noise_refuted": half.refuted,
    }


def cell(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.4g}" if isinstance(value, float) else "–" if value is None else str(value)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.noise_audit", description=__doc__.splitlines()[0])
    parser.add_argument("--releases", type=int, default=100_000)
    parser.add_argument("--dim", type=int, default=64)
    parser.add_argument("--json", type=Path)
    chosen = parser.parse_args()
    every = pairs()
    confidence = 1 - 0.05 / (FINDINGS * len(every))
    rows: list[dict[str, object]] = []
    for name, mechanism, true in every:
        found = audit(mechanism, chosen.dim, chosen.releases, confidence=confidence)
        half = audit(true, chosen.dim, chosen.releases, claimed=mechanism, confidence=confidence)
        rows.append(figures_of(name, found, half))
    header = ("mechanism", "claimed", "audited", "by mu", "refuted", "half: audited", "by mu", "refuted")
    keys = ["mechanism", "epsilon_claimed", "epsilon_audited", "epsilon_audited_from_mu", "refuted"]
    keys += ["half_noise_epsilon_audited", "half_noise_epsilon_audited_from_mu", "half_noise_refuted"]
    title = f"{chosen.releases} releases of each of two vectors, {chosen.dim} dimensions"
    print_table(title, [tuple(cell(row[key]) for key in keys) for row in rows], header)
    write_json(chosen.json, {"releases": chosen.releases, "dim": chosen.dim, "audits": rows})
    if any(row["refuted"] or not row["half_noise_refuted"] for row in rows):
        sys.exit("a claim was refuted, or half the noise was not noticed")


if __name__ == "__main__":
    main()
