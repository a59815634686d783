"""One target under atheris, in a process of its own: started by ``python -m bench.fuzz``.

    python -m bench.fuzz.guided ROOM NAME EXECUTIONS SUMMARY CORPUS -seed=1 ...

CORPUS is an empty folder; what follows it is libFuzzer's. An undeclared exception does not end the run: it is noted,
once for each place.
"""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

atheris: Any = import_module("atheris")
"""Of the extra ``fuzz`` alone: the tests, the types and the lists of packages do without it."""
OURS = ["unseen", "unseen_client", "unseen_server"]
COMPILED = ["unseen.he.compiled_bits", "unseen.v1"]
"""numba reads bytecode, and would read that of the measuring; generated code holds no choices."""


def main() -> None:
    room, name, executions, summary, corpus, *options = sys.argv[1:]
    import unseen.he.compiled_bits  # noqa: F401 - before anything is instrumented

    with atheris.instrument_imports(include=OURS, exclude=COMPILED):
        from bench.fuzz.plain import changed
        from bench.fuzz.target import Outcome
        from bench.fuzz.targets import of_room

        target = next(one for one in of_room(room) if one.name == name)  # imports what it fuzzes
    for number, right in enumerate(target.inputs):  # some are right under keys that this process drew
        (Path(corpus) / str(number)).write_bytes(right)
    outcome, wanted = Outcome(), int(executions)

    def execute(data: bytes) -> None:
        outcome.execute(target, data)
        if outcome.executions == wanted:
            told = {"taken": outcome.taken, "refused": outcome.refused, "found": outcome.found}
            Path(summary).write_text(json.dumps(told))

    def mutate(data: bytes, most_bytes: int, seed: int) -> bytes:
        if not target.is_json or seed % 4:
            return bytes(atheris.Mutate(data, most_bytes))
        return changed(target, data, random.Random(seed))[:most_bytes]

    _fuzz(execute, mutate, [sys.argv[0], corpus, *options])


def _fuzz(execute: Callable[[bytes], None], mutate: Callable[[bytes, int, int], bytes], arguments: list[Any]) -> None:
    atheris.Setup(arguments, execute, custom_mutator=mutate)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
