"""Promises of ``unseen.errors``: one tree, drawn as it is, every leaf with a code of its own."""

from __future__ import annotations

import re

from unseen import errors
from unseen.errors import UnseenError


def tree(kind: type[UnseenError], depth: int = 0) -> list[tuple[int, str]]:
    below = [
        line
        for child in kind.__subclasses__()
        if child.__module__ == errors.__name__
        for line in tree(child, depth + 1)
    ]
    return [(depth, kind.__name__), *below]


def test_the_drawing_is_the_tree() -> None:
    drawn = []
    for line in (errors.__doc__ or "").splitlines():
        found = re.match(r"    ((?:[│ ]   )*)(?:[├└]── )?([A-Z]\w+)", line)
        if found:
            depth = len(found[1]) // 4 + ("─" in line.split(found[2])[0])
            drawn.append((depth, found[2]))
    assert sorted(drawn) == sorted(tree(UnseenError))


def test_codes_are_unique_and_stable_in_form() -> None:
    codes = [kind.code for kind in all_kinds()]
    assert len(set(codes)) == len(codes)
    assert all(re.fullmatch(r"[A-Z]+(_[A-Z]+)*", code) for code in codes)


def all_kinds() -> list[type[UnseenError]]:
    return [getattr(errors, name) for _, name in tree(UnseenError)]
