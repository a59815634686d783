"""An export of the audit log, and the tree built anew from it: how an auditor checks a log without trusting anybody.

    {"first_index":0,"format":"unseen-audit-export-1","origin":"...","public_keys":["..."],"subtrees":[]}
    {"act":"Search",...}                 leaves, one a line, byte for byte as the tree's hashes cover them
    {"head":"..."}                       the signed head of the tree that ends with the last leaf

An export that begins in the middle says the hashes of the whole subtrees before its first leaf: with them the root can
be computed. It holds names of callers: keep it as carefully as the log.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from unseen.audit.head import TreeHead, open_head
from unseen.audit.leaf import MOST_LEAF_BYTES, canonical, leaf_fields
from unseen.audit.tree import HASH_BYTES, RightEdge, leaf_hash
from unseen.errors import MalformedMessage, ProofBroken
from unseen.json_text import read_json

FORMAT = "unseen-audit-export-1"
MOST_LINE_BYTES = 2 * MOST_LEAF_BYTES


@dataclass(frozen=True)
class ExportBegin:
    """Where an export begins, and by which keys its head may be signed."""

    origin: str
    public_keys: tuple[bytes, ...]
    first_index: int
    subtrees: tuple[bytes, ...]

    def to_bytes(self) -> bytes:
        """The first line."""
        return canonical(
            {
                "format": FORMAT,
                "origin": self.origin,
                "public_keys": [key.hex() for key in self.public_keys],
                "first_index": self.first_index,
                "subtrees": [hash_.hex() for hash_ in self.subtrees],
            }
        )

    @staticmethod
    def from_bytes(line: bytes) -> ExportBegin:
        """The inverse; MalformedMessage for anything else."""
        try:
            match read_json(line):
                case {
                    "format": "unseen-audit-export-1",
                    "origin": str(origin),
                    "public_keys": list(keys),
                    "first_index": int(first_index),
                    "subtrees": list(subtrees),
                }:
                    return ExportBegin(origin, _hashes(keys), first_index, _hashes(subtrees))
        except (ValueError, TypeError):
            pass
        raise MalformedMessage(f"the first line of an export says format {FORMAT}; this file is something else")


@dataclass
class Rebuilding:
    """A log's tree, built anew leaf by leaf."""

    begin: ExportBegin
    wanted: Iterable[TreeHead] = ()
    """Heads from elsewhere that the log must have had."""
    _edge: RightEdge = field(init=False)
    _wanted: dict[int, list[bytes]] = field(init=False)

    def __post_init__(self) -> None:
        try:
            self._edge = RightEdge(self.begin.first_index, list(self.begin.subtrees))
        except ValueError as error:
            raise MalformedMessage(f"an export begins impossibly: {error}") from None
        self._wanted = {}
        for head in self.wanted:
            if head.size < self.begin.first_index:
                raise ProofBroken(
                    f"a head from elsewhere has {head.size} leaves, this export begins at leaf "
                    f"{self.begin.first_index}: export from the beginning to compare them"
                )
            self._wanted.setdefault(head.size, []).append(head.root)
        self._compare()

    def add(self, leaf: bytes) -> dict[str, object]:
        """Take the next leaf; gives what it says. MalformedMessage when it is none."""
        fields = leaf_fields(leaf)
        self._edge.append(leaf_hash(leaf))
        self._compare()
        return fields

    def finish(self, note: str) -> TreeHead:
        """Check the signed head against everything that came; ProofBroken when it does not fit."""
        head = open_head(note, self.begin.origin, self.begin.public_keys)
        if (head.size, head.root) != (self._edge.size, self._edge.root()):
            raise ProofBroken(
                f"the leaves do not give the signed head: it covers {head.size} leaves, {self._edge.size} are here, or "
                "one of them was altered"
            )
        if self._wanted:
            raise ProofBroken(
                f"a head from elsewhere has {max(self._wanted)} leaves, this log has {head.size}: it was cut, or the "
                "head is of a later time"
            )
        return head

    def _compare(self) -> None:
        for root in self._wanted.pop(self._edge.size, ()):
            if root != self._edge.root():
                raise ProofBroken(
                    f"at {self._edge.size} leaves this log and a head from elsewhere differ: others saw another log"
                )


def read_export(
    lines: Iterator[bytes], wanted: Sequence[TreeHead] = (), trusted: tuple[bytes, ...] = ()
) -> tuple[ExportBegin, TreeHead]:
    """Check a whole export, line by line; gives where it began and the head that covers it.

    ``trusted`` are the keys that the head may be signed by; without them those that the export itself names, and it is
    for the caller to know whether they are the server's. Raises MalformedMessage and ProofBroken.
    """
    begin = ExportBegin.from_bytes(next(lines, b""))
    begin = replace(begin, public_keys=trusted or begin.public_keys)
    tree = Rebuilding(begin, wanted)
    for line in lines:
        text = line.rstrip(b"\n")
        if text.startswith(b'{"head":'):
            if next(lines, None) is not None:
                raise MalformedMessage("an export goes on behind its head")
            return begin, tree.finish(_head(text))
        tree.add(text)
    raise ProofBroken("the export was cut: it ends without a signed head")


def head_line(note: str) -> bytes:
    """The last line."""
    return canonical({"head": note})


def _head(line: bytes) -> str:
    try:
        match read_json(line):
            case {"head": str(note)}:
                return note
    except ValueError:
        pass
    raise MalformedMessage("the last line of an export is its signed head; this one is something else")


def _hashes(texts: list[object]) -> tuple[bytes, ...]:
    hashes = tuple(bytes.fromhex(str(text)) for text in texts)
    if any(len(hash_) != HASH_BYTES for hash_ in hashes):
        raise ValueError("a hash of another length")
    return hashes
