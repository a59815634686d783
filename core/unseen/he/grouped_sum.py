"""Machine code for sums that are longer than their registers bear: in groups, reduced after each. For both kernels.

Public arithmetic; running time depends on the number of terms, never on values.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from llvmlite import ir

from unseen.he.lanes import I64

Values = list[ir.Value]


def sum_in_groups(
    builder: ir.IRBuilder,
    terms: ir.Value,
    most_terms: int,
    zeros: Sequence[ir.Constant],
    begin: Callable[[Values], Values],
    add: Callable[[ir.Value, Values], Values],
    reduce: Callable[[Values], Values],
) -> Values:
    """Sum ``terms``, at least one, in groups of at most ``most_terms``, all sums in registers; -> the reduced sums.

    zeros    the reduced sums before the first group
    begin    reduced sums -> the sums that the next group starts from
    add      the number of a term, the sums before it -> the sums with it
    reduce   the sums of a group -> the reduced sums
    """
    before = builder.block
    group = builder.append_basic_block("group")
    term = builder.append_basic_block("term")
    group_end = builder.append_basic_block("group_end")
    done = builder.append_basic_block("done")
    builder.branch(group)

    builder.position_at_end(group)
    first = builder.phi(I64)
    first.add_incoming(I64(0), before)
    carried = [builder.phi(zero.type) for zero in zeros]
    for phi, zero in zip(carried, zeros, strict=True):
        phi.add_incoming(zero, before)
    limit = builder.add(first, I64(most_terms))
    end = builder.select(builder.icmp_unsigned("<", limit, terms), limit, terms)
    starts = begin(carried)
    builder.branch(term)

    builder.position_at_end(term)
    index = builder.phi(I64)
    index.add_incoming(first, group)
    sums = [builder.phi(start.type) for start in starts]
    for phi, start in zip(sums, starts, strict=True):
        phi.add_incoming(start, group)
    following = add(index, sums)
    next_index = builder.add(index, I64(1))
    index.add_incoming(next_index, term)
    for phi, value in zip(sums, following, strict=True):
        phi.add_incoming(value, term)
    builder.cbranch(builder.icmp_unsigned("<", next_index, end), term, group_end)

    builder.position_at_end(group_end)
    reduced = reduce(following)
    first.add_incoming(end, group_end)
    for phi, value in zip(carried, reduced, strict=True):
        phi.add_incoming(value, group_end)
    builder.cbranch(builder.icmp_unsigned("<", end, terms), group, done)

    builder.position_at_end(done)
    return reduced
