"""What the child that de-identifies attributes adds to the engine: the year by the device's clock."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

from tests.core.deid.dicom.planting import as_file
from tests.core.deid.dicom.reports import report, text
from unseen_client.deid import attributes_child

KEY = bytes(range(32))
SAID = "fractures of 1937, 1938 and 1991"


@pytest.mark.parametrize("wanted", [attributes_child.ROWS_WANTED, attributes_child.TEXT_WANTED])
@pytest.mark.parametrize(
    ("clock", "left"),
    [(2060, "fractures of [DATE], [DATE] and 1991"), (1970, "fractures of [DATE], 1938 and 1991")],
)
def test_old_years_go_by_the_clock_of_the_device_unless_it_stands_before_this_release(
    wanted: bytes, clock: int, left: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attributes_child, "datetime", SimpleNamespace(now=lambda _: datetime(clock, 6, 1, tzinfo=UTC)))
    _, words = attributes_child.answered(wanted, as_file(report(1, text(SAID))), SAID.encode(), KEY, frozenset())
    assert words.decode().endswith(left)
