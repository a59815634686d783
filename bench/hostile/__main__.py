"""Hostile messages to every method of a real server: does it crash, stall, grow, or answer without a type?

    python -m bench.hostile --messages 100000 --json FILE [--callers 4] [--seed 1]

Every call is a right one with one or a few things broken: fields, bytes at some level of nesting, the order of a
stream, tokens, metadata. The server is a process of its own with tokens and the audit log; afterwards it must hold
and answer what it did before. Ends with 1 when it does not keep to that, when an answer or a refusal began after
more than a second, three times out of three (a change: once), when the server's memory rose by more than 64 MiB at
once or grew by as much, when a refusal had no code of ours or another status than the code's, or when somebody was
answered who may not ask. About ten minutes.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from bench.hostile.attack import Attacks
from bench.hostile.cast import cast_of
from bench.hostile.memory_watch import MemoryWatch
from bench.hostile.right_calls import RIGHT
from bench.hostile.sending import Sender, Tally
from bench.hostile.stage import Stage
from bench.measure import print_table, write_json

WARM_UP_PART = 20
"""One in so many calls comes before memory is looked at: by then whatever the server makes once is made."""
MOST_MIB = 64
NEW_CAST_EVERY = 200
"""Calls after which what the rogue tenant holds is looked up again: some messages change it, as they may."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--messages", type=int, default=100_000)
    parser.add_argument("--callers", type=int, default=4, help="connections at the same time")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path)
    wanted = parser.parse_args()
    figures = attacked(wanted.messages, wanted.callers, wanted.seed)
    show(figures)
    write_json(wanted.json, figures)
    if failures(figures):
        raise SystemExit("; ".join(failures(figures)))


def attacked(messages: int, callers: int, seed: int) -> dict[str, Any]:
    """Figures of one run."""
    with tempfile.TemporaryDirectory(prefix="unseen-hostile-") as name, Stage(Path(name)) as stage:
        return _attacked(stage, messages, callers, seed)


def _attacked(stage: Stage, messages: int, callers: int, seed: int) -> dict[str, Any]:
    before = stage.what_is_kept()
    _wave(stage, messages // WARM_UP_PART, callers, seed - 1)
    memory, began = stage.memory_bytes, time.perf_counter()
    with MemoryWatch(stage.process.pid) as watch:
        tally = _wave(stage, messages, callers, seed)
    seconds = time.perf_counter() - began
    alive, after = stage.is_alive, stage.what_is_kept() if stage.is_alive else {}
    figures = {
        "messages": tally.sent.total(),
        "methods": len(tally.methods),
        "seconds": round(seconds, 1),
        "outcomes": dict(tally.outcomes.most_common()),
        "kinds": dict(tally.sent.most_common()),
        "codes": dict(tally.codes.most_common()),
        "wrong": tally.wrong[:50],
        "wrong_count": len(tally.wrong),
        "slow": tally.slow[:50],
        "slow_count": len(tally.slow),
        "slow_once": tally.slow_once,
        "slowest_s": round(tally.slowest_s, 3),
        "memory_mib": round(memory / 2**20, 1),
        "at_once_mib": round(watch.most_at_once_bytes / 2**20, 1),
        "growth_mib": round(watch.grown_bytes / 2**20, 1),
        "alive": alive,
        "as_before": before == after,
        "failures_in_log": stage.failures_in_log(),
    }
    return {**figures, "exit_code": stage.stop() if alive else stage.process.returncode}


def _wave(stage: Stage, messages: int, callers: int, seed: int) -> Tally:
    """So many messages over so many connections."""
    shares = [messages // callers + (number < messages % callers) for number in range(callers)]
    total = Tally()
    with ThreadPoolExecutor(callers) as threads:
        seeds = (seed * 1000 + number for number in range(callers))
        for tally in threads.map(partial(_attack, stage), shares, seeds):
            total.add(tally)
    return total


def _attack(stage: Stage, messages: int, seed: int) -> Tally:
    sender = Sender(stage.address)
    try:
        attacks = Attacks(stage.tokens, cast_of(stage), seed)
        for number in range(messages):
            if number % NEW_CAST_EVERY == NEW_CAST_EVERY - 1:
                attacks.cast = cast_of(stage, attacks.cast)
            sender.send(attacks.draw())
        return sender.tally
    finally:
        sender.close()


def failures(figures: dict[str, Any]) -> list[str]:
    """What the run must not show, in words."""
    rules = {
        f"the server ended, code {figures['exit_code']}": not figures["alive"] or figures["exit_code"] != 0,
        f"{figures['wrong_count']} calls were refused without their type, or let in without a right": figures[
            "wrong_count"
        ],
        f"{figures['slow_count']} calls took more than a second, every time, or once for a change": figures[
            "slow_count"
        ],
        "what was kept is not as before": not figures["as_before"],
        f"memory rose by {figures['at_once_mib']} MiB at once": figures["at_once_mib"] > MOST_MIB,
        f"the server grew by {figures['growth_mib']} MiB": figures["growth_mib"] > MOST_MIB,
        f"{figures['failures_in_log']} calls failed in a way that the server did not know": figures["failures_in_log"],
        "not every method was called": figures["methods"] < len(RIGHT) and figures["messages"] >= 5000,
    }
    return [words for words, broken in rules.items() if broken]


def show(figures: dict[str, Any]) -> None:
    """Tables for people."""
    outcomes = [(name, f"{count:,}") for name, count in figures["outcomes"].items()]
    print_table(f"{figures['messages']:,} hostile messages to {figures['methods']} methods", outcomes, ("", "calls"))
    print_table("what was broken", [(name, f"{count:,}") for name, count in figures["kinds"].items()], ("", "calls"))
    print_table("refusals", [(name, f"{count:,}") for name, count in figures["codes"].items()], ("code", "calls"))
    for name in ("seconds", "slowest_s", "slow_once", "memory_mib", "at_once_mib", "growth_mib", "as_before"):
        print(f"{name}: {figures[name]}")
    for line in (*figures["wrong"], *figures["slow"]):
        print("WRONG", line)


if __name__ == "__main__":
    main()
