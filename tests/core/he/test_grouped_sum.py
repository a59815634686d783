"""Promises of ``unseen.he.grouped_sum``: every term once, and a reduction before a group is too long."""

from __future__ import annotations

from typing import Any

import numba as nb
import pytest
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from unseen.he.grouped_sum import sum_in_groups

WORD = ir.IntType(64)
MOST = 3
MODULUS = 1000


@intrinsic
def _total_and_last_group(typing_context: Any, terms: Any) -> Any:
    """The sum of 1 .. terms modulo MODULUS, plus MODULUS times the length of the last group."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> Any:
        total, length = sum_in_groups(
            builder,
            arguments[0],
            MOST,
            [WORD(0), WORD(0)],
            begin=lambda reduced: [reduced[0], WORD(0)],
            add=lambda index, sums: [builder.add(sums[0], builder.add(index, WORD(1))), builder.add(sums[1], WORD(1))],
            reduce=lambda sums: [builder.urem(sums[0], WORD(MODULUS)), sums[1]],
        )
        return builder.add(total, builder.mul(length, WORD(MODULUS)))

    return types.uint64(types.uint64), generate


@nb.njit
def summed(terms: int) -> int:
    return _total_and_last_group(nb.uint64(terms))


@pytest.mark.parametrize("terms", [1, 2, 3, 4, 6, 7, 100])
def test_every_term_counts_once_and_no_group_is_longer_than_it_may_be(terms: int) -> None:
    length, total = divmod(int(summed(terms)), MODULUS)
    assert total == sum(range(1, terms + 1)) % MODULUS
    assert length == (terms - 1) % MOST + 1
