"""Progress: a bar on the error stream, the caller's own function, or nothing."""

from __future__ import annotations

from unseen_client import Progress
from unseen_client.progress import watching


def test_a_bar_goes_to_the_error_stream_only(capsys):
    with watching(True) as watcher:
        watcher(Progress(3, 7, "images"))
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "images" in shown.err
    assert "3/7" in shown.err


def test_the_callers_own_function_is_called_as_it_is(capsys):
    seen = []
    with watching(seen.append) as watcher:
        watcher(Progress(1, 2, "rows"))
    assert seen == [Progress(1, 2, "rows")]
    with watching(False) as watcher:
        watcher(Progress(1, 2, "rows"))
    assert capsys.readouterr() == ("", "")
