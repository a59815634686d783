"""One audit log: leaves that are appended, on disk and in the tree before ``append`` returns, and never changed.

The server holds it, one for each tenant, because the size of a tree tells how much has happened. Leaves are sealed at
rest; proofs and heads show hashes and counts.

    folder/leaves       sealed leaves in frames (``frames``): the truth
    folder/nodes        the tree's whole nodes (``nodes``): derived
    folder/checkpoint   a signed head and the place in ``leaves`` that it covers: where a start begins to read
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Protocol

from unseen.audit import tree
from unseen.audit.frames import HEADER, Frame, FrameFile
from unseen.audit.head import TreeHead, open_head
from unseen.audit.landmarks import LANDMARK_LEAVES, Landmark, Landmarks
from unseen.audit.leaf import time_of
from unseen.audit.nodes import NodeFile
from unseen.audit.tree import RightEdge
from unseen.envelope import SealingKey, context
from unseen.errors import AuditUnavailable, IntegrityError, ProofBroken, SealBroken

LEAF_FORMAT = 1
CHECKPOINT_LEAVES = 4096
"""A start reads at most so many leaves: a twentieth of a second."""
CHECKPOINT_HEADER = "unseen-audit-checkpoint-1"


class Signer(Protocol):
    """Signs heads and knows every key that this log's heads were ever signed with."""

    @property
    def public_keys(self) -> tuple[bytes, ...]: ...

    def sign_head(self, head: TreeHead) -> str: ...


@dataclass(frozen=True)
class Appended:
    """Leaves that are on disk."""

    first_index: int
    head: str
    """A signed head of a tree that holds them all."""


@dataclass(frozen=True)
class Snapshot:
    """A log at one moment: everything before it is on disk."""

    size: int
    root: bytes
    head: str
    """Signed."""
    end: int
    """Bytes of leaves."""


