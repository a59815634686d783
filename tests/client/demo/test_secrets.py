"""Every secret of the demo is cut into pieces that a plain leak of it would show."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from unseen.he.quantise import quantise_query, quantise_rows
from unseen.params import DEFAULT
from unseen_client.demo import secrets as kinds
from unseen_client.demo.search_all import look
from unseen_client.demo.secrets import Secrets
from unseen_client.demo.unwrap import PREFACE


@pytest.fixture
def known(tmp_path: Path) -> Secrets:
    rng = np.random.default_rng(5)
    photograph, picture = tmp_path / "a-photograph.jpg", tmp_path / "a-picture.jpg"
    photograph.write_bytes(rng.bytes(5000))
    picture.write_bytes(rng.bytes(5000))
    queries = rng.standard_normal((2, 64)).astype(np.float32)
    queries[1, :32] = 0  # as a word query: the visual part is empty
    return Secrets(
        DEFAULT,
        photographs=[photograph],
        captions=["a caption of some length"],
        ids=["row-number-one"],
        thumbnails=[rng.bytes(3000)],
        enrolled=rng.standard_normal((3, 64)).astype(np.float32),
        pictures=[picture],
        words=["a striped animal"],
        queries=queries,
        record_keys=[rng.bytes(32)],
    )


def _leaks(known: Secrets, leak: bytes) -> set[str]:
    """Kinds of secret that are found when the server received ``leak``."""
    return {seen.kind for seen in look(known.needles(), [PREFACE + b"....." + leak], {}) if seen.received}


def test_nothing_is_found_in_nothing(known: Secrets) -> None:
    assert _leaks(known, np.random.default_rng(6).bytes(100_000)) == set()


def test_each_kind_of_leak_is_found(known: Secrets) -> None:
    query, word, row = known.queries[0], known.queries[1], known.enrolled[1]
    leaks = {
        kinds.PATHS: [b"C:\\a-photograph.jpg", str(known.pictures[0]).encode()],
        kinds.CAPTIONS: [b"a caption of some length"],
        kinds.IDS: [b"row-number-one"],
        kinds.WORDS: [b"a striped animal"],
        kinds.KEYS: [known.record_keys[0]],
        kinds.PHOTOGRAPHS: [known.photographs[0].read_bytes()[1000:2500]],
        kinds.PICTURES: [known.pictures[0].read_bytes()[:40]],
        kinds.THUMBNAILS: [known.thumbnails[0]],
        kinds.QUERY_VECTORS: [
            query.tobytes(),
            query[16:32].astype("<f2").tobytes(),
            query.astype("<f8").tobytes(),
            quantise_query(DEFAULT, query).tobytes(),
            quantise_query(DEFAULT, query).astype("<i4").tobytes(),
            quantise_rows(DEFAULT, query[None]).tobytes(),
            word.tobytes(),
            quantise_rows(DEFAULT, word[None]).tobytes(),
        ],
        kinds.ENROLLED_FLOAT: [row.tobytes(), row.astype("<f2").tobytes()],
        kinds.ENROLLED_INT16: [quantise_rows(DEFAULT, row[None]).tobytes()],
    }
    assert set(leaks) == {*kinds.FORBIDDEN, kinds.ENROLLED_INT16}
    for kind, examples in leaks.items():
        for leak in examples:
            assert _leaks(known, leak) == {kind}


def test_rows_in_the_clear_on_disk_are_a_leak_though_the_server_may_receive_them(known: Secrets) -> None:
    row = quantise_rows(DEFAULT, known.enrolled[:1]).tobytes()
    seen = {s.kind: s for s in look(known.needles(), [PREFACE + row], {"index.db": b"" + row})}
    assert seen[kinds.ENROLLED_INT16].leaked
    seen = {s.kind: s for s in look(known.needles(), [PREFACE + row], {"index.db": b""})}
    assert not seen[kinds.ENROLLED_INT16].leaked
    assert seen[kinds.ENROLLED_INT16].received == 8
