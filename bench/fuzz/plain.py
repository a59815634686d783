"""Drives a target without measuring coverage: its seeds first, then changes of them and of what was taken."""

from __future__ import annotations

import random

from bench.fuzz.mutate import mutate_bytes, mutate_json
from bench.fuzz.target import Outcome, Target

MOST_KEPT = 200


def drive(target: Target, executions: int, seed: int) -> Outcome:
    """The outcome of so many executions; the same ones for the same seed."""
    chance, outcome = random.Random(seed), Outcome()
    pool = list(target.inputs)
    for data in (*pool, b"", bytes(64)):
        outcome.execute(target, data)
    while outcome.executions < executions:
        data = changed(target, chance.choice(pool), chance)
        taken = outcome.taken
        outcome.execute(target, data)
        if outcome.taken > taken and len(pool) < MOST_KEPT:
            pool.append(data)
    return outcome


def changed(target: Target, data: bytes, chance: random.Random) -> bytes:
    """One input made of another."""
    mode, rest = data[: target.mode_bytes], data[target.mode_bytes :]
    if target.mode_bytes and chance.random() < 0.3:
        mode = bytes([chance.randrange(8)])
    if target.is_json and chance.random() < 0.6:
        return mode + mutate_json(rest, chance, target.most_bytes)
    return mode + mutate_bytes(rest, chance, target.most_bytes)
