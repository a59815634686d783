"""A query reaches the rows that may be searched for its purpose, and no crafted one reaches any other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tests.server.governance.steward import Steward
from unseen.types import SLOTS_PER_EXTENT

Rows = Callable[..., tuple[Any, Any]]
Governed = Callable[..., Steward]


def test_each_purpose_scores_its_own_rows_and_agrees_with_plain_arithmetic(governed: Governed, make_rows: Rows) -> None:
    steward = governed()
    for_both = steward.consent(purposes=frozenset({"research", "care"}))
    parts: list[tuple[frozenset[str], Any, Any]] = []
    for purposes, count in (
        (["research"], 40),
        (["care"], 30),
        (["research", "care"], 20),
        (["research"], 2100),
        (["care"], 5),
    ):
        vectors, batch = make_rows(count)
        for start in range(0, count, 1000):
            part = slice(start, start + 1000)
            some = type(batch)(batch.row_ids[part], batch.vectors[part], batch.sealed_records[part])
            steward.enrol(some, for_both, purposes)
        parts.append((frozenset(purposes), vectors, batch))
    query = parts[1][1][3]
    slot_of = {row_id: entry.slot for row_id, entry in steward.caller.sync(steward.uid)[1].items()}
    for purpose in ("research", "care"):
        scores = steward.search(query, purpose)
        for allowed, vectors, batch in parts:
            found = np.array([scores[slot_of[row_id]] for row_id in batch.row_ids])
            if purpose in allowed:
                assert np.abs(found - vectors @ query).max() < 0.02
            else:
                assert np.isnan(found).all()


def test_the_reply_holds_no_block_of_an_extent_that_is_not_allowed(governed: Governed, make_rows: Rows) -> None:
    steward = governed()
    given = steward.consent(purposes=frozenset({"research", "care"}))
    steward.enrol(make_rows(10)[1], given, ["care"])
    steward.enrol(make_rows(10)[1], given, ["research"])
    steward.enrol(make_rows(10)[1], given, ["research", "care"])
    info = steward.info()
    assert info.slots == 2 * SLOTS_PER_EXTENT + 10
    assert reply_of(steward, "care") == [(0, 1), (2, 1)]
    assert reply_of(steward, "research") == [(1, 2)]


def reply_of(steward: Steward, purpose: str) -> list[tuple[int, int]]:
    """Runs of extents of a reply, whose bytes are exactly those of the blocks that it names."""
    from tests.server.messages import PARAMETERS
    from unseen.he import packing, quantise
    from unseen.he.message import reply_block_bytes
    from unseen.he.secret import PreparedQuery

    info = steward.info()
    layout = packing.Packing(PARAMETERS.ring_degree, info.dimension, info.packing_factor)
    query, _ = PreparedQuery.prepare(PARAMETERS, layout).encrypt(
        quantise.quantise_query(PARAMETERS, np.ones(16, np.float32))
    )
    header, blocks = steward.caller.search_bytes(info, query, purpose=purpose)
    assert header.partial
    assert len(blocks) == header.blocks * reply_block_bytes(PARAMETERS, layout)
    slots = [
        min(info.slots, (run.first + run.count) * SLOTS_PER_EXTENT) - run.first * SLOTS_PER_EXTENT
        for run in header.extents
    ]
    assert header.blocks == sum(layout.blocks(count) for count in slots)
    return [(run.first, run.count) for run in header.extents]


def test_a_purpose_without_rows_gets_an_empty_reply(governed: Governed, make_rows: Rows) -> None:
    steward = governed()
    vectors, batch = make_rows(4)
    steward.enrol(batch, steward.consent(purposes=frozenset({"care", "research"})), ["care"])
    assert np.isnan(steward.search(vectors[0], "research")).all()


@pytest.mark.parametrize("purpose", ["", "marketing", "emergency", "Research", "research "])
def test_a_query_without_a_purpose_that_the_agreement_has_is_refused(
    governed: Governed, make_rows: Rows, purpose: str
) -> None:
    steward = governed()
    vectors, batch = make_rows(1)
    steward.enrol(batch, steward.consent())
    refusal = steward.caller.refusal(steward.search, vectors[0], purpose)
    assert refusal.code == "PURPOSE_NOT_ALLOWED"
    if purpose != "emergency":
        assert "care, research" in refusal.message


def test_a_purpose_that_a_new_version_drops_is_searched_for_no_more(governed: Governed, make_rows: Rows) -> None:
    steward = governed()
    vectors, batch = make_rows(2)
    steward.enrol(batch, steward.consent(purposes=frozenset({"care", "research"})), ["care", "research"])
    only_care = [{"id": "care", "description": "Treatment.", "type": ""}]
    steward.set_policy(purposes=only_care)
    assert steward.caller.refusal(steward.search, vectors[0], "research").code == "PURPOSE_NOT_ALLOWED"
    assert steward.search(vectors[0], "care")[0] == pytest.approx(1, abs=0.02)


def test_purposes_hold_after_a_restart_and_a_repacking(
    own_server: Any, dial: Any, governed: Governed, make_rows: Rows
) -> None:
    steward = governed()
    given = steward.consent(purposes=frozenset({"care", "research"}), validity_duration=None)
    vectors, batch = make_rows(3)
    steward.enrol(batch, given, ["care"])
    factor = steward.info().packing_factor
    for _ in range(3):
        steward.enrol(make_rows(1000)[1], given, ["research"])
    assert steward.info().packing_factor != factor
    own_server.stop()
    own_server.start()
    again = Steward(dial(), steward.uid)
    for purpose, expected in (("care", 3), ("research", 3000)):
        scores = again.search(vectors[1], purpose)
        assert np.isfinite(scores[:3]).all() == (purpose == "care")
        assert np.isfinite(scores).sum() >= expected
