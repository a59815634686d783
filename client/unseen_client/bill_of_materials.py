"""What an installation is made of, in the form of CycloneDX 1.6 (ECMA-424): read from the packages' own metadata.

It names packages, versions and licences as their authors declare them. Libraries that a wheel carries inside (SEAL in
tenseal, SQLite in apsw) are not listed by their authors, so they are not listed here.
"""

from __future__ import annotations

import re
import uuid
from datetime import UTC, datetime
from importlib.metadata import Distribution, PackageNotFoundError, distribution, distributions
from typing import Any

from unseen.entropy import random_bytes

OWN = "unseen"
_REQUIREMENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_SPDX = re.compile(r"[A-Za-z0-9.+-]+(?: (?:AND|OR|WITH) [A-Za-z0-9.+()-]+)*")


def bill_of_materials(*, everything: bool = False) -> dict[str, Any]:
    """The bill as one JSON object; ``everything``: every package of this environment, else those that Unseen needs."""
    found = {name_of(one): one for one in distributions()} if everything else _needed()
    own = found.pop(OWN, None) or distribution(OWN)
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.UUID(bytes=random_bytes(16), version=4)}",
        "version": 1,
        "metadata": {
            "timestamp": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "component": _component(own, "application"),
        },
        "components": [_component(one, "library") for _, one in sorted(found.items())],
        "dependencies": [
            {"ref": _purl(one), "dependsOn": sorted(_purl(found[name]) for name in _requires(one) if name in found)}
            for one in (own, *(one for _, one in sorted(found.items())))
        ],
    }


def name_of(one: Distribution) -> str:
    """A package's name in the one form that indexes use (PEP 503)."""
    return re.sub(r"[-_.]+", "-", one.metadata["Name"]).lower()


def _needed() -> dict[str, Distribution]:
    """Unseen and everything that it needs and that is installed, its extras included."""
    found: dict[str, Distribution] = {}
    wanted = [OWN]
    while wanted:
        name = wanted.pop()
        if name in found:
            continue
        try:
            found[name] = distribution(name)
        except PackageNotFoundError:
            continue  # an extra that is not installed here, or another platform's
        wanted += _requires(found[name], extras=name == OWN)
    return found


def _requires(one: Distribution, *, extras: bool = False) -> list[str]:
    """Names of what a package requires; with ``extras`` what its extras require as well, but for development."""
    lines = [line.replace('"', "'") for line in one.requires or []]
    kept = [line for line in lines if "extra ==" not in line or (extras and "'dev'" not in line)]
    names = [match[0] for line in kept if (match := _REQUIREMENT.match(line))]
    return [re.sub(r"[-_.]+", "-", name).lower() for name in names]


def _component(one: Distribution, kind: str) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "type": kind,
        "bom-ref": _purl(one),
        "name": one.metadata["Name"],
        "version": one.version,
        "purl": _purl(one),
    }
    declared = one.metadata.json
    licence = declared.get("license_expression") or declared.get("license")
    if isinstance(licence, str) and _SPDX.fullmatch(licence):
        named = {"expression": licence} if " " in licence else {"license": {"name": licence}}
        fields["licenses"] = [named]
    return fields


def _purl(one: Distribution) -> str:
    return f"pkg:pypi/{name_of(one)}@{one.version}"
