"""Prepared queries: each handed out once, to one process, made while nobody waits, gone when closed."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from unseen.errors import UsedTwice
from unseen.he.packing import Packing
from unseen.params import DEFAULT
from unseen_client import pool as module
from unseen_client.pool import MOST_PACKINGS, READY_PER_PACKING, QueryPool

PACKING = Packing(2048, 8, 8)


@pytest.fixture
def pool():
    with QueryPool() as one:
        yield one


def wait_until_full(pool, packing=PACKING):
    for _ in range(6000):
        if pool.ready(DEFAULT, packing) == READY_PER_PACKING:
            return
        threading.Event().wait(0.005)
    raise AssertionError("the pool did not refill within 30 s")


def test_no_query_is_handed_out_twice(pool):
    taken = [pool.take(DEFAULT, PACKING)]
    wait_until_full(pool)
    lock = threading.Lock()

    def take():
        for _ in range(5):
            one = pool.take(DEFAULT, PACKING)
            with lock:
                taken.append(one)

    threads = [threading.Thread(target=take) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({id(one) for one in taken}) == 21
    messages = {one.encrypt(np.ones(8, np.int64))[0] for one in taken}
    assert len(messages) == 21
    with pytest.raises(UsedTwice):
        taken[0].encrypt(np.ones(8, np.int64))


def test_it_refills_in_the_background_but_only_so_far(pool):
    pool.take(DEFAULT, PACKING)
    wait_until_full(pool)
    with pool._changed:  # the thread that refills waits for it
        pool.take(DEFAULT, PACKING)
        assert pool.ready(DEFAULT, PACKING) == READY_PER_PACKING - 1
    wait_until_full(pool)


def test_packings_not_used_lately_are_forgotten(pool):
    packings = [Packing(2048, dimension, 8) for dimension in range(8, 8 + MOST_PACKINGS + 1)]
    for packing in packings:
        pool.take(DEFAULT, packing)
    wait_until_full(pool, packings[-1])
    assert pool.ready(DEFAULT, packings[0]) == 0


def test_a_closed_pool_keeps_nothing_but_still_serves(pool):
    pool.take(DEFAULT, PACKING)
    wait_until_full(pool)
    pool.close()
    assert pool.ready(DEFAULT, PACKING) == 0
    assert pool.take(DEFAULT, PACKING).encrypt(np.ones(8, np.int64))
    assert "unseen-query-pool" not in {thread.name for thread in threading.enumerate()}


def test_after_a_fork_the_childs_pool_starts_empty(pool, monkeypatch):
    """A process number that changed is what a child sees after a fork."""
    pool.take(DEFAULT, PACKING)
    wait_until_full(pool)
    before, its_lock = pool._refiller, pool._changed
    monkeypatch.setattr(module.os, "getpid", lambda: -1)
    parents = list(next(iter(pool._ready.values())))  # kept alive, so that no new one can stand at their addresses
    taken = pool.take(DEFAULT, PACKING)
    assert all(taken is not one for one in parents)
    assert pool._refiller is not before
    pool.close()
    with its_lock:
        its_lock.notify_all()  # the parent's thread, which a real child does not have
    before.join()
