"""Promises of ``unseen.he.mask``: the distributions are the stated ones, and no mask serves twice."""

from __future__ import annotations

import multiprocessing
import queue
import threading
from collections import deque
from dataclasses import replace

import numpy as np
import pytest

from unseen.errors import UnsafeParameters
from unseen.he.mask import BATCH_BLOCKS, PAUSE_S, MaskBatch, MaskSource, insecure_no_mask
from unseen.he.packing import Packing
from unseen.he.ring import ring
from unseen.params import DEFAULT

PACKING = Packing(2048, 512, 4)
SIX_SIGMA = 6.0
"""A fair draw is outside once in five hundred million runs."""


def untransformed(batch: MaskBatch) -> np.ndarray:
    lanes = np.zeros((1, 2048, 16), np.uint32)
    lanes[0, :, :BATCH_BLOCKS] = batch.u.transpose(0, 2, 1).reshape(2048, BATCH_BLOCKS)
    ring(2048, DEFAULT.modulus).inverse(lanes)
    u = lanes[0, :, :BATCH_BLOCKS].T.astype(np.int64)
    return np.where(u > DEFAULT.modulus // 2, u - DEFAULT.modulus, u)


def test_u_is_uniform_over_its_whole_wide_range() -> None:
    source = MaskSource(DEFAULT)
    u = np.concatenate([untransformed(batch) for _ in range(20) for batch in source.make(512)]).ravel()
    assert u.min() == -DEFAULT.mask_bound
    assert u.max() == DEFAULT.mask_bound - 1
    values = 2 * DEFAULT.mask_bound
    counts = np.bincount(u + DEFAULT.mask_bound, minlength=values)
    chi_square = ((counts - u.size / values) ** 2 / (u.size / values)).sum()
    assert abs(chi_square - (values - 1)) < SIX_SIGMA * np.sqrt(2 * values)


def test_e2_is_centred_binomial_and_bounded_by_its_coins() -> None:
    source = MaskSource(DEFAULT)
    e2 = np.concatenate([batch.noise_c1 for _ in range(20) for batch in source.make(512)]).ravel()
    variance = DEFAULT.error_coins / 2
    assert np.abs(e2).max() <= DEFAULT.error_coins
    assert abs(e2.mean()) < SIX_SIGMA * np.sqrt(variance / e2.size)
    assert abs(e2.var() - variance) < SIX_SIGMA * variance * np.sqrt(2 / e2.size)


@pytest.mark.parametrize("rows_per_block", [1, 3, 512, 2048])
def test_flood_is_gaussian_with_the_stated_deviation(rows_per_block: int) -> None:
    source = MaskSource(DEFAULT)
    noise = np.concatenate([batch.noise_c0.ravel() for _ in range(20) for batch in source.make(rows_per_block)])
    scaled = noise / DEFAULT.flood_std
    assert abs(scaled.mean()) < SIX_SIGMA / np.sqrt(noise.size)
    assert abs(scaled.var() - 1) < SIX_SIGMA * np.sqrt(2 / noise.size)
    if noise.size > 10_000:
        assert abs((scaled**4).mean() - 3) < SIX_SIGMA * np.sqrt(96 / noise.size)
        assert abs((np.abs(scaled) < 1).mean() - 0.682689) < SIX_SIGMA * np.sqrt(0.2166 / noise.size)


def test_no_mask_is_handed_out_twice_also_across_threads() -> None:
    source = MaskSource(DEFAULT)
    source.keep_ready(PACKING, 8)
    taken: list[MaskBatch] = []
    threads = [threading.Thread(target=lambda: taken.extend(source.take(PACKING) for _ in range(20))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    source.close()
    assert len({batch.u.tobytes() for batch in taken}) == 80


def wait_until_ready(source: MaskSource, batches: int) -> None:
    with source._change:
        assert source._change.wait_for(lambda: source.ready(PACKING) >= batches, timeout=60)


def test_masks_are_made_ahead_and_dropped_on_close() -> None:
    source = MaskSource(DEFAULT)
    source.keep_ready(PACKING, 3)
    wait_until_ready(source, 3)
    source.close()
    assert source.ready(PACKING) == 0
    assert source.take(PACKING).u.shape == (128, BATCH_BLOCKS, 16)


class HeldPause(threading.Event):
    """Waits for the test to let a pause end, whatever it should last."""

    def __init__(self) -> None:
        super().__init__()
        self.begun: queue.Queue[float | None] = queue.Queue()
        self.over = threading.Semaphore(0)

    def wait(self, timeout: float | None = None) -> bool:
        self.begun.put(timeout)
        return self.over.acquire(timeout=60)


def test_masks_are_made_ahead_only_in_a_pause_without_a_take(monkeypatch: pytest.MonkeyPatch) -> None:
    source, make = MaskSource(DEFAULT), MaskSource.make
    makers: list[threading.Thread] = []

    def noted(self: MaskSource, rows_per_block: int) -> tuple[MaskBatch, MaskBatch]:
        makers.append(threading.current_thread())
        return make(self, rows_per_block)

    source.keep_ready(PACKING, 3)
    wait_until_ready(source, 3)  # at once: nothing was taken yet
    source._closed = pause = HeldPause()
    monkeypatch.setattr(MaskSource, "make", noted)
    for _ in range(20):
        source.take(PACKING)
    assert pause.begun.get(timeout=60) == PAUSE_S
    source.take(PACKING)
    pause.over.release()
    assert pause.begun.get(timeout=60) == PAUSE_S, "there was a take in the first pause"
    assert set(makers) == {threading.main_thread()}
    for _ in range(4):
        pause.over.release()
    wait_until_ready(source, 3)
    source.close()
    assert set(makers) == {threading.main_thread(), source._refiller}


def test_fork_starts_without_the_masks_of_its_parent() -> None:
    source = MaskSource(DEFAULT)
    source._ready[PACKING.rows_per_block] = deque(source.make(PACKING.rows_per_block))
    expected = source._ready[PACKING.rows_per_block][0].noise_c1.tobytes()
    context = multiprocessing.get_context("fork")
    receiving, sending = context.Pipe(duplex=False)
    child = context.Process(target=lambda: sending.send_bytes(source.take(PACKING).noise_c1.tobytes()))
    child.start()
    sending.close()  # so that a child that died is the end of the pipe
    assert receiving.poll(120)
    in_child = receiving.recv_bytes()
    child.join()
    assert in_child != expected
    assert source.take(PACKING).noise_c1.tobytes() == expected


def test_unmasked_source_refuses_outside_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYTEST_CURRENT_TEST")
    with pytest.raises(UnsafeParameters, match="tests only"):
        insecure_no_mask(DEFAULT)


def test_a_ternary_mask_is_not_a_safe_parameter_set() -> None:
    assert not replace(DEFAULT, mask_bound=2).is_safe