class Log:
    """Appending belongs to one thread; everything else may be called from any."""

    def __init__(self, folder: Path, origin: str, key: bytes, signer: Signer) -> None:
        """Open a log, or make it. Raises IntegrityError when acknowledged leaves are damaged or missing."""
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.origin = origin
        self._folder = folder
        self._seal = SealingKey(key)
        self._signer = signer
        self._landmarks = Landmarks(len(HEADER))
        self._exploring = Lock()
        self._unwritten: tuple[int, list[bytes]] = (0, [])
        self._tail: deque[bytes] = deque(maxlen=CHECKPOINT_LEAVES)
        self._frames = FrameFile(folder / "leaves")
        self._nodes = NodeFile(folder / "nodes")
        try:
            self._edge = self._recovered()
        except BaseException:
            self._frames.close()
            self._nodes.close()
            raise
        self._checkpoint_size = self._edge.size
        self._now = self._snapshot()

    @property
    def now(self) -> Snapshot:
        """The log as it stands."""
        return self._now

    @property
    def size(self) -> int:
        """Leaves on disk."""
        return self._now.size

    @property
    def head(self) -> str:
        """The signed head of all leaves on disk."""
        return self._now.head

    # What nobody has looked at since a crash

    @property
    def tail(self) -> Sequence[bytes]:
        """Leaves that opening read: those behind the last checkpoint, so none after a log was closed in peace."""
        return tuple(self._tail)

    def forget_tail(self) -> None:
        """They were looked at; until then no checkpoint is written, so that they are there at the next start."""
        self._tail.clear()

    # Appending

    def append(self, leaves: Sequence[bytes]) -> Appended:
        """Append leaves; on disk when this returns. Raises AuditUnavailable, StoreFailed (see ``frames``)."""
        self._write_nodes()
        first = self._edge.size
        sealed = [self._seal.seal(leaf, self._place(first + at)) for at, leaf in enumerate(leaves)]
        self._frames.append(first, sealed)
        completed = [hash_ for leaf in leaves for hash_ in self._edge.append(tree.leaf_hash(leaf))]
        self._unwritten = (first, completed)
        with suppress(AuditUnavailable):  # the leaves are on disk; what follows from them is written before the next
            self._write_nodes()
        self._now = self._snapshot()
        if self._edge.size - self._checkpoint_size >= CHECKPOINT_LEAVES:
            self._write_checkpoint()
        return Appended(first, self._now.head)

    def _write_nodes(self) -> None:
        first, completed = self._unwritten
        if completed:
            try:
                self._nodes.write(first, completed)
            except OSError as error:
                raise AuditUnavailable(
                    f"the audit log's tree cannot be written ({os.strerror(error.errno or 0)}); make room on its disk"
                ) from error
            self._unwritten = (0, [])

    def _write_checkpoint(self) -> None:
        """Best effort: without one, the next start reads more."""
        if self._tail:
            return
        text = f"{CHECKPOINT_HEADER}\n{self._now.end}\n{self._now.head}"
        fresh = self._folder / "checkpoint.new"
        with suppress(OSError, AuditUnavailable):
            self._write_nodes()
            self._nodes.sync()
            descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(text.encode())
                file.flush()
                os.fsync(descriptor)
            fresh.replace(self._folder / "checkpoint")
            self._checkpoint_size = self._edge.size

    def close(self, checkpoint: bool = True) -> None:
        """Leave a checkpoint, if it may, and let go of the files; a second call does nothing."""
        if checkpoint and self._edge.size != self._checkpoint_size:
            self._write_checkpoint()
            self._checkpoint_size = self._edge.size
        self._frames.close()
        self._nodes.close()

    # Reading

    def leaves(self, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
        """Leaves from index ``start`` up to ``stop``; SealBroken when one was altered."""
        now = self._now
        stop = now.size if stop is None else min(stop, now.size)
        for frame in self._frames.read(self._landmarks.before(start).offset, now.end):
            if frame.first_index >= stop:
                return
            for at, record in enumerate(frame.records, frame.first_index):
                if start <= at < stop:
                    yield self._seal.open(record, self._place(at))

    def explore(self) -> bool:
        """Look through some leaves that nobody read yet, so that a later one is found at once; whether it did.

        Again and again until it did not: then ``leaves`` and ``first_since`` read little that is not asked for.
        """
        with self._exploring:
            last, now = self._landmarks.last, self._now
            if now.size - last.index < LANDMARK_LEAVES:
                return False
            latest, index = last.latest, last.index
            for frame in self._frames.read(last.offset, now.end):
                latest = max(latest, *map(time_of, self._opened(frame, index)))
                index += len(frame.records)
                if index - last.index >= LANDMARK_LEAVES:
                    self._landmarks.add(Landmark(index, frame.end, latest))
                    return True
            return False

    def first_since(self, time: str, stop: int) -> int:
        """The index of the first leaf of this time or a later one; ``stop`` when none of those before it is."""
        start = self._landmarks.before_time(time).index
        found = (index for index, leaf in enumerate(self.leaves(start, stop), start) if time <= time_of(leaf))
        return next(found, stop)

    def subtrees(self, size: int) -> tuple[bytes, ...]:
        """The whole subtrees of the tree of the first ``size`` leaves, from left to right."""
        return tuple(RightEdge.read(size, self._nodes.node).subtrees)

    def inclusion_proof(self, index: int, size: int) -> tuple[bytes, ...]:
        """See ``tree.inclusion_proof``; ``size`` is at most the log's."""
        return tree.inclusion_proof(index, size, self._nodes.node)

    def consistency_proof(self, old_size: int, new_size: int) -> tuple[bytes, ...]:
        """See ``tree.consistency_proof``; ``new_size`` is at most the log's."""
        return tree.consistency_proof(old_size, new_size, self._nodes.node)

    def verify(self) -> int:
        """Read every leaf, build the tree anew and compare it with what is kept; gives how many leaves there are.

        Raises IntegrityError or SealBroken for anything that does not fit.
        """
        now = self._now
        edge = RightEdge()
        for frame in self._frames.read(len(HEADER), now.end):
            for leaf in self._opened(frame, edge.size):
                before = edge.size
                for level, hash_ in enumerate(edge.append(tree.leaf_hash(leaf))):
                    if self._nodes.node(level, before >> level) != hash_:
                        raise IntegrityError(f"the kept hashes of audit leaf {before} do not fit it")
        if (edge.size, edge.root()) != (now.size, now.root):
            raise IntegrityError(f"the audit log holds {edge.size} leaves that fit, expected {now.size}")
        return now.size

    def copy_to(self, folder: Path) -> None:
        """Copy every leaf that is on disk now into a new folder; the rest of a log is built from them."""
        folder.mkdir(mode=0o700, parents=True)
        self._frames.copy_to(folder / "leaves", self._now.end)

    # Starting

    def _recovered(self) -> RightEdge:
        known = self._nodes.leaves()
        edge, offset = self._checkpointed(known)
        for frame in self._frames.recover(offset):
            for leaf in self._opened(frame, edge.size):
                before = edge.size
                self._nodes.write(before, edge.append(tree.leaf_hash(leaf)))
                self._tail.append(leaf)
        if edge.size < known:
            raise IntegrityError(
                f"the audit log has lost leaves: {known} were on disk once, {edge.size} are there now; restore it from "
                "a backup (docs/operations.md, When something fails)"
            )
        return edge

    def _opened(self, frame: Frame, expected_index: int) -> Iterator[bytes]:
        if frame.first_index != expected_index:
            raise IntegrityError(
                f"the audit log goes on with leaf {frame.first_index} where leaf {expected_index} belongs"
            )
        for at, record in enumerate(frame.records, expected_index):
            try:
                yield self._seal.open(record, self._place(at))
            except SealBroken:
                raise IntegrityError(
                    f"leaf {at} of the audit log in {self._folder} does not open: it was altered, or the log is "
                    "another store's; restore it from a backup, or give each store its own --data"
                ) from None

    def _checkpointed(self, known: int) -> tuple[RightEdge, int]:
        """The tree at the checkpoint and where to read on; the beginning when there is none that fits."""
        beginning = RightEdge(), len(HEADER)
        try:
            header, offset, note = (self._folder / "checkpoint").read_text().split("\n", 2)
            head = open_head(note, self.origin, self._signer.public_keys)
            if header != CHECKPOINT_HEADER or head.size > known or not self._frames.goes_on_at(int(offset), head.size):
                return beginning
            edge = RightEdge.read(head.size, self._nodes.node)
        except (OSError, ValueError, ProofBroken, IntegrityError, SealBroken):
            return beginning
        return (edge, int(offset)) if edge.root() == head.root else beginning

    def _snapshot(self) -> Snapshot:
        size, root = self._edge.size, self._edge.root()
        head = self._signer.sign_head(TreeHead(self.origin, size, root))
        return Snapshot(size, root, head, self._frames.end)

    def _place(self, index: int) -> bytes:
        return leaf_place(self.origin, index)


def leaf_place(origin: str, index: int) -> bytes:
    """What a leaf's seal is bound to."""
    return context("audit leaf", LEAF_FORMAT, origin, index)
