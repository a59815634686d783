"""A short sample of `make fuzz`: every parser's target with a plain seeded mutator, no coverage measured."""

from __future__ import annotations

import random

import pytest

from bench.fuzz.mutate import DEEP, ODD_VALUES, mutate_json
from bench.fuzz.plain import changed, drive
from bench.fuzz.target import Outcome, Target
from bench.fuzz.targets import all_targets
from unseen.errors import MalformedMessage

EXECUTIONS = 2000
SEED = 1
TARGETS = [target for _, target in all_targets()]


@pytest.mark.filterwarnings("ignore:Reading `.npy` or `.npz` file required additional header parsing")
@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_a_parser_takes_what_is_right_and_refuses_the_rest_as_it_declares(target: Target) -> None:
    outcome = drive(target, EXECUTIONS, SEED)
    assert outcome.found == {}
    assert outcome.executions == EXECUTIONS
    assert outcome.taken


def test_names_of_targets_are_each_used_once() -> None:
    assert len({target.name for target in TARGETS}) == len(TARGETS)


def test_an_error_that_is_not_declared_is_found_with_its_input() -> None:
    def parse(data: bytes) -> None:
        if data[:1] == b"{":
            raise KeyError(data)
        if data[:1] == b"[":
            raise MalformedMessage("declared")

    target = Target("parse", parse, (MalformedMessage,), (b"x", b"[", b"{1", b"{2"))
    outcome = drive(target, 100, SEED)
    assert outcome.taken
    assert outcome.refused
    (place,) = outcome.found
    assert place.startswith("KeyError at test_fuzz_sample.py:")
    assert outcome.found[place] == b"{1".hex()


def test_the_same_seed_gives_the_same_inputs() -> None:
    target = next(one for one in TARGETS if one.is_json)
    data = target.inputs[0]
    once, again = (
        [changed(target, data, chance) for _ in range(50)] for chance in (random.Random(3), random.Random(3))
    )
    assert once == again
    assert len(set(once)) > 40


def test_documents_are_changed_as_trees_and_nested_too_deeply_now_and_then() -> None:
    chance = random.Random(5)
    made = [mutate_json(b'{"a":1,"b":["x"]}', chance, 4096) for _ in range(3000)]
    assert DEEP in ODD_VALUES
    assert any(b"[" * 50_000 in one for one in made)
    assert all(len(one) <= 4096 or b"[[[[" in one for one in made)


def test_a_wrapping_is_put_around_odd_modes_only() -> None:
    seen: list[bytes] = []
    target = Target("parse", seen.append, (), (b"ab",), lambda data: b"<" + data + b">", (b"ab",))
    for data in (*target.inputs, b""):
        target.execute(data)
    assert seen == [b"ab", b"<ab>", b""]


def test_an_outcome_counts_every_execution() -> None:
    assert Outcome(taken=2, refused=3).executions == 5
