"""Is an audit log what it says? Every leaf is opened and the tree built anew; nothing is written, nothing is cut off.

For a log that no server uses: doctors, auditors with the disk in hand. Findings say where and what, never content.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from unseen.audit import tree
from unseen.audit.frames import HEADER, has_frame_behind, read_frame
from unseen.audit.head import TreeHead, open_head
from unseen.audit.leaf import ASKED, leaf_fields
from unseen.audit.log import CHECKPOINT_HEADER, leaf_place
from unseen.audit.tree import HASH_BYTES, RightEdge
from unseen.envelope import SealingKey
from unseen.errors import MalformedMessage, ProofBroken, SealBroken


@dataclass
class LogExamination:
    """What an examination saw."""

    leaves: int = 0
    asked: set[str] = field(default_factory=set)
    """Request ids, in hex, of changes that the log says were tried: whatever a store did is among them."""
    findings: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    """What is no fault of the log: a torn end that nobody was told of."""


def examine_log(folder: Path, origin: str, key: bytes, public_keys: tuple[bytes, ...]) -> LogExamination:
    """Examine one log; whatever is wrong is a finding, not an error."""
    found, edge, nodes = LogExamination(), RightEdge(), _content(folder / "nodes")
    checkpoint = _checkpoint(folder, origin, public_keys, found)
    seal = SealingKey(key)
    for index, record in _records(folder / "leaves", found):
        try:
            leaf = seal.open(record, leaf_place(origin, index))
            fields = leaf_fields(leaf)
        except (SealBroken, MalformedMessage):
            found.findings.append(f"leaf {index} does not open")
            break
        if fields["outcome"] == ASKED and "request" in fields:
            found.asked.add(str(fields["request"]))
        _compare(nodes, edge.size, edge.append(tree.leaf_hash(leaf)), found)
        if checkpoint is not None and checkpoint.size == edge.size and checkpoint.root != edge.root():
            found.findings.append(f"the signed head of {edge.size} leaves does not fit them")
    found.leaves = edge.size
    _require_all(nodes, checkpoint, found)
    return found


def _checkpoint(folder: Path, origin: str, public_keys: tuple[bytes, ...], found: LogExamination) -> TreeHead | None:
    content = _content(folder / "checkpoint")
    if not content:
        return None
    try:
        header, _, note = content.decode().split("\n", 2)
        if header == CHECKPOINT_HEADER:
            return open_head(note, origin, public_keys)
    except (ValueError, ProofBroken):
        pass
    found.notes.append("the checkpoint is damaged; a start makes it anew")
    return None


def _records(path: Path, found: LogExamination) -> Iterator[tuple[int, bytes]]:
    """Every sealed leaf with its index; a damaged frame ends it."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError as error:
        found.findings.append(f"the leaves cannot be read ({error.strerror})")
        return
    try:
        size, offset, index = os.fstat(descriptor).st_size, len(HEADER), 0
        if os.pread(descriptor, len(HEADER), 0) != HEADER:
            found.findings.append("the file of leaves does not begin as one")
            return
        while (frame := read_frame(descriptor, offset, size)) is not None:
            if frame.first_index != index:
                found.findings.append(f"leaf {frame.first_index} stands where leaf {index} belongs")
                return
            for record in frame.records:
                yield index, record
                index += 1
            offset = frame.end
        if offset < size:
            cut = f"{size - offset} bytes behind leaf {index} are no whole frame"
            if has_frame_behind(descriptor, offset + 1, size):
                found.findings.append(f"{cut}, and whole ones follow: damage")
            else:
                found.notes.append(f"{cut}: a write that was cut short")
    finally:
        os.close(descriptor)


def _compare(nodes: bytes, size_before: int, completed: list[bytes], found: LogExamination) -> None:
    start = tree.node_count(size_before) * HASH_BYTES
    kept = nodes[start : start + len(completed) * HASH_BYTES]
    if len(kept) == len(completed) * HASH_BYTES and any(kept) and kept != b"".join(completed):
        found.findings.append(f"the kept hashes do not fit leaf {size_before}")


def _require_all(nodes: bytes, checkpoint: TreeHead | None, found: LogExamination) -> None:
    """What once was there according to nodes and checkpoint must still be."""
    known = len(nodes.rstrip(b"\0")) > tree.node_count(found.leaves) * HASH_BYTES
    if known or (checkpoint is not None and checkpoint.size > found.leaves):
        found.findings.append(f"leaves behind number {found.leaves} were on disk once and are gone")


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""
