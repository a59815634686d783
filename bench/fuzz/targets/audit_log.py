"""The audit log: its leaves, its frames on disk, what proves it, and what people export of it."""

from __future__ import annotations

import json
import struct
import zlib

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bench.fuzz.target import Target, as_text, as_tree, scratch_folder
from unseen.audit import frames
from unseen.audit.export import ExportBegin, head_line, read_export
from unseen.audit.head import TreeHead, open_head, sign_head, sign_note
from unseen.audit.leaf import Details, Leaf, canonical, leaf_fields
from unseen.audit.proof import verify_consistency, verify_inclusion
from unseen.audit.receipt import Receipt
from unseen.audit.tree import Node, consistency_proof, inclusion_proof, leaf_hash, node_hash, root
from unseen.errors import IntegrityError, InvalidConfiguration, MalformedMessage, ProofBroken
from unseen_client.cli.audit_files import note

PRIVATE_KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC_KEY = PRIVATE_KEY.public_key().public_bytes_raw()
ORIGIN = "log.example/fuzz"
LEAVES = [Leaf("Search", "caller", at, "OK", Details(rows=at)).to_bytes(bytes(16)) for at in range(2)]
ROOT = node_hash(leaf_hash(LEAVES[0]), leaf_hash(LEAVES[1]))
HEAD = sign_head(TreeHead(ORIGIN, 2, ROOT), PRIVATE_KEY)
RECEIPT = Receipt(1, LEAVES[1], HEAD)
EXPORT = b"\n".join([ExportBegin(ORIGIN, (PUBLIC_KEY,), 0, ()).to_bytes(), *LEAVES, head_line(HEAD)])


def head(data: bytes) -> None:
    open_head(as_text(data), ORIGIN, [PUBLIC_KEY])


def signed_head(data: bytes) -> bytes:
    """The text before the signatures, signed anew."""
    text = data.decode("utf-8", "replace").partition("\n\n")[0] + "\n"
    return sign_note(text, ORIGIN, PRIVATE_KEY).encode()


def receipt(data: bytes) -> None:
    """As a device takes it: the form, the head, then what the leaf says."""
    found = Receipt.from_bytes(data)
    open_head(found.head, ORIGIN, [PUBLIC_KEY])
    leaf_fields(found.leaf)


def signed_receipt(data: bytes) -> bytes:
    fields = as_tree(data)
    if isinstance(fields, dict) and isinstance(fields.get("head"), str):
        text = fields["head"].encode("utf-8", "surrogatepass").decode("utf-8", "replace")
        fields["head"] = signed_head(text.encode()).decode()
    return json.dumps(fields).encode()


def export(data: bytes) -> None:
    read_export(iter(data.splitlines(keepends=True)))


def _hashes(data: bytes) -> list[bytes]:
    return [data[start : start + 32] for start in range(0, len(data), 32)]


def inclusion(data: bytes) -> None:
    """Place and size in eight bytes each, the root, then the proof."""
    index, size = struct.unpack("<qq", data[:16].ljust(16, b"\0"))
    verify_inclusion(leaf_hash(LEAVES[1]), index, size, _hashes(data[48:]), data[16:48])


def consistency(data: bytes) -> None:
    """Old and new size in eight bytes each, the roots, then the proof."""
    old, new = struct.unpack("<qq", data[:16].ljust(16, b"\0"))
    verify_consistency(old, data[16:48], new, data[48:80], _hashes(data[80:]))


def tree_of(size: int) -> Node:
    """A tree whose leaves are LEAVES[1] again and again."""
    levels = [[leaf_hash(LEAVES[1])] * size]
    while len(levels[-1]) > 1:
        level = levels[-1]
        levels.append([node_hash(*level[at : at + 2]) for at in range(0, len(level) - 1, 2)])
    return lambda level, index: levels[level][index]


def right_inclusion(index: int, size: int) -> bytes:
    node = tree_of(size)
    return struct.pack("<qq", index, size) + root(size, node) + b"".join(inclusion_proof(index, size, node))


def right_consistency(old: int, new: int) -> bytes:
    roots = root(old, tree_of(old)) + root(new, tree_of(new))
    return struct.pack("<qq", old, new) + roots + b"".join(consistency_proof(old, new, tree_of(new)))


class LogFile:
    """A file that frames are read from, written anew for every execution."""

    def __init__(self) -> None:
        self._path = scratch_folder() / "leaves"

    def read(self, data: bytes) -> None:
        """As the server does at a start."""
        self._path.write_bytes(data)
        file = frames.FrameFile(self._path)
        try:
            for frame in file.recover(len(frames.HEADER)):
                assert all(isinstance(record, bytes) for record in frame.records)
            assert file.end == max(file.size_on_disk, len(frames.HEADER))
        finally:
            file.close()


def framed(data: bytes) -> bytes:
    """A log of one frame with a right checksum: two bytes of records' count, then the body."""
    head = struct.pack("<4sIQI", frames.MAGIC, len(data[2:]), 0, int.from_bytes(data[:2], "little"))
    return frames.HEADER + head + struct.pack("<I", zlib.crc32(data[2:], zlib.crc32(head))) + data[2:]


class HeadFile:
    """A file that a person names to `unseen audit`."""

    def __init__(self) -> None:
        self._path = scratch_folder() / "head"

    def read(self, data: bytes) -> None:
        self._path.write_bytes(data)
        open_head(note(self._path), ORIGIN, [PUBLIC_KEY])


BODY = b"\2\0" + b"".join(struct.pack("<I", len(leaf)) + leaf for leaf in LEAVES)
PLACES = ((0, 1), (1, 2), (5, 8), (6, 7), (11, 13))

TARGETS = (
    Target("audit.leaf.leaf_fields", leaf_fields, (MalformedMessage,), (LEAVES[1], b'{"version":1}'), is_json=True),
    Target(
        "audit.head.open_head",
        head,
        (ProofBroken,),
        (HEAD.encode(),),
        dress=signed_head,
        dressed_seeds=(HEAD.encode(),),
    ),
    Target(
        "audit.receipt.from_bytes",
        receipt,
        (MalformedMessage, ProofBroken),
        (RECEIPT.to_bytes(),),
        dress=signed_receipt,
        dressed_seeds=(RECEIPT.to_bytes(),),
        is_json=True,
    ),
    Target("audit.export.read_export", export, (MalformedMessage, ProofBroken), (EXPORT,), is_json=False),
    Target(
        "audit.export.ExportBegin",
        ExportBegin.from_bytes,
        (MalformedMessage,),
        (EXPORT.partition(b"\n")[0], canonical({"format": "unseen-audit-export-1"})),
        is_json=True,
    ),
    Target("audit.proof.verify_inclusion", inclusion, (ProofBroken,), tuple(right_inclusion(*one) for one in PLACES)),
    Target(
        "audit.proof.verify_consistency",
        consistency,
        (ProofBroken,),
        tuple(right_consistency(*one) for one in PLACES[1:]),
    ),
    Target(
        "audit.frames.recover",
        LogFile().read,
        (IntegrityError, InvalidConfiguration),
        (BODY, framed(BODY)),
        dress=framed,
        dressed_seeds=(BODY, framed(BODY)),
    ),
    Target("client.cli.audit_files.note", HeadFile().read, (ProofBroken,), (HEAD.encode(), RECEIPT.to_bytes(), EXPORT)),
)
