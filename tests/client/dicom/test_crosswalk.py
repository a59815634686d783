"""The crosswalk: what goes in comes out, for this site and collection alone, and nothing of it stands in the clear."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from unseen.errors import IntegrityError, InvalidConfiguration, InvalidInput, StoreFailed
from unseen_client.dicom.crosswalk import Crosswalk, WayBack, forget_rows
from unseen_client.dicom.reveals import LOG_NAME, require_reason, write_line
from unseen_client.keys.keystore import CollectionKey

UID = bytes(range(16))
SITE = bytes(range(32))
WAY = WayBack("1.2.826.0.1.4711", "1.2.826.0.1.4712", "1.2.826.0.1.4713", 7, "/archive/DOE^JANE/slice.dcm")
ROW = b"r" * 16


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "crosswalks" / "00" / "11.sqlite"


@pytest.fixture
def opened(path: Path) -> Iterator[Callable[..., Crosswalk]]:
    made: list[Crosswalk] = []

    def make(record_key: bytes = b"k" * 32, site_key: bytes = SITE) -> Crosswalk:
        made.append(Crosswalk(path, CollectionKey(UID, "scans", record_key), site_key))
        return made[-1]

    yield make
    for one in made:
        one.close()


def test_what_is_put_is_found_again_by_another_process_with_both_keys(opened: Callable[..., Crosswalk]) -> None:
    opened().put({ROW: WAY, b"s" * 16: WAY})
    again = opened()
    assert (again.get(ROW), again.get(b"t" * 16), len(again)) == (WAY, None, 2)
    again.put({ROW: WayBack("", "", "1.2", 1, "")})
    assert again.get(ROW) == WayBack("", "", "1.2", 1, "")


def test_rows_of_a_study_are_found_by_its_real_name_which_is_nowhere_in_the_file(
    opened: Callable[..., Crosswalk], path: Path
) -> None:
    crosswalk = opened()
    other = WayBack("1.2.826.0.1.5", "", "1.2.5", 1, "")
    crosswalk.put({ROW: WAY, b"s" * 16: WAY, b"t" * 16: other, b"u" * 16: WayBack("", "", "1.2.6", 1, "")})
    assert (sorted(crosswalk.rows_of(WAY.study)), crosswalk.rows_of(other.study)) == ([ROW, b"s" * 16], [b"t" * 16])
    assert crosswalk.rows_of("") == crosswalk.rows_of("1.2.826.0.1") == crosswalk.rows_of("\ud800") == []
    crosswalk.put({ROW: other})
    forget_rows(path, [b"t" * 16])
    assert (opened().rows_of(WAY.study), opened().rows_of(other.study)) == ([b"s" * 16], [ROW])
    assert WAY.study.encode() not in path.read_bytes()


def test_one_key_of_the_two_opens_nothing(opened: Callable[..., Crosswalk]) -> None:
    opened().put({ROW: WAY})
    for keys in ({"record_key": b"x" * 32}, {"site_key": b"x" * 32}):
        with pytest.raises(IntegrityError, match="site key back"):
            opened(**keys)


def test_a_grant_alone_opens_under_no_other_key(opened: Callable[..., Crosswalk]) -> None:
    opened().grant("radiology", 1 << 40)
    with pytest.raises(IntegrityError):
        opened(site_key=b"x" * 32)


def test_nothing_of_an_object_stands_in_the_file_and_its_size_tells_no_length(
    path: Path, opened: Callable[..., Crosswalk]
) -> None:
    crosswalk = opened()
    crosswalk.put({ROW: WAY, b"s" * 16: WayBack("1.2", "1.3", "1.4", 1, "x")})
    data = path.read_bytes()
    assert [
        name for name in (WAY.study, WAY.series, WAY.instance, WAY.source, "DOE^JANE") if name.encode() in data
    ] == []
    with sqlite3.connect(path) as database:
        assert len({len(sealed) for (sealed,) in database.execute("SELECT sealed FROM entry")}) == 1
    assert path.stat().st_mode & 0o777 == 0o600
    assert "4711" not in repr(WAY)


def test_an_entry_moved_to_another_row_does_not_open(path: Path, opened: Callable[..., Crosswalk]) -> None:
    crosswalk = opened()
    crosswalk.put({ROW: WAY})
    with sqlite3.connect(path) as database:
        database.execute("INSERT INTO entry SELECT ?, sealed FROM entry", (b"s" * 16,))
    with pytest.raises(IntegrityError):
        crosswalk.get(b"s" * 16)


def test_erased_rows_leave_nothing_behind(path: Path, opened: Callable[..., Crosswalk]) -> None:
    crosswalk = opened()
    crosswalk.put({ROW: WAY, b"s" * 16: WAY})
    with sqlite3.connect(path) as database:
        (sealed,) = database.execute("SELECT sealed FROM entry WHERE row_id = ?", (ROW,)).fetchone()
    forget_rows(path, [ROW, b"u" * 16])
    assert (crosswalk.get(ROW), crosswalk.get(b"s" * 16)) == (None, WAY)
    assert sealed not in path.read_bytes()
    forget_rows(path.with_name("none.sqlite"), [ROW])
    assert not path.with_name("none.sqlite").exists()


def test_a_grant_ends_when_somebody_ends_it(opened: Callable[..., Crosswalk]) -> None:
    crosswalk = opened()
    crosswalk.grant("radiology", 2000)
    assert (crosswalk.granted_until_s("radiology"), crosswalk.granted_until_s("other")) == (2000, 0)
    crosswalk.grant("radiology", 0)
    assert crosswalk.granted_until_s("radiology") == 0


def test_a_file_that_others_can_reach_or_that_is_no_crosswalk_is_refused(
    path: Path, opened: Callable[..., Crosswalk]
) -> None:
    opened()
    path.chmod(0o640)
    with pytest.raises(InvalidConfiguration):
        opened()
    path.chmod(0o600)
    path.write_bytes(b"no database" * 1000)
    with pytest.raises(StoreFailed):
        opened()


def test_a_line_of_the_log_is_one_line_and_a_log_that_cannot_be_written_stops_the_look(tmp_path: Path) -> None:
    home = tmp_path / "home"
    write_line(home, 0.0, "radiology", UID, "abc", 'second "reading"', "shown")
    log = home / "crosswalks" / LOG_NAME
    (line,) = log.read_text().splitlines()
    assert json.loads(line) == {
        "at": "1970-01-01T00:00:00+00:00",
        "account": "radiology",
        "collection": UID.hex(),
        "row": "abc",
        "reason": 'second "reading"',
        "outcome": "shown",
    }
    assert log.stat().st_mode & 0o777 == 0o600
    log.unlink()
    log.mkdir()
    with pytest.raises(StoreFailed, match="nothing was revealed"):
        write_line(home, 0.0, "radiology", UID, "abc", "again", "shown")


@pytest.mark.parametrize("reason", ["", "  ", "two\nlines", "x" * 501])
def test_a_reason_is_one_line_that_says_something(reason: str) -> None:
    with pytest.raises(InvalidInput):
        require_reason(reason)
    assert require_reason(" second reading ") == "second reading"
