"""Exports: whole ones verify, from anywhere; cut, altered or foreign ones do not."""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from tests.core.audit.conftest import KEY, ORIGIN, PUBLIC_KEY, OpenLog
from unseen.audit.export import ExportBegin, head_line, read_export
from unseen.audit.head import TreeHead, open_head, sign_head
from unseen.audit.leaf import Leaf
from unseen.audit.log import Log
from unseen.audit.receipt import Receipt
from unseen.errors import MalformedMessage, ProofBroken, UnseenError


def some_leaves(count: int) -> list[bytes]:
    return [Leaf("Search", f"caller {at}", at, "OK").to_bytes(bytes(16)) for at in range(count)]


@pytest.fixture
def log(open_log: OpenLog) -> Log:
    log = open_log()
    for leaf in some_leaves(21):
        log.append([leaf])
    return log


def export_of(log: Log, first: int = 0) -> list[bytes]:
    begin = ExportBegin(ORIGIN, (PUBLIC_KEY,), first, log.subtrees(first))
    return [begin.to_bytes(), *log.leaves(first), head_line(log.head)]


@pytest.mark.parametrize("first", [0, 1, 7, 8, 16, 20, 21])
def test_an_export_from_anywhere_verifies(log: Log, first: int) -> None:
    begin, head = read_export(line + b"\n" for line in export_of(log, first))
    assert (begin.first_index, head) == (first, open_head(log.head, ORIGIN, [PUBLIC_KEY]))


def test_a_plain_reader_of_other_tools_gets_the_same_root(log: Log) -> None:
    """The twin: nothing of ours, only what docs/formats.md says."""
    first, *leaves, last = [line.decode() for line in export_of(log)]
    level = [hashlib.sha256(b"\0" + leaf.encode()).digest() for leaf in leaves]
    while len(level) > 1:
        pairs = [hashlib.sha256(b"\1" + a + b).digest() for a, b in zip(level[::2], level[1::2], strict=False)]
        level = pairs + level[len(level) & ~1 :]
    size, root = json.loads(last)["head"].split("\n")[1:3]
    assert (int(size), base64.b64decode(root)) == (len(leaves), level[0])
    assert json.loads(first)["origin"] == ORIGIN
    assert [json.loads(leaf)["who"] for leaf in leaves] == [f"caller {at}" for at in range(21)]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_altered_cut_and_reordered_exports_are_refused(log: Log, data: st.DataObject) -> None:
    lines = export_of(log, data.draw(st.sampled_from([0, 5, 16])))
    how = data.draw(st.sampled_from(["bit", "drop", "double", "swap", "behind"]))
    at = data.draw(st.integers(0, len(lines) - 1))
    if how == "bit":
        place = data.draw(st.integers(0, len(lines[at]) - 1))
        keys = lines[0].index(b'"public_keys"')
        assume(at or not keys < place < keys + 90)  # which keys it names does not matter where others are trusted
        lines[at] = lines[at][:place] + bytes([lines[at][place] ^ 1]) + lines[at][place + 1 :]
    elif how == "drop":
        del lines[at]
    elif how == "double":
        lines.insert(at, lines[at])
    elif how == "swap":
        other = (at + 1) % len(lines)
        lines[at], lines[other] = lines[other], lines[at]
    else:
        lines.append(lines[at])
    with pytest.raises(UnseenError):
        read_export(iter(lines), trusted=(PUBLIC_KEY,))


def test_heads_from_elsewhere_lie_on_the_log_or_are_reported(log: Log, open_log: OpenLog, tmp_path: Path) -> None:
    lines = export_of(log)
    edge = [open_head(log.head, ORIGIN, [PUBLIC_KEY]), TreeHead(ORIGIN, 5, fresh_root(open_log, tmp_path, 5))]
    read_export(iter(lines), edge)
    for wrong in (TreeHead(ORIGIN, 5, bytes(32)), TreeHead(ORIGIN, 22, bytes(32)), TreeHead(ORIGIN, 0, bytes(32))):
        with pytest.raises(ProofBroken):
            read_export(iter(lines), [wrong])


def fresh_root(open_log: OpenLog, tmp_path: Path, count: int) -> bytes:
    """Opens another log: the first one is closed by it."""
    log = open_log(tmp_path / "other")
    log.append(some_leaves(count))
    return open_head(log.head, ORIGIN, [PUBLIC_KEY]).root


def test_an_export_that_begins_later_cannot_be_compared_with_an_earlier_head(log: Log) -> None:
    with pytest.raises(ProofBroken, match="from the beginning"):
        read_export(iter(export_of(log, 8)), [TreeHead(ORIGIN, 5, bytes(32))])


def test_a_head_signed_by_a_key_that_only_the_export_names_is_not_trusted(log: Log) -> None:
    forged = sign_head(open_head(log.head, ORIGIN, [PUBLIC_KEY]), KEY)
    lines = [*export_of(log)[:-1], head_line(forged)]
    read_export(iter(lines))
    with pytest.raises(ProofBroken):
        read_export(iter(lines), trusted=(bytes(32),))


@pytest.mark.parametrize(
    "line",
    [b"", b"{}", b"[]", b'{"format":"unseen-audit-export-2"}',
     b'{"first_index":"0","format":"unseen-audit-export-1","origin":"a","public_keys":[],"subtrees":[]}',
     b'{"first_index":1,"format":"unseen-audit-export-1","origin":"a","public_keys":[],"subtrees":[]}',
     b'{"first_index":-1,"format":"unseen-audit-export-1","origin":"a","public_keys":[],"subtrees":[]}',
     b'{"first_index":0,"format":"unseen-audit-export-1","origin":"a","public_keys":["zz"],"subtrees":[]}',
     b'{"first_index":0,"format":"unseen-audit-export-1","origin":"a","public_keys":["00"],"subtrees":[]}'],
)  # fmt: skip
def test_what_is_no_export_is_refused(line: bytes) -> None:
    with pytest.raises(MalformedMessage):
        read_export(iter([line]))


def test_receipts_come_back_and_what_is_none_is_refused() -> None:
    receipt = Receipt(7, some_leaves(1)[0], sign_head(TreeHead(ORIGIN, 8, bytes(32)), KEY))
    assert Receipt.from_bytes(receipt.to_bytes()) == receipt
    for data in (b"", b"{}", b"[]", b"\xff", b"x" * 100_000, receipt.to_bytes()[:-1], b"[" * 10_000):
        with pytest.raises(MalformedMessage):
            Receipt.from_bytes(data)
