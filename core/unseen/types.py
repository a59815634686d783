"""The frozen records that every layer speaks in. No behaviour, no cryptography, no protobuf."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

UID_BYTES = 16
"""Collections, rows and requests are named by 16 random bytes: nothing to guess, nothing to read."""

SLOTS_PER_EXTENT = 2048
"""The rows of the largest block there is: the ring degree at packing factor 1. Rows of two compartments share none."""

Int16Matrix = npt.NDArray[np.int16]
Float32Matrix = npt.NDArray[np.float32]


@dataclass(frozen=True)
class CollectionInfo:
    """What the server knows of a collection and tells to whoever may ask."""

    uid: bytes
    name: str
    dimension: int
    parameter_id: str
    model_id: str
    packing_factor: int
    rows: int
    """Live rows: those that can be found."""
    slots: int
    """Places handed out so far, erased ones included: the length of a score vector."""
    epoch: int
    """Counts mutations; every change to rows raises it by one."""


@dataclass(frozen=True)
class EncryptedBlock:
    """A block of an owner-encrypted collection as its owner wrote it, to take the place of what is there."""

    number: int
    known_epoch: int
    """The epoch that its writer knew the block at: a block that was written since is not replaced."""
    ciphertexts: bytes
    """Empty for a block that holds no row any more."""


@dataclass(frozen=True)
class RowBatch:
    """Rows on their way to the server, or on their way back from the store."""

    row_ids: tuple[bytes, ...]
    vectors: Int16Matrix
    """(n, dimension), quantised: see ``unseen.he.quantise``."""
    sealed_records: tuple[bytes, ...]
    """Encrypted by the device: opaque to the server."""
    consents: tuple[bytes, ...] = ()
    """The uid of the consent that each row rests on, empty for a row without one; () when no row has one."""
    slots: tuple[int, ...] = ()
    """Of rows of an owner-encrypted collection, whose vectors are (n, 0): where its owner put each; else ()."""
    blocks: tuple[EncryptedBlock, ...] = ()
    """The blocks that these rows stand in, with the rows that stood there before."""
    moves: bool = False
    """Whether the rows are there already and move, without records; the blocks they leave are among ``blocks``."""


@dataclass(frozen=True)
class CatalogueEntry:
    """One live row of the mirror: which slot holds it, since which epoch, and its sealed record."""

    row_id: bytes
    slot: int
    epoch: int
    sealed_record: bytes


@dataclass(frozen=True)
class CatalogueChanges:
    """What happened to a catalogue after an epoch."""

    epoch: int
    added: tuple[CatalogueEntry, ...]
    erased: tuple[bytes, ...]
