"""Nobody hands on more than they may do themselves: the one comparison behind making, listing and revoking tokens."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import astuple

from unseen_server.call import Allowance, Caller


def may_hand_on(giver: Caller, taker: Caller, allowance_of: Callable[[Caller], Allowance] | None = None) -> bool:
    """Whether all that ``taker`` may do ``giver`` may do too; with ``allowance_of``, also all that it may use.

    The server's own machine may hand on anything, to any tenant: whoever works there has the files.
    """
    if giver.is_local:
        return True
    within_scope = giver.collections is None or (
        taker.collections is not None and taker.collections <= giver.collections
    )
    within_reach = taker.tenant == giver.tenant and taker.roles <= giver.roles and within_scope
    return within_reach and (allowance_of is None or _at_most(allowance_of(taker), allowance_of(giver)))


def _at_most(taken: Allowance, held: Allowance) -> bool:
    """None stands for no limit."""
    pairs = zip(astuple(taken), astuple(held), strict=True)
    return all(most is None or (wanted is not None and wanted <= most) for wanted, most in pairs)
