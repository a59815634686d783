"""Nobody hands on more than they may do themselves, however they go about it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from unseen_server.access.delegation import may_hand_on
from unseen_server.call import LOCAL, Allowance, Caller, Role

TENANTS, COLLECTIONS = ("", "ward"), ("a", "b", "c")
numbers = st.none() | st.integers(1, 3)
callers = st.builds(
    Caller,
    tenant=st.sampled_from(TENANTS),
    name=st.just("somebody"),
    roles=st.frozensets(st.sampled_from(tuple(Role)), min_size=1),
    collections=st.none() | st.frozensets(st.sampled_from(COLLECTIONS), min_size=1),
    allowance=st.builds(Allowance, numbers, numbers, numbers, numbers),
)


def allowance_of(caller: Caller) -> Allowance:
    """A server that gives everybody 2 of everything."""
    own = caller.allowance
    return Allowance(*(2 if number is None else number for number in vars(own).values()))


def may(caller: Caller) -> set[tuple[str, str, str]]:
    """All that a caller may do, spelled out: the slow twin. "*" stands for a collection that nobody names."""
    within = [one for one in (*COLLECTIONS, "*") if caller.may_touch(caller.tenant, one)]
    return {(caller.tenant, role, one) for role in caller.roles for one in within}


@given(callers, callers)
def test_handing_on_is_exactly_doing_no_more(giver: Caller, taker: Caller) -> None:
    no_more = may(taker) <= may(giver)
    assert may_hand_on(giver, taker) == no_more
    pairs = zip(vars(allowance_of(taker)).values(), vars(allowance_of(giver)).values(), strict=True)
    uses_no_more = all(wanted <= most for wanted, most in pairs)
    assert may_hand_on(giver, taker, allowance_of) == (no_more and uses_no_more)


@given(callers, callers, callers)
def test_detour_over_somebody_else_gains_nothing(first: Caller, second: Caller, third: Caller) -> None:
    if may_hand_on(first, second, allowance_of) and may_hand_on(second, third, allowance_of):
        assert may_hand_on(first, third, allowance_of)


@given(callers)
def test_everybody_may_hand_on_what_they_have_and_the_machine_itself_anything(caller: Caller) -> None:
    assert may_hand_on(caller, caller, allowance_of)
    assert may_hand_on(LOCAL, caller, allowance_of)
