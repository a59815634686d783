"""A log line is built from what may be said, whatever was handed to the logger."""

from __future__ import annotations

import io
import json
import logging
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unseen_server.operations.log_lines import FIELDS, NUMBERS, AllowList, fields_of

CANARY = "canary-7f3a"
OURS = "unseen_server.somewhere"


def line(name: str, message: str, *args: Any, as_json: bool = True, **options: Any) -> str:
    """What a logger of this name writes."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(AllowList(as_json=as_json))
    logger = logging.Logger(name)
    logger.addHandler(handler)
    logger.error(message, *args, **options)
    return stream.getvalue()


def test_a_line_says_time_level_logger_event_and_the_fields_of_the_list() -> None:
    fields = json.loads(line(OURS, "call refused", extra={"method": "Search", "code": "SERVER_BUSY", "rows": 7}))
    assert len(fields.pop("time")) == len("2026-11-26T12:00:00.123Z")
    assert fields == {
        "level": "ERROR", "logger": OURS, "event": "call refused", "rows": 7, "method": "Search", "code": "SERVER_BUSY"
    }  # fmt: skip


def test_a_terminal_gets_the_same_in_words() -> None:
    extra = {"method": "Search", "code": "SERVER_BUSY", "other": CANARY}
    words = line(OURS, "call refused", extra=extra, as_json=False)
    assert words.endswith(f"ERROR {OURS} call refused method=Search code=SERVER_BUSY\n")


def test_arguments_and_other_fields_never_pass() -> None:
    assert CANARY not in line(OURS, "a %s b", CANARY)
    assert CANARY not in line(OURS, "call refused", extra={"caller": CANARY, "token": CANARY})


@pytest.mark.parametrize("name", ["asyncio", "grpc._cython.cygrpc", "unseen_serverish", "root"])
def test_of_others_nothing_but_their_name_passes(name: str) -> None:
    fields = json.loads(line(name, f"about {CANARY}: %s", CANARY, extra={"method": "Search"}))
    assert set(fields) == {"time", "level", "logger"}


@pytest.mark.parametrize("name", [OURS, "asyncio"])
def test_an_exception_gives_its_type_and_place_and_never_its_message(name: str) -> None:
    try:
        raise ValueError(CANARY)
    except ValueError as error:
        said = line(name, "call failed", exc_info=error)
    assert CANARY not in said
    assert json.loads(said)["type"] == "ValueError"
    assert "test_log_lines.py" in json.loads(said)["place"]


@given(name=st.sampled_from(FIELDS), value=st.one_of(st.text(), st.binary(), st.lists(st.text()), st.none()))
def test_what_has_not_the_form_of_its_field_does_not_pass(name: str, value: object) -> None:
    record = logging.LogRecord(OURS, logging.INFO, "", 0, "event", (), None)
    setattr(record, name, value)
    said = fields_of(record).get(name)
    if name in NUMBERS:
        assert said is None
    elif name in ("place", "reason"):
        assert said == (value[:2000] if isinstance(value, str) else None)
    else:
        assert said is None or (isinstance(value, str) and said == value and value.replace(".", "_").isidentifier())


UNCAUGHT = f"""
import logging, sys, threading, warnings
from unseen_server.operations.log_lines import say_only_what_is_allowed
say_only_what_is_allowed(sys.stderr)
logging.getLogger("asyncio").error("{CANARY}")
def fail(): raise ValueError("{CANARY}")
thread = threading.Thread(target=fail); thread.start(); thread.join()
fail()
"""


def test_uncaught_errors_of_threads_and_of_the_process_say_type_and_place_only() -> None:
    ended = subprocess.run([sys.executable, "-c", UNCAUGHT], capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert CANARY not in ended.stderr
    lines = [json.loads(said) for said in ended.stderr.splitlines()]
    assert [said.get("type") for said in lines] == [None, "ValueError", "ValueError"]
