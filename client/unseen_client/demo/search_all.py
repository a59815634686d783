"""Searches all that the server received and kept for all that the device knows. Demo only."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from unseen_client.demo.search_bytes import Needle, Needles
from unseen_client.demo.secrets import ENROLLED_INT16, FORBIDDEN, QUERY_VECTORS
from unseen_client.demo.tables import Sighting
from unseen_client.demo.unwrap import views

EXAMPLES_SHOWN = 3


def look(needles: Iterable[Needle], received: Sequence[bytes], on_disk: Mapping[str, bytes]) -> list[Sighting]:
    """How many pieces of each kind are in what each connection carried, and in the server's files."""
    by_kind: defaultdict[str, set[Needle]] = defaultdict(set)
    for needle in needles:
        by_kind[needle.kind].add(needle)
    # A query very like a row can share a run of numbers with it; those bytes did come, as a part of the row.
    of_rows = {needle.data for needle in by_kind[ENROLLED_INT16]}
    by_kind[QUERY_VECTORS] = {needle for needle in by_kind[QUERY_VECTORS] if needle.data not in of_rows}
    prepared = Needles(needle for kind in by_kind.values() for needle in kind)
    carried = {f"connection {n}, {name}": data for n, run in enumerate(received) for name, data in views(run).items()}
    in_received, in_kept = _where(prepared, carried), _where(prepared, on_disk)
    return [
        _sighting(kind, by_kind[kind], in_received, in_kept) for kind in (*FORBIDDEN, ENROLLED_INT16) if by_kind[kind]
    ]


def _where(needles: Needles, haystacks: Mapping[str, bytes]) -> dict[Needle, str]:
    """The needles found, each with a place where it is."""
    return {needle: name for name, data in haystacks.items() for needle in needles.found_in(data)}


def _sighting(kind: str, pieces: set[Needle], received: Mapping[Needle, str], kept: Mapping[Needle, str]) -> Sighting:
    seen = [f"{needle.label} in {found[needle]}" for found in (received, kept) for needle in pieces if needle in found]
    return Sighting(
        kind=kind,
        pieces=len(pieces),
        received=sum(needle in received for needle in pieces),
        kept=sum(needle in kept for needle in pieces),
        forbidden=kind in FORBIDDEN,
        examples=tuple(sorted(seen)[:EXAMPLES_SHOWN]),
    )
