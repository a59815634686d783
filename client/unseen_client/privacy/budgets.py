"""The budgets that this device keeps to: at most so much epsilon for each subject, and for the device together.

One small file on the device. It names nobody. Whoever can write it can raise the budgets: they protect against
mistakes, not against the device's owner.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from math import inf, isinf
from pathlib import Path

from unseen.dp.gaussian import DEFAULT_DELTA
from unseen.dp.ledger import Budget
from unseen.errors import IntegrityError, InvalidConfiguration, StoreFailed
from unseen.json_text import read_json
from unseen_client.home import private_folder, refuse_others, write_private

FORMAT = "unseen-privacy-budgets-1"
FILE_NAME = "budgets.json"
DEFAULT_SUBJECT_EPSILON = 64.0
"""One release of an image at the least noise with which search is still of use, and no second one."""


@dataclass(frozen=True)
class Budgets:
    """What may be spent. An epsilon of infinity is no limit."""

    per_subject: Budget
    per_device: Budget


def default_budgets() -> Budgets:
    """What holds until somebody sets another budget."""
    return Budgets(Budget(DEFAULT_SUBJECT_EPSILON, DEFAULT_DELTA), Budget(inf, DEFAULT_DELTA))


def changed(budgets: Budgets, per_subject: float | None, per_device: float | None, delta: float | None) -> Budgets:
    """Budgets with the values given in place of their own; raises InvalidConfiguration for one that is none."""

    def one(budget: Budget, epsilon: float | None) -> Budget:
        return replace(
            budget,
            epsilon=budget.epsilon if epsilon is None else epsilon,
            delta=budget.delta if delta is None else delta,
        )

    return Budgets(one(budgets.per_subject, per_subject), one(budgets.per_device, per_device))


def read_budgets(folder: Path) -> Budgets:
    """The budgets that were set, else the defaults; raises IntegrityError for a file that cannot be read as such."""
    path = folder / FILE_NAME
    try:
        refuse_others(path, "600")
        text = path.read_bytes()
    except FileNotFoundError:
        return default_budgets()
    except OSError as error:
        raise StoreFailed(
            f"cannot read {path}: {error.strerror}; nothing is released before its budget is known"
        ) from (error)
    try:
        fields = read_json(text)
        if fields["format"] != FORMAT:
            raise KeyError
        return Budgets(_from_fields(fields["per_subject"]), _from_fields(fields["per_device"]))
    except (ValueError, KeyError, TypeError, OverflowError, InvalidConfiguration):
        raise IntegrityError(f"{path} is damaged: remove it, then set budgets anew with `unseen budget`") from None


def write_budgets(folder: Path, budgets: Budgets) -> None:
    """Keep budgets; on disk when this returns. Raises StoreFailed."""
    fields = {
        "format": FORMAT,
        "per_subject": budget_fields(budgets.per_subject),
        "per_device": budget_fields(budgets.per_device),
    }
    write_private(private_folder(folder) / FILE_NAME, json.dumps(fields, sort_keys=True).encode())


def budget_fields(budget: Budget) -> dict[str, float | None]:
    """A budget as JSON has it: no limit is null."""
    return {"epsilon": None if isinf(budget.epsilon) else budget.epsilon, "delta": budget.delta}


def _from_fields(fields: dict[str, float | None]) -> Budget:
    epsilon, delta = fields["epsilon"], fields["delta"]
    return Budget(inf if epsilon is None else float(epsilon), float(delta if delta is not None else "nan"))
